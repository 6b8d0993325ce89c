//! One file of Rust, taken apart into code, comments and literals.
//!
//! A check that looks for a word in code must not be fooled by the same word in a comment or in a
//! string, and one that looks for comments must not be fooled by code. So the text is kept three
//! times, with what does not belong blanked out: offsets and lines agree between them.

use std::ops::Range;

/// A file of Rust.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, relative to the root of the repository.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// The text with comments and literals blanked.
    pub code: String,
    /// The text with everything but comments blanked.
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Takes `text` apart. What does not lex (an open string at the end) counts as it began.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = text.as_bytes().to_vec();
        let mut comments = code.clone();
        let mut at = 0;
        while at < code.len() {
            let (part, end) = part_at(text.as_bytes(), at);
            if part != Part::Code {
                blank(&mut code[at..end]);
            }
            if part != Part::Comment {
                blank(&mut comments[at..end]);
            }
            at = end;
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            // Every span ends at an ASCII byte or at the end, so no character is cut in two.
            code: String::from_utf8_lossy(&code).into_owned(),
            comments: String::from_utf8_lossy(&comments).into_owned(),
        }
    }

    /// The line of an offset, counted from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        let before = self.code.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    /// The lines, counted from 1, of test modules that are written out in this file.
    pub(crate) fn test_lines(&self) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for module in self.test_modules() {
            if let Some(end) = module.end {
                ranges.push(self.line(module.start)..self.line(end) + 1);
            }
        }
        ranges
    }

    /// Files and folders (with a `/` at the end) that test modules declared here stand in.
    pub(crate) fn test_files(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix(".rs") {
            Some(stem) => match stem.rsplit_once('/') {
                Some((folder, "lib" | "main" | "mod")) => folder,
                _ => stem,
            },
            None => &self.path,
        };
        let mut files = Vec::new();
        for module in self.test_modules() {
            if module.end.is_none() {
                files.push(format!("{folder}/{}.rs", module.name));
                files.push(format!("{folder}/{}/", module.name));
            }
        }
        files
    }

    fn test_modules(&self) -> Vec<TestModule> {
        let mut modules = Vec::new();
        for (start, _) in self.code.match_indices("#[cfg(") {
            let Some(end) = closing(&self.code, start + 1) else {
                continue;
            };
            if !is_test_cfg(&self.code[start..=end]) {
                continue;
            }
            modules.extend(module_after(&self.code, start, end + 1));
        }
        modules
    }
}

/// A module under `#[cfg(test)]`.
struct TestModule {
    name: String,
    start: usize,
    /// Where its block ends; `None` where it stands in a file of its own.
    end: Option<usize>,
}

/// Whether an attribute `#[cfg(..)]` says `test`, alone or as one of all.
fn is_test_cfg(attribute: &str) -> bool {
    let compact: String = attribute.split_whitespace().collect();
    let Some(inner) = compact.strip_prefix("#[cfg(").and_then(|rest| rest.strip_suffix(")]")) else {
        return false;
    };
    let all = inner.strip_prefix("all(").and_then(|rest| rest.strip_suffix(')'));
    match all {
        Some(list) => !list.contains('(') && list.split(',').any(|term| term == "test"),
        None => inner == "test",
    }
}

/// The module that an attribute before `from` belongs to, if it belongs to one.
fn module_after(code: &str, start: usize, from: usize) -> Option<TestModule> {
    let mut at = skip_space(code, from);
    while code[at..].starts_with("#[") {
        at = skip_space(code, closing(code, at + 1)? + 1);
    }
    if code[at..].starts_with("pub") {
        at = skip_space(code, at + 3);
        if code[at..].starts_with('(') {
            at = skip_space(code, closing(code, at)? + 1);
        }
    }
    let rest = code[at..].strip_prefix("mod ")?;
    let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
    let after = skip_space(code, at + "mod ".len() + name.len());
    let end = match code.as_bytes().get(after)? {
        b'{' => Some(closing(code, after)?),
        _ => None,
    };
    Some(TestModule { name, start, end })
}

fn skip_space(code: &str, from: usize) -> usize {
    code[from..].find(|c: char| !c.is_whitespace()).map_or(code.len(), |space| from + space)
}

