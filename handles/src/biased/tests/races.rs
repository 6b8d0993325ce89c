//! The two races that the fences decide: taking the reservation back against entering, and against leaving. See
//! `records/tests/races.rs` for how they are made to be lost where a fence is missing.

#![expect(unsafe_code, reason = "a lock that nobody gives up is taken away")]

use super::*;

use crate::records::tests::races::{CLOSE, FarAway, Over, ROUNDS, is_reached, one_at_a_time, run_on, soon};
use crate::sync::atomic::AtomicUsize;

struct Race {
    biased: Biased<()>,
    /// The round that the owner has begun, and the one in which the other has taken the reservation back.
    begun: AtomicUsize,
    revoked: AtomicUsize,
    /// The round in which the other has had the lock.
    had: AtomicUsize,
}

/// Has an owner and another thread run, each on a processor of its own, with either sort of fences.
fn run(name: &str, own: impl Fn(&Race) + Sync, revoke: impl Fn(&Race, usize) + Sync) {
    one_at_a_time(module_path!(), name, || {
        for fences in fences() {
            let [begun, revoked, had] = [(); 3].map(|()| AtomicUsize::new(0));
            let race = Race { biased: Biased::with_fences(fences, ()), begun, revoked, had };
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _over = Over(&race.revoked);
                    run_on(0);
                    let mut far_away = FarAway::new();
                    for round in (1..).take_while(|round| is_reached(&race.begun, *round)) {
                        // The more it looks at the owner's number, the longer a store there takes.
                        (0..round % 32).for_each(|_| assert_ne!(race.biased.inside(), SHARED));
                        if round % 2 == 0 {
                            far_away.write();
                        }
                        revoke(&race, round);
                        race.revoked.store(round, Ordering::Release);
                    }
                });
                scope.spawn(|| {
                    let _over = Over(&race.begun);
                    run_on(1);
                    own(&race);
                });
            });
        }
    });
}

impl Race {
    /// The owner's rounds. In each it has the lock reserved.
    fn rounds(&self) -> impl Iterator<Item = usize> {
        let me = records::current().number();
        let is_next = move |round: &usize| {
            let is_next = is_reached(&self.revoked, *round - 1);
            self.biased.reserved.store(me, Ordering::SeqCst);
            is_next
        };
        (1..ROUNDS).take_while(is_next)
    }

    fn is_revoked(&self) -> bool {
        self.biased.reserved.load(Ordering::Relaxed) >= REVOKING
    }
}

/// Either the owner sees that its reservation is being taken back, or it is made the holder of the ordinary lock, and nobody else has
/// that before it has left.
#[test]
fn no_revocation_overlooks_an_owner() {
    let own = |race: &Race| {
        let (mut far_away, mut close, mut overlooked) = (FarAway::new(), 0, 0);
        for round in race.rounds() {
            if close == CLOSE {
                break;
            }
            race.begun.store(round, Ordering::Release);
            far_away.write();
            let guard = race.biased.enter();
            if guard.is_some() {
                close += usize::from(!race.is_revoked() && soon(20, || race.is_revoked()));
                if is_reached(&race.revoked, round) {
                    overlooked += usize::from(race.had.load(Ordering::Relaxed) == round);
                }
            }
        }
        assert_eq!(overlooked, 0, "{:?}: of {close} close ones", race.biased.fences);
    };
    let revoke = |race: &Race, round| {
        assert_eq!(race.biased.revoke(records::current().number()), Ok(true));
        if race.biased.raw.try_lock() {
            race.had.store(round, Ordering::Relaxed);
            // SAFETY: this holds it.
            unsafe { race.biased.raw.unlock() };
        }
    };
    run("no_revocation_overlooks_an_owner", own, revoke);
}

/// Either the owner sees that it has been made the holder of the ordinary lock, and gives it up, or the other sees that it has left.
#[test]
fn no_owner_leaves_a_lock_behind() {
    let own = |race: &Race| {
        let (mut far_away, mut close, mut left_behind) = (FarAway::new(), 0, 0);
        for round in race.rounds() {
            if close == CLOSE {
                break;
            }
            let guard = race.biased.enter();
            assert!(guard.is_some());
            race.begun.store(round, Ordering::Release);
            far_away.write();
            let was_revoked = race.is_revoked();
            drop(guard);
            close += usize::from(!was_revoked && soon(20, || race.is_revoked()));
            if is_reached(&race.revoked, round) && race.biased.raw.is_locked() {
                left_behind += 1;
                // SAFETY: this thread is the holder that it was made.
                unsafe { race.biased.raw.unlock() };
            }
        }
        assert_eq!(left_behind, 0, "{:?}: of {close} close ones", race.biased.fences);
    };
    let revoke = |race: &Race, round: usize| {
        (0..round * 7 % 256).for_each(|_| std::hint::spin_loop());
        assert_eq!(race.biased.revoke(records::current().number()), Ok(true));
    };
    run("no_owner_leaves_a_lock_behind", own, revoke);
}
