//! Columns against a map.

use std::collections::BTreeMap;

use enodev_handles::{Handle, SetError, Stale, join};
use proptest::prelude::*;

use crate::common::{DENSITIES, Disk, Drops, disks};

#[derive(Debug, Clone)]
enum Op {
    Add,
    Remove(usize),
    Set(usize, [u64; 2]),
    SetOnce(usize, u8),
    Insert(usize),
    Flush,
    Compare,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => Just(Op::Add),
        3 => (0..40_usize).prop_map(Op::Remove),
        4 => (0..40_usize, any::<[u64; 2]>()).prop_map(|(at, value)| Op::Set(at, value)),
        4 => (0..40_usize, any::<u8>()).prop_map(|(at, value)| Op::SetOnce(at, value)),
        3 => (0..40_usize).prop_map(Op::Insert),
        1 => Just(Op::Flush),
        1 => Just(Op::Compare),
    ];
    proptest::collection::vec(op, 0..200)
}

/// What an object has.
#[derive(Debug, Default, Clone, Copy)]
struct Has {
    value: Option<[u64; 2]>,
    once: Option<u8>,
    payload: bool,
}

/// The answer to something that is refused for a handle that is not alive.
fn expected(has: Option<&Has>, occupied: bool) -> Result<(), SetError> {
    match has {
        None => Err(SetError::Stale(Stale)),
        Some(_) if occupied => Err(SetError::Occupied),
        Some(_) => Ok(()),
    }
}

fn run(ops: Vec<Op>, densities: [usize; 3]) {
    let [one, two, three] = densities.map(|at| DENSITIES[at]);
    let (disks, drops) = (disks(), Drops::default());
    let (values, onces, payloads) = (disks.column(one), disks.once_column(two), disks.payload_column(three));
    let mut issued: Vec<Handle<Disk>> = Vec::new();
    let mut alive: BTreeMap<Handle<Disk>, Has> = BTreeMap::new();
    let mut gone = 0;
    let pick = |issued: &[Handle<Disk>], at: usize| {
        // The later ones more often.
        let from_end = at % issued.len().max(1);
        issued.iter().rev().nth(from_end).copied().unwrap_or(Handle::null())
    };
    for op in ops {
        match op {
            Op::Add => {
                let handle = disks.insert(0, ()).unwrap();
                issued.push(handle);
                alive.insert(handle, Has::default());
            }
            Op::Remove(at) => {
                let handle = pick(&issued, at);
                let had = alive.remove(&handle);
                gone += usize::from(had.is_some_and(|has| has.payload));
                assert_eq!(disks.remove(handle).is_ok(), had.is_some());
                assert_eq!(drops.count(), gone);
            }
            Op::Set(at, value) => {
                let handle = pick(&issued, at);
                let answer = values.set(&disks.domain().pin(), handle, value);
                assert_eq!(answer, expected(alive.get(&handle), false));
                alive.entry(handle).and_modify(|has| has.value = Some(value));
            }
            Op::SetOnce(at, value) => {
                let handle = pick(&issued, at);
                let answer = onces.set(&disks.domain().pin(), handle, value);
                let has = alive.get(&handle);
                assert_eq!(answer, expected(has, has.is_some_and(|has| has.once.is_some())));
                alive.entry(handle).and_modify(|has| has.once = has.once.or(Some(value)));
            }
            Op::Insert(at) => {
                let handle = pick(&issued, at);
                let has = alive.get(&handle);
                let answer = payloads.insert(&disks, handle, drops.token()).map_err(|refused| {
                    std::mem::forget(refused.value);
                    refused.reason
                });
                assert_eq!(answer, expected(has, has.is_some_and(|has| has.payload)));
                alive.entry(handle).and_modify(|has| has.payload = true);
            }
            Op::Flush => assert_eq!(disks.flush(), 0),
            Op::Compare => {
                let pin = disks.domain().pin();
                for handle in &issued {
                    let has = alive.get(handle).ok_or(Stale);
                    assert_eq!(values.get(&pin, *handle), has.map(|has| has.value));
                    assert_eq!(onces.get(&pin, *handle).map(|value| value.copied()), has.map(|has| has.once));
                    let entered = payloads.enter(&disks, *handle).map(|value| value.is_some());
                    assert_eq!(entered, has.map(|has| has.payload));
                }
                let met: Vec<_> = join(&pin, (&values, &onces)).map(|(h, (value, once))| (h, (value, *once))).collect();
                let both: BTreeMap<_, _> =
                    alive.iter().filter_map(|(handle, has)| Some((*handle, (has.value?, has.once?)))).collect();
                assert_eq!(met.len(), both.len());
                assert_eq!(met.into_iter().collect::<BTreeMap<_, _>>(), both);
            }
        }
    }
    let held = alive.values().filter(|has| has.payload).count();
    drop(disks);
    assert_eq!(drops.count(), gone + held);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn columns_agree_with_a_map(ops in ops(), densities in any::<[bool; 3]>()) {
        run(ops, densities.map(usize::from));
    }
}
