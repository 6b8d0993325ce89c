//! `README.md` shows two commands of cargo, and they are the ones that are checked.

use crate::Finding;
use crate::links::is_fence;

/// The file that is read.
pub const FILE: &str = "README.md";

/// The two commands, in order.
pub const COMMANDS: [&str; 2] = ["cargo run --release", "cargo test --workspace"];

/// What is wrong with the text of `README.md`; `None` stands for a missing file.
#[must_use]
pub fn findings(text: Option<&str>) -> Vec<Finding> {
    let Some(text) = text else {
        return vec![Finding::whole(FILE, "is missing")];
    };
    let found = commands(text);
    if found == COMMANDS {
        return Vec::new();
    }
    let what = format!("its commands are {found:?}, and should be {COMMANDS:?}");
    vec![Finding::whole(FILE, what)]
}

/// The lines of fenced blocks that call cargo, without prompt and comment.
fn commands(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if is_fence(line) {
            fenced = !fenced;
        } else if fenced {
            let line = line.trim_start().trim_start_matches("$ ");
            if line.starts_with("cargo ") {
                let command = line.split(" #").next().unwrap_or(line);
                commands.push(command.trim_end());
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::findings;

    #[test]
    fn a_missing_readme_is_found() {
        assert_eq!(findings(None).len(), 1);
    }

    #[test]
    fn the_two_commands_pass() {
        let text = "# x\n```sh\ncargo run --release   # the storm\n$ cargo test --workspace\n```\n";
        assert!(findings(Some(text)).is_empty());
        let apart = "```\ncargo run --release\n```\nand\n```\ncargo test --workspace\n```\n";
        assert!(findings(Some(apart)).is_empty());
    }

    #[test]
    fn other_commands_are_found() {
        for lines in [
            "cargo run --release",
            "cargo test --workspace\ncargo run --release",
            "cargo run\ncargo test --workspace",
            "cargo run --release\ncargo test --workspace\ncargo bench",
        ] {
            let text = format!("```sh\n{lines}\n```\n");
            assert_eq!(findings(Some(&text)).len(), 1, "{lines}");
        }
        let unfenced = "cargo run --release\ncargo test --workspace\n";
        assert_eq!(findings(Some(unfenced)).len(), 1);
    }
}
