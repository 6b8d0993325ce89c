//! More threads, and longer, than loom gets through.

use std::sync::Arc;
use std::time::Instant;

use enodev_handles::sync::thread;
use enodev_handles::{Handle, RemoveError};

use crate::awaited::block_on;
use crate::check;
use crate::common::{Disk, Disks, disks, plug, remove_all, visit};

/// S0-3: a batch, and others who remove some of it one by one: each object goes once, and each remover returns when what it asked
/// for is gone.
#[test]
fn batches_and_single_removals_take_each_object_once() {
    check(|| {
        let disks = disks();
        let all = [plug(&disks), plug(&disks), plug(&disks)];
        let handles = all.each_ref().map(|(disk, _)| *disk);
        let reader = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                for disk in handles {
                    visit(&disks, disk);
                }
            }
        });
        let single = thread::spawn({
            let disks = Arc::clone(&disks);
            let witness = Arc::clone(&all[1].1);
            move || {
                let gone = usize::from(disks.remove(handles[1]).is_ok());
                witness.assert_gone();
                gone
            }
        });
        let backwards = thread::spawn({
            let disks = Arc::clone(&disks);
            move || remove_all(&disks, [handles[2], handles[1], handles[0]])
        });
        let gone = remove_all(&disks, handles);
        let others = single.join().unwrap() + backwards.join().unwrap();
        assert_eq!(gone + others, 3);
        all.iter().for_each(|(_, witness)| witness.assert_gone());
        reader.join().unwrap();
    });
}

/// S0-15, T101: many inside, each of which removes the object; one does, while others are still at work in it.
#[test]
fn of_many_inside_one_removes_and_waits_for_the_rest() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let (disks, witness) = (Arc::clone(&disks), Arc::clone(&witness));
                thread::spawn(move || {
                    let Ok(guard) = disks.enter(sda) else { return 0 };
                    let mut leaving = disks.leave();
                    let mark = leaving.mark(sda);
                    if mark.is_ok() {
                        leaving.defer(|quiet| drop(quiet));
                    }
                    guard.visit();
                    drop(guard);
                    if mark.is_ok() {
                        witness.assert_gone();
                    }
                    usize::from(mark.is_ok())
                })
            })
            .collect();
        let joiner = thread::spawn({
            let disks = Arc::clone(&disks);
            move || disks.join(sda)
        });
        let did: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        assert_eq!(did, 1);
        witness.assert_gone();
        joiner.join().unwrap().unwrap();
    });
}

/// Several drains are awaited on one thread each, for objects that several threads are inside of.
#[test]
fn drains_that_are_awaited_at_once_are_all_woken() {
    check(|| {
        let disks = disks();
        let all = [plug(&disks), plug(&disks)];
        let handles = all.each_ref().map(|(disk, _)| *disk);
        let readers = [handles, [handles[1], handles[0]]].map(|order| {
            let disks = Arc::clone(&disks);
            thread::spawn(move || {
                let guards: Vec<_> = order.iter().filter_map(|disk| disks.enter(*disk).ok()).collect();
                for guard in guards {
                    guard.visit();
                }
            })
        });
        let removers = handles.map(|disk| {
            let disks = Arc::clone(&disks);
            thread::spawn(move || {
                let mut leaving = disks.leave();
                leaving.mark(disk).unwrap();
                drop(block_on(leaving.drained()).unwrap());
            })
        });
        removers.into_iter().for_each(|remover| remover.join().unwrap());
        all.iter().for_each(|(_, witness)| witness.assert_gone());
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// Gives a removal up at once if somebody is inside.
fn try_remove(disks: &Disks, disk: Handle<Disk>) -> usize {
    let mut leaving = disks.leave();
    if leaving.mark(disk).is_err() {
        return 0;
    }
    match leaving.drain_until(Instant::now()) {
        Ok(quiet) => quiet.len(),
        Err((_, error)) => {
            assert_eq!(error, RemoveError::TimedOut);
            0
        }
    }
}

/// Removals that are given up, reaped and joined by several threads: each object goes once.
#[test]
fn what_several_give_up_several_reap() {
    check(|| {
        let disks = disks();
        let all = [plug(&disks), plug(&disks)];
        let handles = all.each_ref().map(|(disk, _)| *disk);
        let workers: Vec<_> = (0..3)
            .map(|at: usize| {
                let disks = Arc::clone(&disks);
                thread::spawn(move || {
                    visit(&disks, handles[at % 2]);
                    let gone = try_remove(&disks, handles[(at + 1) % 2]) + disks.reap();
                    match disks.join(handles[at % 2]) {
                        Ok(()) | Err(RemoveError::Leaving) => gone,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        let gone: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        let gone = gone + disks.reap() + remove_all(&disks, handles);
        assert_eq!(gone, 2);
        all.iter().for_each(|(_, witness)| witness.assert_gone());
    });
}
