//! What waits for an epoch is counted, worked off, and reported with those who hold it up.

use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Instant;
use std::{iter, mem};

use enodev_handles::{Arena, Domain, Garbage, Pin, Strategy};

use crate::common::{Disk, Drops, Token, disks};

/// An arena hands over so many objects at once.
const BATCH: usize = Domain::GARBAGE_BOUND / 16;

type Disks = Arena<Disk, Token, ()>;

/// Adds and removes so many objects.
fn churn(arena: &Disks, drops: &Drops, objects: usize) {
    for _ in 0..objects {
        let handle = arena.insert(drops.token(), ()).unwrap();
        arena.remove(handle).unwrap();
    }
}

/// A thread that does what it is told, and lives on in between.
struct Puppet {
    id: ThreadId,
    orders: Sender<Order>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

type Order = Box<dyn for<'d> FnOnce(&'d Domain, &mut Vec<Pin<'d>>) + Send>;

impl Puppet {
    fn new(name: Option<&str>, domain: &Domain) -> Self {
        let (orders, received) = mpsc::channel::<Order>();
        let (report, done) = mpsc::channel();
        let domain = domain.clone();
        let live = move || {
            let mut pins = Vec::new();
            for order in received {
                order(&domain, &mut pins);
                report.send(()).unwrap();
            }
        };
        let builder = thread::Builder::new();
        let thread = name.into_iter().fold(builder, |builder, name| builder.name(name.to_owned())).spawn(live).unwrap();
        Self { id: thread.thread().id(), orders, done, thread }
    }

    fn pinned(name: &str, domain: &Domain) -> Self {
        let puppet = Self::new(Some(name), domain);
        puppet.pin();
        puppet
    }

    fn run(&self, order: impl for<'d> FnOnce(&'d Domain, &mut Vec<Pin<'d>>) + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
        self.done.recv().unwrap();
    }

    fn pin(&self) {
        self.run(|domain, pins| pins.push(domain.pin()));
    }

    fn unpin(&self) {
        self.run(|_, pins| drop(pins.pop()));
    }

