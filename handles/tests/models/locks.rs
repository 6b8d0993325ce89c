//! Locks that take part in the search for deadlocks.

use std::sync::Arc;

use enodev_handles::sync::thread;
use enodev_handles::{Exclusion, RemoveError};

use crate::check;
use crate::common::{Meeting, disks, plug};

/// What a lock guards.
#[derive(Default)]
struct Guarded {
    /// loom's: two uses of it of which neither comes before the other, by what the lock orders, are an error of loom's.
    #[cfg(loom)]
    body: loom::cell::UnsafeCell<()>,
    count: usize,
}

impl Guarded {
    fn count(&mut self) {
        #[cfg(loom)]
        self.body.with_mut(|_| ());
        self.count += 1;
    }
}

fn count_in(threads: usize, times: usize) {
    let exclusion = Arc::new(Exclusion::new(Guarded::default()));
    let work = {
        let exclusion = Arc::clone(&exclusion);
        move || (0..times).for_each(|_| exclusion.lock().unwrap().count())
    };
    let others: Vec<_> = (1..threads).map(|_| thread::spawn(work.clone())).collect();
    work();
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(exclusion.lock().unwrap().count, threads * times);
}

/// Those who want one lock hold it one after the other, and all of them do: none is left asleep.
#[test]
fn all_who_want_a_lock_hold_it_in_turn() {
    check(|| count_in(2, 1));
}

/// So it is where several sleep, and where some come back.
#[test]
#[cfg(shuttle)]
fn several_sleepers_are_all_woken() {
    check(|| count_in(4, 3));
}

/// Each of two holds one lock and wants the other's: one is told, and the other has it as that one gives up.
#[test]
fn of_two_that_want_each_others_lock_one_is_told() {
    check(|| {
        let locks = Arc::new([(); 2].map(|()| Exclusion::new(())));
        let meeting = Meeting::of(2);
        let cross = {
            let (locks, meeting) = (Arc::clone(&locks), Arc::clone(&meeting));
            move |at: usize| {
                let _held = locks[at].lock().unwrap();
                meeting.come();
                usize::from(locks[1 - at].lock().is_err())
            }
        };
        let other = thread::spawn({
            let cross = cross.clone();
            move || cross(1)
        });
        assert_eq!(cross(0) + other.join().unwrap(), 1);
    });
}

/// D-1: one removes an object with a lock held that somebody inside wants: one of the two is told.
#[test]
fn of_a_remover_and_one_inside_that_wants_its_lock_one_is_told() {
    check(|| {
        let (disks, lock, meeting) = (disks(), Arc::new(Exclusion::new(())), Meeting::of(2));
        let (sda, witness) = plug(&disks);
        let remover = thread::spawn({
            let (disks, lock, meeting) = (Arc::clone(&disks), Arc::clone(&lock), Arc::clone(&meeting));
            move || {
                let _held = lock.lock().unwrap();
                meeting.come();
                disks.remove(sda).map(drop).err()
            }
        });
        let inside = disks.enter(sda).unwrap();
        meeting.come();
        let is_told = lock.lock().is_err();
        inside.visit();
        drop(inside);
        assert_eq!(remover.join().unwrap(), (!is_told).then_some(RemoveError::Deadlock));
        assert_eq!(disks.reap(), usize::from(!is_told));
        witness.assert_gone();
    });
}