/// The offset of the bracket that closes the one at `open`; `None` where none does.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let opener = *code.as_bytes().get(open)?;
    let closer = match opener {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        if byte == opener {
            depth += 1;
        } else if byte == closer {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Whether a character can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` with no further letter, digit or underscore at either side.
pub(crate) fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let alone = !before.is_some_and(is_word) && !after.is_some_and(is_word);
        alone.then_some(at)
    })
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// What begins at `at`, and where it ends.
fn part_at(text: &[u8], at: usize) -> (Part, usize) {
    let rest = &text[at..];
    if rest.starts_with(b"//") {
        let length = rest.iter().position(|byte| *byte == b'\n');
        return (Part::Comment, at + length.unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return (Part::Comment, at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return (Part::Literal, at + quoted(rest, b'"'));
    }
    if rest[0] == b'\'' {
        return match character(rest) {
            Some(length) => (Part::Literal, at + length),
            None => (Part::Code, at + 1),
        };
    }
    if rest[0].is_ascii_alphabetic() || rest[0] == b'_' {
        let length = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        if let b"r" | b"br" | b"cr" = &rest[..length] {
            if let Some(raw) = raw_string(&rest[length..]) {
                return (Part::Literal, at + length + raw);
            }
        }
        return (Part::Code, at + length);
    }
    (Part::Code, at + 1)
}

/// The length of a block comment; they nest.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a literal that ends at the next `quote` without a backslash before it.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal; `None` for a lifetime or a label.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return Some(quoted(rest, b'\''));
    }
    // One character of UTF-8 and the closing quote.
    let length = match rest.get(1)? {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (rest.get(1 + length) == Some(&b'\'')).then_some(length + 2)
}

/// The length of a raw string from its hashes on; `None` where none begins.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[hashes + 1..];
    let length = body.windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| hashes + 1 + length + end.len()))
}

#[cfg(test)]
mod tests {
    use super::{Source, whole_words};

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "let a = \"one // two\"; // three \"four\"\nlet b = r#\"five \" six\"#; /* seven /* eight */ nine */ ten();\n";
        let source = Source::new("a.rs", text);
        for word in ["one", "two", "three", "five", "six", "seven", "eight", "nine"] {
            assert!(!source.code.contains(word), "{word} is no code");
        }
        assert!(source.code.contains("let b") && source.code.contains("ten();"));
        for word in ["three", "four", "seven", "eight", "nine"] {
            assert!(source.comments.contains(word), "{word} is a comment");
        }
        assert!(!source.comments.contains("one") && !source.comments.contains("five"));
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_open_nothing() {
        let text = "fn f<'a>(x: &'a str) { g('\"', '\\'', b'\"', 'é', \"\\\"\"); after(); }";
        let source = Source::new("a.rs", text);
        assert!(source.code.contains("after(); }"));
        assert!(source.code.contains("<'a>(x: &'a str)"));
        assert_eq!(source.code.len(), text.len());
    }

    #[test]
    fn names_that_end_in_r_begin_no_raw_string() {
        let source = Source::new("a.rs", "for \"x\" in br\"y\" { r#try(); }");
        assert!(source.code.contains("for"));
        assert!(source.code.contains("r#try();"));
        assert!(!source.code.contains('x') && !source.code.contains('"'));
    }

    #[test]
    fn lines_agree_between_the_parts() {
        let text = "a\n\"b\nc\"\nd // e\n";
        let source = Source::new("a.rs", text);
        assert_eq!(source.code.lines().count(), 4);
        assert_eq!(source.line(source.code.find('d').expect("d is code")), 4);
    }

    #[test]
    fn test_modules_are_found_inline_and_in_files() {
        let text = "fn a() {}\n#[cfg(test)]\n#[rustfmt::skip]\npub(crate) mod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(all(test, loom))]\nmod races;\n";
        let source = Source::new("handles/src/lib.rs", text);
        let lines = source.test_lines();
        assert_eq!((lines.len(), lines[0].clone()), (1, 2..7));
        assert_eq!(source.test_files(), ["handles/src/races.rs", "handles/src/races/"]);
        let nested = Source::new("handles/src/drain.rs", "#[cfg(test)] mod tests;");
        assert_eq!(nested.test_files(), ["handles/src/drain/tests.rs", "handles/src/drain/tests/"]);
    }

    #[test]
    fn modules_that_are_not_only_for_tests_are_not_test_modules() {
        for cfg in ["not(test)", "any(test, loom)", "loom"] {
            let text = format!("#[cfg({cfg})]\nmod a {{\n}}\n");
            let source = Source::new("a.rs", &text);
            assert!(source.test_lines().is_empty(), "{cfg}");
        }
        let source = Source::new("a.rs", "#[cfg(test)]\nfn helper() {\n}\n");
        assert!(source.test_lines().is_empty());
    }

    #[test]
    fn a_word_inside_a_longer_one_does_not_count() {
        let found: Vec<usize> = whole_words("unsafe_code unsafe an_unsafe", "unsafe").collect();
        assert_eq!(found, [12]);
    }
}
