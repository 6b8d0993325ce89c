//! Which types are `Send` and `Sync`, and how far lifetimes stretch: what must compile. What must not is in
//! `src/compile_fail.rs`.
//!
//! A new type takes one line: in `check!`, or in `check_parts!` if it depends on the two parts of its objects.

// Nothing here runs but a comparison of constants; `cfg(test)` tells clippy that all of it is a test.
#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;
    use std::marker::PhantomData;
    use std::rc::Rc;
    use std::sync::MutexGuard;

    use enodev_handles::{
        Active, ActiveMut, Arena, Biased, BiasedGuard, Blocker, CloseError, Closed, Column, Deadlock, Domain,
        DomainError, Drained, Draining, Erased, Exclusion, ExclusionGuard, Exclusive, Full, Garbage, Gate, Handle,
        Iter, Kind, KindTaken, Label, Leaving, Lock, LockError, OnceColumn, Owned, OwnedPass, Pass, PayloadColumn, Pin,
        PinnedThread, Quiet, RemoveError, Reservation, Session, SetError, Shape, Stale, Strategy, Visit, Visitor,
    };

    enum Disk {}
    impl Kind for Disk {
        const NAME: &'static str = "Disk";
    }

    /// A kind that is itself bound to a thread: handles hold none, so it says nothing about them.
    struct Bound(#[expect(dead_code, reason = "makes the kind neither `Send` nor `Sync`")] Rc<()>);
    impl Kind for Bound {
        const NAME: &'static str = "Bound";
    }

    /// Parts of objects, one of each sort.
    type Both = u8;
    type SendOnly = Cell<u8>;
    type SyncOnly = MutexGuard<'static, u8>;
    type Neither = Rc<u8>;

    /// Whether a type is `Send` and `Sync`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Auto {
        Both,
        SendOnly,
        SyncOnly,
        Neither,
    }
    use Auto::{Both as BOTH, Neither as NEITHER, SendOnly as SEND_ONLY, SyncOnly as SYNC_ONLY};

    /// Asks whether `T` is `Send` or `Sync`: its own constants come before the trait's, but are only there where their
    /// bounds hold.
    struct Ask<T: ?Sized>(PhantomData<T>);

    trait No {
        const SEND: bool = false;
        const SYNC: bool = false;
    }
    impl<T: ?Sized> No for Ask<T> {}
    impl<T: ?Sized + Send> Ask<T> {
        const SEND: bool = true;
    }
    impl<T: ?Sized + Sync> Ask<T> {
        const SYNC: bool = true;
    }

    const fn auto(send: bool, sync: bool) -> Auto {
        match (send, sync) {
            (true, true) => BOTH,
            (true, false) => SEND_ONLY,
            (false, true) => SYNC_ONLY,
            (false, false) => NEITHER,
        }
    }

    /// What a type is. A macro, since the constants that depend on a bound are found for types that are known, not for
    /// parameters.
    macro_rules! auto {
        ($type:ty) => {
            auto(Ask::<$type>::SEND, Ask::<$type>::SYNC)
        };
    }

    /// Each type with what it is to be, checked.
    macro_rules! check {
        ($($type:ty => $auto:expr,)*) => {
            let all = [$((stringify!($type), auto!($type), $auto)),*];
            let wrong: Vec<_> = all.into_iter().filter(|(_, is, be)| is != be).collect();
            assert!(wrong.is_empty(), "type, what it is, what it should be: {wrong:#?}");
        };
    }

    #[test]
    fn the_question_is_answered_rightly() {
        check! {
            Both => BOTH,
            SendOnly => SEND_ONLY,
            SyncOnly => SYNC_ONLY,
            Neither => NEITHER,
        }
    }

    #[test]
    fn types_without_parts_are_send_and_sync_as_they_should_be() {
        check! {
            Domain => BOTH,
            Strategy => BOTH,
            Stale => BOTH,
            Full => BOTH,
            Deadlock => BOTH,
            Label => BOTH,
            Garbage => BOTH,
            PinnedThread => BOTH,
            Blocker<Disk> => BOTH,
            Blocker<Bound> => BOTH,
            Visitor => BOTH,
            Closed => BOTH,
            CloseError => BOTH,
            SetError => BOTH,
            Exclusion<Both> => BOTH,
            Exclusion<SendOnly> => BOTH,
            Exclusion<SyncOnly> => NEITHER,
            ExclusionGuard<'static, Both> => SYNC_ONLY,
            ExclusionGuard<'static, SendOnly> => NEITHER,
            Biased<Both> => BOTH,
            Biased<SendOnly> => BOTH,
            Biased<SyncOnly> => NEITHER,
            Biased<Neither> => NEITHER,
            BiasedGuard<'static, Both> => SYNC_ONLY,
            BiasedGuard<'static, SendOnly> => NEITHER,
            LockError => BOTH,
            Column<Disk, u64> => BOTH,
            Column<Bound, u64> => BOTH,
            OnceColumn<Disk, Both> => BOTH,
            PayloadColumn<Disk, Both> => BOTH,
            KindTaken => BOTH,
            DomainError => BOTH,
            RemoveError => BOTH,
            Handle<Disk> => BOTH,
            Handle<Bound> => BOTH,
            Handle<Neither> => BOTH,
            Pin<'static> => NEITHER,
            Lock => SYNC_ONLY,
        }
    }

    /// A gate lends its value to any thread and gives it back on any.
    #[test]
    fn a_gate_is_shared_if_its_value_may_be_shared_and_sent() {
        check! {
            Gate<Both> => BOTH,
            Gate<SendOnly> => NEITHER,
            Gate<SyncOnly> => NEITHER,
            Gate<Neither> => NEITHER,
            OwnedPass<Both> => BOTH,
            OwnedPass<SendOnly> => NEITHER,
            OwnedPass<SyncOnly> => NEITHER,
            Draining<'static, Both> => BOTH,
            Pass<'static, Both> => NEITHER,
        }
    }

    /// A guard stays on its thread, whatever it guards.
    #[test]
    fn guards_are_neither_send_nor_sync() {
        check! {
            Active<'static, Both> => NEITHER,
            Active<'static, str> => NEITHER,
            Active<'static, dyn fmt::Debug + Send + Sync> => NEITHER,
            Active<'static, Exclusive<Both>> => NEITHER,
            Visit<'static, Both> => NEITHER,
            ActiveMut<'static, Both> => NEITHER,
            ActiveMut<'static, SendOnly> => NEITHER,
            ActiveMut<'static, dyn fmt::Debug + Send + Sync> => NEITHER,
        }
    }

    /// What is locked goes from thread to thread, and is never shared.
    #[test]
    fn what_is_exclusive_is_shared_where_it_can_be_sent() {
        check! {
            Exclusive<Both> => BOTH,
            Exclusive<SendOnly> => BOTH,
            Exclusive<SyncOnly> => NEITHER,
            Exclusive<Neither> => NEITHER,
            Exclusive<dyn fmt::Debug + Send> => BOTH,
            Exclusive<dyn fmt::Debug + Sync> => NEITHER,
        }
    }

    /// What stands beside the type is shared by all values of a shape, and dropped with the last of them.
    #[test]
    fn erased_values_are_send_and_sync_as_what_stands_beside_their_type() {
        check! {
            Shape<Both> => BOTH,
            Shape<SendOnly> => SEND_ONLY,
            Shape<SyncOnly> => SYNC_ONLY,
            Shape<Neither> => NEITHER,
            Erased<Both> => BOTH,
            Erased<SendOnly> => NEITHER,
            Erased<SyncOnly> => NEITHER,
            Erased<Neither> => NEITHER,
        }
    }

    /// For a type that depends on its objects' parts, `S` and `P`: what it is where both are `Send` and `Sync`, and that
    /// it is neither wherever one of the two is not. The store part is shared by pins and dropped by any thread; the
    /// payload is shared by those inside and handed to the remover.
    macro_rules! check_parts {
        ($($type:ty => $auto:expr,)*) => {
            $({
                type With<S, P> = $type;
                check! { With<Both, Both> => $auto, }
                check_parts!(@ SendOnly, SyncOnly, Neither);
            })*
        };
        (@ $($part:ty),*) => {
            check! {
                $(
                    With<Both, $part> => NEITHER,
                    With<$part, Both> => NEITHER,
                    With<SendOnly, $part> => NEITHER,
                    With<SyncOnly, $part> => NEITHER,
                    With<Neither, $part> => NEITHER,
                )*
            }
        };
    }

    #[test]
    fn types_with_parts_are_send_and_sync_as_their_parts_are() {
        check_parts! {
            Arena<Disk, S, P> => BOTH,
            Leaving<'static, Disk, S, P> => BOTH,
            Reservation<'static, Disk, S, P> => BOTH,
            Iter<'static, Disk, S, P> => NEITHER,
            Session<'static, Disk, S, P> => NEITHER,
            Drained<'static, Disk, S, P> => BOTH,
            Owned<S, P> => BOTH,
        }
        // Cannot be named with other parts.
        check! {
            Quiet<'static, Disk, Both, Both> => BOTH,
            Quiet<'static, Bound, Both, Both> => BOTH,
            Arena<Bound, Both, Both> => BOTH,
        }
    }

    fn send_and_sync<T: ?Sized + Send + Sync>() {}

    /// As above, but for all parts and kinds, which samples cannot show: that this compiles is the test.
    #[test]
    fn all_send_and_sync_parts_make_send_and_sync_types() {
        fn with<K: Kind, S: Send + Sync + 'static, P: Send + Sync + 'static>() {
            send_and_sync::<Handle<K>>();
            send_and_sync::<Arena<K, S, P>>();
            send_and_sync::<Leaving<'_, K, S, P>>();
            send_and_sync::<Quiet<'_, K, S, P>>();
            send_and_sync::<Reservation<'_, K, S, P>>();
            send_and_sync::<Drained<'_, K, S, P>>();
            send_and_sync::<Owned<S, P>>();
            send_and_sync::<Blocker<K>>();
        }
        fn with_send<T: ?Sized + Send>() {
            send_and_sync::<Exclusive<T>>();
        }
        with::<Bound, Both, Exclusive<SendOnly>>();
        with_send::<dyn fmt::Debug + Send>();
    }

    /// A kind is a name: what is said of its objects does not ask that it can be cloned. That this compiles is the test.
    #[test]
    fn what_is_told_of_an_object_is_cloned_whatever_the_kind() {
        fn clone<T: Clone>() {}
        clone::<Blocker<Disk>>();
        clone::<Handle<Disk>>();
        clone::<Visitor>();
    }

    /// A shorter lifetime will do wherever a longer one is to be had: that this compiles is the test.
    #[test]
    fn guards_and_pins_may_be_taken_for_shorter_ones() {
        fn guard<'s>(guard: Active<'static, &'static str>, _: &'s ()) -> Active<'s, &'s str> {
            guard
        }
        fn guard_mut<'s>(guard: ActiveMut<'static, Both>, _: &'s ()) -> ActiveMut<'s, Both> {
            guard
        }
        fn pin<'s>(pin: Pin<'static>, _: &'s ()) -> Pin<'s> {
            pin
        }
        fn iter<'s>(iter: Iter<'static, Disk, Both, Both>, _: &'s ()) -> Iter<'s, Disk, Both, Both> {
            iter
        }
        let _ = (guard, guard_mut, pin, iter);
    }

    fn disks() -> Arena<Disk, String, Vec<u8>> {
        Arena::new(&Domain::new().unwrap()).unwrap()
    }

    /// What has been taken out of its object is the caller's own, and what an iterator gives outlives it.
    #[test]
    fn what_is_not_borrowed_stays_when_its_source_has_gone() {
        let disks = disks();
        let domain = disks.domain().clone();
        let sda = disks.insert("sda".into(), vec![1]).unwrap();
        let sdb = disks.insert("sdb".into(), vec![2]).unwrap();
        let pin = domain.pin();
        let names: Vec<&String> = disks.iter(&pin).map(|(_, name)| name).collect();
        assert_eq!(names, ["sda", "sdb"]);
        drop(pin);
        let first = disks.remove(sda).unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sdb).unwrap();
        let second = leaving.drain().unwrap().take().unwrap().1;
        drop((disks, domain));
        assert_eq!((first, second), (vec![1], vec![2]));
    }

    /// Who waits for a lock has left the object, and borrows nothing.
    #[test]
    fn a_lock_outlives_its_object_and_its_arena() {
        let arena: Arena<Disk, (), Exclusive<u8>> = Arena::new(&Domain::new().unwrap()).unwrap();
        let disk = arena.insert((), Exclusive::new(7)).unwrap();
        let mut lock = arena.enter(disk).unwrap().lock();
        drop(arena);
        assert_eq!(lock.acquire(), Ok(()));
    }

    /// A removal goes on where another thread takes it up: marked here, drained there, and the payload taken back here.
    #[test]
    fn a_removal_may_change_threads() {
        let disks = disks();
        let sda = disks.insert("sda".into(), vec![1]).unwrap();
        let mut leaving = disks.leave();
        leaving.mark(sda).unwrap();
        let mut quiet = std::thread::scope(|scope| scope.spawn(|| leaving.drain().unwrap()).join().unwrap());
        assert_eq!(quiet.take(), Some((sda, vec![1])));
    }
}
