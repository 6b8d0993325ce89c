//! Finding the tests that name scenarios.

use super::Id;
use crate::{Finding, Source};

/// A test and the scenarios that it says it shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// The file of the test, relative to the root.
    pub path: String,
    /// The name of the function.
    pub test: String,
    /// The ids, in the order of the comment.
    pub ids: Vec<Id>,
    /// What follows the ids, up to the first empty line.
    pub text: String,
}

/// The tests of all files that name scenarios, sorted, and what is wrong with their ids: malformed,
/// unknown, named twice, or mixed with prose.
#[must_use]
pub fn collect(sources: &[Source]) -> (Vec<Shown>, Vec<Finding>) {
    let mut shown = Vec::new();
    let mut findings = Vec::new();
    for source in sources {
        for test in tests(source) {
            match ids(&test.doc) {
                Ok(None) => {}
                Ok(Some((ids, text))) => shown.push(Shown { path: source.path.clone(), test: test.name, ids, text }),
                Err(what) => findings.push(Finding::at(&source.path, test.line, what)),
            }
        }
    }
    shown.sort();
    (shown, findings)
}

/// A function marked `#[test]`.
struct Test {
    name: String,
    line: usize,
    /// The first paragraph of its doc comment.
    doc: String,
}

/// The tests of one file, those inside macros such as `proptest!` among them. The doc comment and the
/// attributes may stand in either order.
fn tests(source: &Source) -> Vec<Test> {
    let mut tests = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    let mut is_test = false;
    let mut attribute = Attribute::default();
    let lines = source.code.lines().zip(source.comments.lines());
    for (index, (code, comment)) in lines.enumerate() {
        let rest = attribute.take(code.trim(), &mut is_test);
        if let Some(name) = function(rest) {
            if is_test {
                let doc = paragraph(&doc);
                let line = index + 1;
                tests.push(Test { name, line, doc });
            }
        }
        if !rest.is_empty() {
            doc.clear();
            is_test = false;
        } else if let Some(text) = doc_text(comment) {
            doc.push(text);
        }
    }
    tests
}

/// The text of an outer doc comment.
fn doc_text(comment: &str) -> Option<&str> {
    let text = comment.trim().strip_prefix("///")?;
    (!text.starts_with('/')).then(|| text.trim())
}

/// Up to the first empty line, on one line.
fn paragraph(doc: &[&str]) -> String {
    let lines = doc.iter().take_while(|line| !line.is_empty());
    lines.copied().collect::<Vec<_>>().join(" ")
}

/// Follows attributes, which may span lines.
#[derive(Default)]
struct Attribute {
    text: String,
    depth: usize,
}

impl Attribute {
    /// Takes the attributes at the start of a line of code, notes a `#[test]`, and returns what follows.
    fn take<'a>(&mut self, mut code: &'a str, is_test: &mut bool) -> &'a str {
        while self.depth > 0 || code.starts_with("#[") {
            let mut end = code.len();
            for (at, c) in code.char_indices() {
                match c {
                    '[' => self.depth += 1,
                    ']' => self.depth -= 1,
                    _ => {}
                }
                self.text.push(c);
                if c == ']' && self.depth == 0 {
                    end = at + 1;
                    break;
                }
            }
            code = code[end..].trim_start();
            if self.depth > 0 {
                break;
            }
            *is_test |= self.text.trim() == "#[test]";
            self.text.clear();
        }
        code
    }
}

/// The name of the function that a line of code declares.
fn function(code: &str) -> Option<String> {
    let mut words = code.split_whitespace();
    let modifiers = ["pub", "pub(crate)", "async", "const"];
    let word = words.find(|word| !modifiers.contains(word))?;
    if word != "fn" {
        return None;
    }
    let name = words.next()?;
    Some(name.split(['(', '<']).next().unwrap_or(name).to_owned())
}

