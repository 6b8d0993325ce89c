use std::collections::BTreeSet;

use enodev::EntryKind;

use super::*;
use crate::random::Random;
use crate::storm::plan::tests::{links, trees};

/// What every directory that is there lists: where, the name, and what it is or where it leads.
fn listing(side: &EnodevSide<'_>) -> BTreeSet<[String; 3]> {
    let mut all = BTreeSet::new();
    for dir in &side.plan.tree.dirs {
        let Ok(object) = side.store.lookup(&dir.path) else { continue };
        for entry in side.store.list(object).unwrap() {
            let what = match entry.kind {
                EntryKind::Object(below) => format!("object {}", side.store.path(below).unwrap()),
                EntryKind::Link(target) => format!("link {}", side.store.path(target).unwrap()),
                EntryKind::Attribute { mode, size, .. } => format!("attribute {mode} {size}"),
                kind => panic!("{kind:?}"),
            };
            all.insert([dir.path.clone(), entry.name.to_string(), what]);
        }
    }
    all
}

/// Whatever is unplugged and plugged in again, the tree is as it was: every directory, attribute and link.
#[test]
fn all_is_as_it_was_after_many_rounds() {
    for tree in trees() {
        let plan = Plan::new(&tree, &links(&tree)).unwrap();
        let side = EnodevSide::new(&plan).unwrap();
        let (whole, objects) = (listing(&side), side.store.len());
        assert_eq!(whole.iter().filter(|[_, _, what]| what.starts_with("link")).count(), tree.links_len());
        let mut random = Random::new(1);
        for round in 1..=200 {
            let unit = random.below(plan.units.len());
            side.unplug(unit).unwrap();
            assert_eq!((side.alive(unit), side.store.len()), (0, objects - plan.units[unit].len));
            side.replug(unit, round).unwrap();
            assert_eq!(side.alive(unit), plan.units[unit].len);
        }
        assert_eq!(listing(&side), whole);
        assert_eq!(side.store.len(), objects);
    }
}

#[test]
fn what_is_unplugged_takes_its_links_along_and_nothing_else() {
    for tree in trees() {
        let plan = Plan::new(&tree, &links(&tree)).unwrap();
        let side = EnodevSide::new(&plan).unwrap();
        let whole = listing(&side);
        for (unit, planned) in plan.units.iter().enumerate() {
            let top = &tree.dirs[planned.top].path;
            let within = |path: &str| path == top || path.starts_with(&format!("{top}/"));
            let goes = |[dir, _, what]: &[String; 3]| {
                within(dir) || what.split_once(" /").is_some_and(|(_, target)| within(target))
            };
            side.unplug(unit).unwrap();
            assert!(listing(&side).iter().eq(whole.iter().filter(|entry| !goes(entry))), "{top}");
            side.replug(unit, 1).unwrap();
            let linked = whole.iter().filter(|entry| goes(entry) && entry[2].starts_with("link")).count();
            assert_eq!(planned.links.len(), linked);
        }
        assert_eq!(listing(&side), whole);
    }
}
