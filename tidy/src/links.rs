//! Every link of a Markdown file to a file leads to one.

use crate::Finding;

/// The links of `text`, the file at `path`, that lead nowhere. `holds` tells whether a path, relative
/// to the root, is there.
pub fn findings(path: &str, text: &str, holds: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, prose) in prose(text) {
        for target in targets(&without_code(prose)) {
            let file = target.split('#').next().unwrap_or(target);
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let there = resolve(path, file).is_some_and(|resolved| holds(&resolved));
            if !there {
                let what = format!("the link `{target}` leads nowhere");
                findings.push(Finding::at(path, line, what));
            }
        }
    }
    findings
}

/// The lines, counted from 1, that stand outside fenced blocks.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if is_fence(line) {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// Whether a line opens or closes a fenced block.
pub(crate) fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// What the links of a line point to: `[text](target)` and `[label]: target`.
fn targets(line: &str) -> Vec<&str> {
    let mut targets: Vec<&str> = line
        .match_indices("](")
        .filter_map(|(at, open)| {
            let rest = &line[at + open.len()..];
            let inner = &rest[..rest.find(')')?];
            // A title may follow the target.
            inner.split_whitespace().next()
        })
        .collect();
    if line.starts_with('[') {
        if let Some((_, target)) = line.split_once("]: ") {
            targets.extend(target.split_whitespace().next());
        }
    }
    targets
}

/// A link of the file at `path`, relative to the root; `None` where it leads out of it.
fn resolve(path: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::findings;

    fn found(text: &str) -> Vec<usize> {
        let there = ["README.md", "docs", "docs/scenarios.md", "handles/src"];
        let holds = |path: &str| there.contains(&path);
        let findings = findings("docs/index.md", text, holds);
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(found("fine\n[a](gone.md)\n"), [2]);
        assert_eq!(found("[a](../gone/README.md#part)"), [1]);
        assert_eq!(found("[a](../../README.md)"), [1]);
        assert_eq!(found("![picture](picture.svg \"title\")"), [1]);
        assert_eq!(found("[label]: ../gone.md"), [1]);
        assert_eq!(found("[a](scenarios.md), [b](gone.md)"), [1]);
    }

    #[test]
    fn a_link_that_leads_somewhere_passes() {
        let text = "[a](scenarios.md#seed) [b](../README.md) [c](./../handles/src/)\n[d]: ../README.md\n";
        assert!(found(text).is_empty());
    }

    #[test]
    fn addresses_anchors_and_code_are_no_files() {
        let text = "[a](https://example.org/x) [b](#below) `[c](d)`\n```\n[e](f)\n```\n";
        assert!(found(text).is_empty());
    }
}