/// The ids at the head of a doc comment and the text after them; `None` where it names none.
fn ids(doc: &str) -> Result<Option<(Vec<Id>, String)>, String> {
    let first = doc.split([',', ':', ' ']).next().unwrap_or(doc);
    if !Id::resembles(first) {
        return Ok(None);
    }
    let Some((head, text)) = doc.split_once(':') else {
        return Err(format!("no colon after the ids that begin with `{first}`"));
    };
    let mut ids = Vec::new();
    for word in head.split(',') {
        let id: Id = word.trim().parse()?;
        if ids.contains(&id) {
            return Err(format!("`{id}` stands twice"));
        }
        ids.push(id);
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("`{first}`: the ids are there, and what the test shows is not"));
    }
    Ok(Some((ids, text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::collect;
    use crate::Source;

    fn names(text: &str) -> Vec<String> {
        let (shown, findings) = collect(&[Source::new("a.rs", text)]);
        assert_eq!(findings, []);
        let name = |shown: super::Shown| {
            let ids: Vec<String> = shown.ids.iter().map(ToString::to_string).collect();
            format!("{} {}: {}", shown.test, ids.join(" "), shown.text)
        };
        shown.into_iter().map(name).collect()
    }

    #[test]
    fn a_test_shows_what_its_doc_comment_names() {
        let text = "/// S2-1, E-13: reads fail\n/// cleanly.\n///\n/// More.\n#[test]\nfn read_fails() {}\n";
        assert_eq!(names(text), ["read_fails S2-1 E-13: reads fail cleanly."]);
    }

    #[test]
    fn attributes_around_do_not_matter() {
        let text = "#[test]\n#[cfg_attr(\n    miri,\n    expect(x, reason = \"y\")\n)]\n/// T31: it fails.\n// A remark.\n\nfn a() {}\n/// F11: one pass.\n#[test] fn b() {}\n";
        assert_eq!(names(text), ["a T31: it fails.", "b F11: one pass."]);
    }

    #[test]
    fn tests_inside_a_macro_count() {
        let text = "proptest! {\n    /// E-43: no wrap.\n    #[test]\n    fn never(x in 0..9) {}\n}\n";
        assert_eq!(names(text), ["never E-43: no wrap."]);
    }

    #[test]
    fn what_is_no_test_and_what_is_a_string_shows_nothing() {
        let plain = "/// S0-1: not a test.\nfn a() {}\n#[test]\nfn b() {}\n";
        assert!(names(plain).is_empty());
        let earlier = "/// S0-1: of a constant.\nconst A: u8 = 0;\n#[test]\nfn b() {}\n";
        assert!(names(earlier).is_empty());
        let string = "const A: &str = \"\n/// S0-1: quoted.\n#[test]\nfn a() {}\n\";\n";
        assert!(names(string).is_empty());
        let prose = "/// E2BIG: a full page. T31 is another.\n#[test]\nfn a() {}\n";
        assert!(names(prose).is_empty());
    }

    #[test]
    fn wrong_ids_are_found() {
        for head in [
            "S0-17: unknown.",
            "E13: malformed.",
            "S0-1, prose: mixed.",
            "S0-1 and S0-2: joined.",
            "S0-1, S0-1: twice.",
            "S0-1 without a colon.",
            "S0-1:",
        ] {
            let text = format!("/// {head}\n#[test]\nfn a() {{}}\n");
            let (shown, findings) = collect(&[Source::new("a.rs", &text)]);
            assert!(shown.is_empty(), "{head}");
            assert_eq!(findings.len(), 1, "{head}");
            assert_eq!(findings[0].line, 3);
        }
    }

    #[test]
    fn the_order_does_not_follow_the_order_of_the_files() {
        let text = "/// S0-1: one.\n#[test]\nfn a() {}\n";
        let a = Source::new("a.rs", text);
        let b = Source::new("b.rs", text);
        assert_eq!(collect(&[b.clone(), a.clone()]).0, collect(&[a, b]).0);
    }
}
