//! A tree as lines of text; knows nothing of where the tree is kept.

use std::fmt;
use std::io::{self, Write};

use enodev::Errno;

/// Writes a tree, one line for each thing in it, two blanks of indent for each level.
pub(crate) struct TreeWriter<'a> {
    out: &'a mut dyn Write,
}

/// What is said about an attribute beside its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// The length of its content in bytes.
    Size(usize),
    /// The error with which it answers.
    Errno(Errno),
    /// It can only be written.
    WriteOnly,
}

impl<'a> TreeWriter<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// A directory; what is in it follows one level deeper.
    pub(crate) fn dir(&mut self, depth: usize, name: &str) -> io::Result<()> {
        self.indent(depth)?;
        writeln!(self.out, "{}/", Plain(name))
    }

    /// An attribute.
    pub(crate) fn attribute(&mut self, depth: usize, name: &str, value: Value) -> io::Result<()> {
        self.indent(depth)?;
        writeln!(self.out, "{}  {value}", Plain(name))
    }

    /// A link, and the path of its target.
    pub(crate) fn link(&mut self, depth: usize, name: &str, target: &str) -> io::Result<()> {
        self.indent(depth)?;
        writeln!(self.out, "{} -> {}", Plain(name), Plain(target))
    }

    fn indent(&mut self, depth: usize) -> io::Result<()> {
        write!(self.out, "{:width$}", "", width = 2 * depth)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size(1) => f.write_str("1 byte"),
            Self::Size(bytes) => write!(f, "{bytes} bytes"),
            Self::Errno(errno) => match errno.name() {
                Some(name) => f.write_str(name),
                None => write!(f, "errno {}", errno.raw()),
            },
            Self::WriteOnly => f.write_str("write-only"),
        }
    }
}

/// Text in which control characters are escaped: names are any bytes but `/`, and a terminal obeys
/// them.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(
            |c| {
                if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_other_text_is_not() {
        assert_eq!(Plain("a b:c,ü").to_string(), "a b:c,ü");
        assert_eq!(Plain("a\n\u{1b}[2J\u{9b}").to_string(), r"a\n\u{1b}[2J\u{9b}");
    }

    #[test]
    fn an_error_number_without_a_name_is_shown_as_a_number() {
        assert_eq!(Value::Errno(Errno::EIO).to_string(), "EIO");
        assert_eq!(Value::Errno(Errno::from_raw(999).unwrap()).to_string(), "errno 999");
    }
}
