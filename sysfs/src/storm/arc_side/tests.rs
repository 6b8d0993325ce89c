use std::collections::BTreeSet;

use enodev_bench::baseline::Kind;

use super::*;
use crate::random::Random;
use crate::storm::plan::tests::{links, trees};

/// What every directory lists: where, the name, and what it is or where it leads.
fn listing(side: &ArcSide<'_>) -> BTreeSet<[String; 3]> {
    let mut all = BTreeSet::new();
    for path in &side.paths {
        for entry in side.store.list(path).unwrap() {
            let target = side.store.get(&format!("{path}/{}", entry.name));
            let target = target.filter(|_| entry.kind != Kind::Attribute).map(|node| node.path().to_owned());
            all.insert([path.clone(), entry.name.into(), format!("{:?} {target:?}", entry.kind)]);
        }
    }
    all
}

/// The baseline does the same work: after many rounds its tree is what it was, with the links that it can have.
#[test]
fn all_is_as_it_was_after_many_rounds() {
    for tree in trees() {
        let links = links(&tree);
        let plan = Plan::new(&tree, &links).unwrap();
        let side = ArcSide::new(&plan, &links).unwrap();
        let (whole, objects) = (listing(&side), side.store.len());
        let linked = whole.iter().filter(|[_, _, what]| what.starts_with("Link Some")).count();
        assert_eq!(linked, links.iter().filter(|link| link.target != 0).count());
        let mut random = Random::new(1);
        for round in 1..=200 {
            let unit = random.below(plan.units.len());
            side.unplug(unit).unwrap();
            assert_eq!((side.alive(unit), side.store.len()), (0, objects - plan.units[unit].len));
            side.replug(unit, round).unwrap();
            assert_eq!(side.alive(unit), plan.units[unit].len);
        }
        assert_eq!(listing(&side), whole);
    }
}
