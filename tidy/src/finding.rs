//! What a check returns.

use std::fmt;

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the repository.
    pub path: String,
    /// The line, counted from 1; 0 stands for the file as a whole.
    pub line: usize,
    /// Which rule, and how it is broken.
    pub what: String,
}

impl Finding {
    /// A finding at one line of a file.
    pub fn at(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }

    /// A finding about a file as a whole.
    pub fn whole(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.what)
        } else {
            write!(f, "{}:{}: {}", self.path, self.line, self.what)
        }
    }
}

/// All findings as text, one line each; empty where there are none.
#[must_use]
pub fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&finding.to_string());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Finding, report};

    #[test]
    fn a_report_has_one_line_for_each_finding() {
        let findings = [Finding::at("a.rs", 3, "wrong"), Finding::whole("b.md", "missing")];
        assert_eq!(report(&findings), "a.rs:3: wrong\nb.md: missing\n");
        assert_eq!(report(&[]), "");
    }
}
