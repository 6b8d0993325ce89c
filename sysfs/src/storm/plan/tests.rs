use super::*;
use crate::load::all_links;
use crate::random::Random;
use crate::scan::Draft;

/// The builtin tree, and some that are made by chance: deep ones and wide ones, larger than a unit may be.
pub(in crate::storm) fn trees() -> Vec<Scanned> {
    let chance = (1..=12).map(|seed| by_chance(&mut Random::new(seed), 40 * seed as usize));
    std::iter::once(crate::builtin()).chain(chance).collect()
}

fn by_chance(random: &mut Random, dirs: usize) -> Scanned {
    const TOPS: [&str; 3] = ["devices", "devices", "class"];
    let mut paths: Vec<String> = vec!["devices".into(), "class".into()];
    let mut draft = Draft::default();
    for n in 0..dirs {
        let above =
            if random.below(8) == 0 { TOPS[random.below(3)].into() } else { paths[random.below(paths.len())].clone() };
        let path = format!("{above}/{n}");
        draft.text(&path, "name", 0o444, &path);
        if random.below(3) > 0 {
            draft.text(&path, "uevent", 0o644, "");
        }
        paths.push(path);
    }
    for n in 0..dirs {
        let (at, to) = (&paths[random.below(paths.len())], &paths[random.below(paths.len())]);
        draft.link(at, &format!("link{n}"), &format!("/sys/{to}"));
    }
    draft.link("devices", "root", "/sys");
    draft.finish()
}

pub(in crate::storm) fn links(tree: &Scanned) -> Vec<Link> {
    all_links(tree).flatten().collect()
}

/// Looks at the plans of all trees.
fn each(look: impl Fn(&Plan<'_>, &[Link])) {
    for tree in trees() {
        let links = links(&tree);
        assert_eq!(links.len(), tree.links_len());
        look(&Plan::new(&tree, &links).unwrap(), &links);
    }
}

#[test]
fn no_two_units_overlap_and_each_is_a_whole_subtree_of_devices() {
    each(|plan, _| {
        let dirs = &plan.tree.dirs;
        let mut unit_of = vec![plan.units.len(); dirs.len()];
        for (n, unit) in plan.units.iter().enumerate() {
            assert!((1..=UNIT_MAX).contains(&unit.len));
            let top = &dirs[unit.top].path;
            assert!(top.starts_with("devices/"), "{top}");
            let below = format!("{top}/");
            let is_in = |index: &usize| dirs[*index].path == *top || dirs[*index].path.starts_with(&below);
            assert!(unit.dirs().eq((0..dirs.len()).filter(is_in)), "{top} is not all of a subtree");
            for dir in unit.dirs() {
                assert_eq!(unit_of[dir], plan.units.len(), "{} is in two units", dirs[dir].path);
                unit_of[dir] = n;
            }
        }
        assert!((0..dirs.len()).map(|dir| plan.unit_of(dir)).eq(unit_of));
    });
}

#[test]
fn units_are_as_large_as_they_may_be() {
    let mut descended = false;
    for tree in trees() {
        let plan = Plan::new(&tree, &[]).unwrap();
        for unit in &plan.units {
            let above = plan.tree.dirs[unit.top].parent.unwrap();
            let large = plan.tree.subtree_len(above) > UNIT_MAX;
            assert!(large || plan.tree.dirs[above].path == "devices");
            descended |= large && plan.tree.dirs[above].path != "devices";
        }
    }
    assert!(descended, "a tree with a subtree that is larger than a unit");
}

#[test]
fn a_unit_knows_all_the_links_that_go_with_it() {
    each(|plan, links| {
        for unit in &plan.units {
            let touches = |link: &&Link| unit.dirs().contains(&link.dir) || unit.dirs().contains(&link.target);
            assert!(links.iter().filter(touches).eq(&unit.links));
        }
        assert!(plan.units.iter().any(|unit| !unit.links.is_empty()));
    });
}

#[test]
fn a_place_expects_what_the_scan_found() {
    let (tree, mut errors) = (crate::builtin(), 0);
    let plan = Plan::new(&tree, &[]).unwrap();
    for place in &plan.places {
        let attribute = &tree.dirs[place.dir].attributes[place.attribute];
        assert_eq!(plan.unit_of(place.dir), place.unit);
        match (&attribute.content, &place.expect) {
            (Content::Bytes(bytes), Ok(expect)) => assert_eq!(bytes, expect),
            (Content::Errno(errno), Err(expect)) => {
                assert_eq!(*errno, expect.raw());
                errors += 1;
            }
            (content, expect) => panic!("{content:?} is not {expect:?}"),
        }
    }
    let readable = tree.dirs.iter().flat_map(|dir| &dir.attributes).filter(|it| it.mode & 0o444 != 0);
    assert_eq!(plan.places.len(), readable.count());
    assert!(errors > 0);
}

#[test]
fn without_anything_to_read_in_a_device_there_is_no_plan() {
    let finished = |fill: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::default();
        fill(&mut draft);
        draft.finish()
    };
    for tree in [
        finished(&|_| ()),
        finished(&|draft| draft.text("class/disk", "size", 0o444, "8\n")),
        finished(&|draft| draft.text("devices", "size", 0o444, "8\n")),
        finished(&|draft| draft.text("devices/disk", "reset", 0o200, "")),
        finished(&|draft| {
            draft.text("devices/disk", "reset", 0o200, "");
            draft.text("class/disk", "size", 0o444, "8\n");
        }),
    ] {
        assert!(Plan::new(&tree, &links(&tree)).is_none(), "{tree:?}");
    }
    let tree = finished(&|draft| draft.text("devices/disk", "size", 0o444, "8\n"));
    assert!(Plan::new(&tree, &[]).is_some());
}