    /// Returns when the thread has ended.
    fn end(self) {
        drop(self.orders);
        self.thread.join().unwrap();
    }
}

fn names(garbage: &Garbage) -> Vec<Option<&str>> {
    garbage.pinned.iter().map(|thread| thread.name.as_deref()).collect()
}

/// Garbage grows while a thread is pinned, and the report says how much it is, which thread it is, and since when at least.
/// When the thread has dropped its pin there is neither garbage nor a name, though it lives on.
#[test]
fn who_holds_up_garbage_is_named() {
    let drops = Drops::default();
    let arena: Disks = disks(Strategy::Auto);
    let domain = arena.domain();
    let began = Instant::now();
    let reader = Puppet::pinned("reader", domain);
    let pinned = Instant::now();
    assert_eq!(domain.garbage().objects, 0);
    assert!(domain.garbage().pinned.is_empty(), "a pin that holds nothing up is nobody's business");
    churn(&arena, &drops, BATCH);
    let handed = Instant::now();
    for batches in 2..200 {
        churn(&arena, &drops, BATCH);
        assert_eq!((domain.garbage().objects, drops.count()), (batches * BATCH, 0));
    }
    let Garbage { objects, pinned: threads, .. } = domain.garbage();
    let [thread] = threads.as_slice() else { panic!("{threads:?}") };
    assert_eq!((objects, thread.thread, thread.name.as_deref()), (199 * BATCH, reader.id, Some("reader")));
    assert!(pinned <= thread.since && thread.since - pinned <= (handed - began).max(began.elapsed() / 6));
    assert_eq!(arena.flush(), objects);
    reader.unpin();
    assert_eq!((arena.flush(), domain.garbage().objects, drops.count()), (0, 0, objects));
    assert!(domain.garbage().pinned.is_empty());
    reader.end();
}

/// While the batches that came since are few, the moment is that of the first of them.
#[test]
fn the_moment_is_that_of_the_first_batch_that_is_held_up() {
    let arena: Disks = disks(Strategy::Auto);
    let reader = Puppet::pinned("reader", arena.domain());
    let mut moments = Vec::new();
    for _ in 0..10 {
        moments.push(Instant::now());
        churn(&arena, &Drops::default(), BATCH);
    }
    let threads = arena.domain().garbage().pinned;
    let [thread] = threads.as_slice() else { panic!("{threads:?}") };
    assert!(moments[0] <= thread.since && thread.since <= moments[1]);
    reader.end();
}

/// Who has held garbage up for the longest time comes first.
#[test]
fn the_oldest_pin_is_named_first() {
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let mut threads = Vec::new();
    for name in ["b", "c", "a"] {
        threads.push(Puppet::pinned(name, arena.domain()));
        churn(&arena, &drops, 3 * BATCH);
    }
    let _own = arena.domain().pin();
    let garbage = arena.domain().garbage();
    assert_eq!(names(&garbage), [Some("b"), Some("c"), Some("a")], "nothing has come since the last pin");
    assert!(garbage.pinned.is_sorted_by(|one, next| one.since < next.since));
    threads.into_iter().for_each(Puppet::end);
}

/// Removals work off by themselves what has piled up behind a pin, once it has gone: a few batches later no more is waiting
/// than may, and one removal does no more of it than it is meant to.
#[test]
fn removals_work_off_what_has_piled_up() {
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let reader = Puppet::pinned("reader", arena.domain());
    churn(&arena, &drops, 100 * BATCH);
    assert_eq!(drops.count(), 0);
    reader.unpin();
    churn(&arena, &drops, BATCH);
    let first = drops.count();
    assert!((16 * BATCH..=40 * BATCH).contains(&first), "{} batches at once", first / BATCH);
    churn(&arena, &drops, 4 * BATCH);
    assert!(arena.domain().garbage().objects <= Domain::GARBAGE_BOUND);
    reader.end();
}

/// While nobody is pinned, garbage stays within the bound, and a batch beyond it, however much is removed.
#[test]
fn garbage_stays_within_the_bound() {
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    for round in 1..=10 * BATCH {
        churn(&arena, &drops, 5);
        assert!(arena.garbage() <= Domain::GARBAGE_BOUND + BATCH);
        assert!(
            arena.garbage() - arena.domain().garbage().objects < BATCH,
            "more than the rest of a batch is not counted"
        );
        assert_eq!(arena.garbage() + drops.count(), 5 * round);
    }
}

/// A domain knows nothing of another's pins: they hold nothing up there and are not named, though it be the same thread.
#[test]
fn domains_do_not_see_each_other_s_pins() {
    let (here, there): (Disks, Disks) = (disks(Strategy::Auto), disks(Strategy::Auto));
    let drops = Drops::default();
    let both = Puppet::pinned("both", here.domain());
    let second = there.domain().clone();
    both.run(move |_, _| drop(second.pin()));
    let elsewhere = Puppet::pinned("elsewhere", there.domain());
    churn(&there, &drops, 10 * BATCH);
    churn(&here, &drops, 10 * BATCH);
    assert_eq!(names(&there.domain().garbage()), [Some("elsewhere")]);
    assert_eq!(names(&here.domain().garbage()), [Some("both")]);
    elsewhere.unpin();
    assert_eq!((there.flush(), here.flush()), (0, 10 * BATCH));
    both.end();
    assert_eq!(here.flush(), 0);
    elsewhere.end();
}

/// S0-3: a report owns the names in it. They are good when the threads and the domain have gone.
#[test]
fn names_are_copies() {
    let arena: Disks = disks(Strategy::Auto);
    let name = format!("reader-{}", 7);
    let (named, unnamed) = (Puppet::pinned(&name, arena.domain()), Puppet::new(None, arena.domain()));
    unnamed.pin();
    churn(&arena, &Drops::default(), BATCH);
    let garbage = arena.domain().garbage();
    let ids = [named.id, unnamed.id];
    named.end();
    unnamed.end();
    drop((arena, name));
    let mut told: Vec<_> = garbage.pinned.iter().map(|thread| (thread.name.as_deref(), thread.thread)).collect();
    told.sort_by_key(|(name, _)| name.is_none());
    assert_eq!(told, [(Some("reader-7"), ids[0]), (None, ids[1])]);
}

/// A thread that has ended is not named, nor does it hold anything up: its pins ended with it.
#[test]
fn a_thread_that_has_ended_is_not_named() {
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let (one, other) = (Puppet::pinned("one", arena.domain()), Puppet::pinned("other", arena.domain()));
    churn(&arena, &drops, BATCH);
    let mut told = arena.domain().garbage();
    told.pinned.sort_by_key(|thread| thread.name.clone());
    assert_eq!(names(&told), [Some("one"), Some("other")]);
    one.end();
    assert_eq!(names(&arena.domain().garbage()), [Some("other")]);
    other.end();
    let left = arena.domain().garbage();
    assert_eq!((left.objects, names(&left)), (BATCH, vec![]));
    assert_eq!(arena.domain().flush(), 0);
}

/// Pins nest: the outermost counts, in whatever order they are dropped; and a pin that is not the only one cannot be renewed.
#[test]
fn the_outermost_pin_counts() {
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let domain = arena.domain();
    let since = || domain.garbage().pinned.first().map(|thread| thread.since);
    let reader = Puppet::pinned("reader", domain);
    churn(&arena, &drops, BATCH);
    let first = since();
    assert!(first.is_some());
    for change in [
        (|domain, pins| pins.push(domain.pin())) as for<'d> fn(&'d Domain, &mut Vec<Pin<'d>>),
        |_, pins| pins[1].repin(),
        |_, pins| pins[0].repin(),
        |_, pins| drop(pins.remove(0)),
    ] {
        reader.run(change);
        assert_eq!((domain.flush(), since()), (BATCH, first));
    }
    reader.run(|_, pins| pins[0].repin());
    assert!(since().is_none(), "a pin that was renewed is as good as a new one");
    // What came just before a pin may have to wait for it once more.
    domain.flush();
    reader.run(|_, pins| pins[0].repin());
    assert_eq!((domain.flush(), since()), (0, None));
    churn(&arena, &drops, BATCH);
    assert!(since() > first);
    reader.end();
}

/// Nothing is left after a flush though many threads have come and gone behind a pin, each leaving its own bag to the
/// collector, before anything was removed.
#[test]
fn a_flush_gets_past_the_bags_of_threads_that_have_ended() {
    const THREADS: usize = if cfg!(miri) { 50 } else { 300 };
    let (arena, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let reader = Puppet::pinned("reader", arena.domain());
    for _ in 0..THREADS {
        thread::scope(|scope| scope.spawn(|| drop(arena.domain().pin())).join().unwrap());
    }
    churn(&arena, &drops, 3);
    assert_eq!(arena.flush(), 3);
    reader.unpin();
    assert_eq!((arena.domain().flush(), arena.flush(), drops.count()), (0, 0, 3));
    reader.end();
}

/// A domain's flush reclaims what any thread has handed over in any arena, and leaves an arena what that still gathers. With a
/// pin held elsewhere, or by the caller, it tells how much is left.
#[test]
fn a_domain_s_flush_is_for_all_its_arenas() {
    enum Bus {}
    impl enodev_handles::Kind for Bus {
        const NAME: &'static str = "Bus";
    }
    let (disks, drops): (Disks, _) = (disks(Strategy::Auto), Drops::default());
    let domain = disks.domain();
    let buses: Arena<Bus, Token, ()> = Arena::new(domain).unwrap();
    let reader = Puppet::pinned("reader", domain);
    thread::scope(|scope| {
        scope.spawn(|| churn(&disks, &drops, 2 * BATCH + 1)).join().unwrap();
        for _ in 0..3 * BATCH {
            buses.remove(buses.insert(drops.token(), ()).unwrap()).unwrap();
        }
    });
    assert_eq!(domain.flush(), 5 * BATCH);
    reader.unpin();
    let own = domain.pin();
    churn_elsewhere(&disks, &drops, BATCH);
    assert!(domain.flush() >= BATCH);
    assert_eq!(domain.garbage().pinned[0].thread, thread::current().id());
    drop(own);
    assert_eq!((domain.flush(), disks.garbage(), buses.garbage(), drops.count()), (0, 1, 0, 6 * BATCH));
    assert_eq!(disks.flush(), 0);
    reader.end();
}

fn churn_elsewhere(arena: &Disks, drops: &Drops, objects: usize) {
    thread::scope(|scope| scope.spawn(|| churn(arena, drops, objects)).join().unwrap());
}

/// A pin that was forgotten holds garbage up and is named, also when its thread has ended; a domain that is dropped leaves nothing
/// behind because of it, neither in a thread that lives on nor for one that has gone.
#[test]
fn a_forgotten_pin_ends_with_its_domain() {
    for lives_on in [false, true] {
        let drops = Drops::default();
        let arena: Disks = disks(Strategy::Auto);
        let reader = Puppet::new(Some("reader"), arena.domain());
        reader.run(|domain, _| mem::forget(domain.pin()));
        churn(&arena, &drops, 10 * BATCH);
        reader.end();
        assert_eq!((arena.flush(), names(&arena.domain().garbage())), (10 * BATCH, vec![Some("reader")]));
        if lives_on {
            // This thread goes on when the domain has gone.
            mem::forget(arena.domain().pin());
        }
        drop(arena);
        assert_eq!(drops.count(), 10 * BATCH);
    }
}

/// Run as it is dropped, on its own thread.
struct Will(Option<Box<dyn FnOnce()>>);

impl Drop for Will {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|will| will());
    }
}

