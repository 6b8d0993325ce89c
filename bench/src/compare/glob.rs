//! Which names a pattern with `*` and `?` matches.

/// Whether `name` matches `pattern`, in which `*` stands for any text, also none, and `?` for any one
/// character. All else stands for itself.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|end| matches(rest.as_str(), &name[end..]))
        }
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|given| wanted == '?' || wanted == given) && matches(rest.as_str(), name.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "slotmap"),
            ("slotmap", "slotmap"),
            ("slot*", "slotmap_10m"),
            ("*_10m", "slotmap_10m"),
            ("*slot*", "concurrent_slotmap"),
            ("s?otmap", "slotmap"),
            ("*a*a*", "papaya"),
            ("**?", "ä"),
            ("a*b*c", "abbcbc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "slotmap"),
            ("?", ""),
            ("slotmap", "slotmap_10m"),
            ("slotmap", "concurrent_slotmap"),
            ("*_10m", "slotmap"),
            ("*a*a*a*a*", "papaya"),
            ("s?otmap", "sotmap"),
            ("a*b*c", "abbcb"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
