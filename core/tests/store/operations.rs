//! Every operation that takes a handle or a file, on everything that these may name: as `docs/errno.md` tells it.

mod drivers;
mod objects;
mod others;
mod order;
mod subject;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use enodev::DeviceHandle;

use objects::OPERATIONS;
use subject::{Run, SORTS, STATES, Sort, State, Subject};
use table::{Table, table};

/// Whose methods the tables are about.
const OWNERS: [&str; 8] = ["Store", "NewDevice", "File", "Sole", "PlainAttr", "Changed", "Session", "SpaceSession"];

/// The row as it ought to be, if it is not.
fn wrong_row(
    name: &str,
    columns: &[String],
    told: &[String],
    mut ask: impl FnMut(&str, &str) -> String,
) -> Option<String> {
    let answers: Vec<_> = columns.iter().zip(told).map(|(column, told)| ask(column, told)).collect();
    (answers != told).then(|| format!("{name} | {}", answers.join(" | ")))
}

fn ask(sort: Sort, state: State, run: Run, told: &str) -> String {
    let subject = Subject::new(sort, state);
    if state != State::Leaving {
        return subject.ask(run);
    }
    let waits = told.strip_prefix("waits, ");
    let answer = subject.ask_as_it_leaves(run, waits.is_some());
    if waits.is_some() { format!("waits, {answer}") } else { answer }
}

/// S2-9, S2-4, S3-6, T34, F3, E-6, E-21: every operation answers what the table says, in each state of what it is about, for shared
/// and for exclusive payloads; and where it fails it leaves no trace in its own store, on what stands beside it, on the object that has
/// taken its slot, or in another store.
#[test]
fn every_operation_answers_what_the_table_says() {
    let Table { columns, rows } = table("Objects");
    assert_eq!(columns, STATES.map(|(column, _)| column));
    let names: Vec<_> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, OPERATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for ((name, told), (_, run)) in rows.iter().zip(OPERATIONS) {
        assert_eq!(told.len(), columns.len(), "{name}");
        for sort in SORTS {
            let (shared, exclusive) = (name.contains("::enter"), name.contains("::enter_mut"));
            if exclusive && sort == Sort::Shared || shared && !exclusive && sort == Sort::Exclusive {
                continue;
            }
            wrong.extend(wrong_row(name, &columns, told, |column, told| {
                let (_, state) = STATES.into_iter().find(|(name, _)| *name == column).unwrap();
                ask(sort, state, *run, told)
            }));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// S2-9, E-43: no part of a handle is a wildcard, to whatever operation: other generations and other stores' tags of a live slot, slots
/// never used, and patterns of no meaning are answered as the null handle is.
#[test]
fn every_operation_takes_a_forged_handle_for_null() {
    let Table { columns, rows } = table("Objects");
    let null = columns.iter().position(|column| column == "null").unwrap();
    let live = Subject::new(Sort::Shared, State::Alive).object.to_bits();
    let (index, version) = (live & 0xffff_ffff, live & !0xffff_ffff);
    let mut forged = vec![DeviceHandle::null().to_bits(), 0, u64::MAX, index, version | 0xffff];
    forged.extend([version | 0xffff_ffff, version | 0xffff_ffbf, 1 << 32 | index]);
    for ((name, told), (_, run)) in rows.iter().zip(OPERATIONS) {
        let mut subject = Subject::new(Sort::Shared, State::Null);
        let here = subject.world.store.lookup("/sda").unwrap().to_bits();
        // Bit 32 is always set; all the others of the version are the generation's and the tag's.
        for bits in forged.iter().copied().filter(|bits| *bits != here).chain((33..64).map(|bit| here ^ 1 << bit)) {
            subject.object = DeviceHandle::from_bits(bits);
            assert_eq!(run(&mut subject), told[null], "{name} of {bits:#x}");
        }
    }
}

/// S2-9: the tables are complete: every public method of a store, a device to be, a file or a plain attribute has its row, or takes nothing that could
/// be stale.
#[test]
fn no_operation_is_left_out() {
    let without = [
        "Store::new",
        "Store::with_strategy",
        "Store::root",
        "Store::len",
        "Store::is_empty",
        "Store::flush",
        "Store::session",
        "Store::create_space",
        "Store::reap",
        "Store::keep_obituaries",
        "Store::register_bus",
        "Store::observe",
        "Store::new_device",
        "Store::stats",
        "Store::audit",
        "Store::portable",
        "Store::recall",
        "Store::define",
        "Store::define_group",
        "Store::define_attribute",
        "PlainAttr::handle",
    ];
    let of = |heading| table(heading).rows.into_iter().map(|(name, _)| name);
    let listed: BTreeSet<_> = ["Objects", "Attributes, groups and types", "Buses, drivers, classes and observers"]
        .into_iter()
        .flat_map(of)
        .collect();
    let listed: BTreeSet<_> = listed.iter().map(|name| name.split(' ').next().unwrap()).collect();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut methods = BTreeSet::new();
    for source in fs::read_dir(sources).unwrap() {
        let source = source.unwrap().path();
        if source.is_dir() {
            continue;
        }
        let source = fs::read_to_string(source).unwrap();
        let mut owner = None;
        for line in source.lines() {
            if let Some(of) = line.strip_prefix("impl") {
                owner = OWNERS.into_iter().find(|owner| of.contains(&format!(" {owner}")) && !of.contains(" for "));
            }
            let name = line.strip_prefix("    pub fn ").and_then(|rest| rest.split(['(', '<']).next());
            if let (Some(owner), Some(name)) = (owner, name) {
                methods.insert(format!("{owner}::{name}"));
            }
        }
    }
    assert!(methods.len() > 60, "the sources are elsewhere");
    let known: BTreeSet<_> = listed.iter().copied().chain(without).collect();
    let methods: BTreeSet<_> = methods.iter().map(String::as_str).chain(["File", "Changed"]).collect();
    assert_eq!(methods.difference(&known).collect::<Vec<_>>(), [&""; 0], "have no row");
    assert_eq!(known.difference(&methods).collect::<Vec<_>>(), [&""; 0], "are no methods");
}