thread_local! {
    static WILL: Cell<Will> = const { Cell::new(Will(None)) };
}

/// A pin that a thread has kept to its last destructors, beyond the end of its own part, protects as any other, is found there, and
/// ends when it is dropped.
#[test]
fn a_pin_that_was_kept_to_the_end_still_counts() {
    let drops = Drops::default();
    let arena: &'static Disks = Box::leak(Box::new(disks(Strategy::Auto)));
    let (tell, told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let dying = thread::Builder::new().name("dying".into()).spawn(move || {
        // Set up first, so that it is destroyed last.
        WILL.set(Will(None));
        let pins = [arena.domain().pin(), arena.domain().pin()];
        WILL.set(Will(Some(Box::new(move || {
            let [first, second] = pins;
            drop(first);
            let third = arena.domain().pin();
            tell.send(arena.domain().is_pinned()).unwrap();
            let _ = wait.recv();
            drop((second, third));
            tell.send(arena.domain().is_pinned()).unwrap();
            drop(arena.domain().pin());
        }))));
    });
    let dying = dying.unwrap();
    assert_eq!(told.recv(), Ok(true));
    churn(arena, &drops, 3 * BATCH);
    assert_eq!((arena.flush(), names(&arena.domain().garbage())), (3 * BATCH, vec![Some("dying")]));
    go_on.send(()).unwrap();
    assert_eq!(told.recv(), Ok(false));
    dying.join().unwrap();
    assert_eq!((arena.flush(), drops.count()), (0, 3 * BATCH));
}

/// A thread that goes from domain to domain, more of them than it remembers at once, has its own pin in each, and what it
/// remembers of those that have gone does no harm.
#[test]
fn a_thread_may_be_pinned_in_many_domains() {
    let domains: Vec<Domain> = iter::repeat_with(|| Domain::new().unwrap()).take(10).collect();
    let pins: Vec<Pin<'_>> = domains.iter().step_by(2).map(Domain::pin).collect();
    let pinned = || domains.iter().map(Domain::is_pinned).collect::<Vec<_>>();
    assert_eq!(pinned(), [true, false].repeat(5));
    drop(pins);
    assert_eq!(pinned(), [false; 10]);
    drop(domains);
    for _ in 0..50 {
        let domain = Domain::new().unwrap();
        assert!(!domain.is_pinned());
        let pin = domain.pin();
        assert!(domain.is_pinned());
        drop(pin);
        assert!(!domain.is_pinned());
    }
}
