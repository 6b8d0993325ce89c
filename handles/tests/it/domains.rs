//! Domains keep their objects apart; and which thread may do what is settled by the types.

use enodev_handles::{
    Active, ActiveMut, Arena, Domain, DomainError, Exclusive, Handle, KindTaken, Leaving, Lock, Pin, Quiet,
    RemoveError, Reservation, Stale, Strategy,
};

use crate::common::{Bus, Disk, disks};

/// E-43: a handle of one domain names nothing in another, though index and generation be the same.
#[test]
fn a_handle_of_another_domain_is_stale() {
    let (here, there) = (disks::<u32, u32>(Strategy::Auto), disks::<u32, u32>(Strategy::Auto));
    let pairs: Vec<_> =
        (0..200).map(|name| (here.insert(name, name).unwrap(), there.insert(name, name).unwrap())).collect();
    for (own, foreign) in pairs {
        assert_ne!(own, foreign);
        assert!(matches!(here.enter(foreign), Err(Stale)) && matches!(there.enter(own), Err(Stale)));
        assert_eq!(here.get(&here.domain().pin(), foreign), Err(Stale));
        assert_eq!(here.get_leaving(&here.domain().pin(), foreign), Err(Stale));
        assert_eq!(here.remove(foreign), Err(RemoveError::Stale(Stale)));
        assert!(!here.contains(foreign) && there.contains(foreign));
        assert_eq!(*here.enter(own).unwrap(), *there.enter(foreign).unwrap());
    }
}

/// A domain has one arena of a kind, ever: handles of two could not be told apart. Another kind, and the same kind in
/// another domain, are free.
#[test]
fn a_kind_is_taken_once_in_a_domain() {
    let domain = Domain::new().unwrap();
    let first: Arena<Disk, (), ()> = Arena::new(&domain).unwrap();
    assert_eq!(Arena::<Disk, u32, String>::new(&domain).err(), Some(KindTaken));
    assert!(Arena::<Bus, (), ()>::new(&domain).is_ok());
    assert_eq!(Arena::<Bus, (), ()>::new(&domain.clone()).err(), Some(KindTaken));
    drop(first);
    assert_eq!(Arena::<Disk, (), ()>::new(&domain).err(), Some(KindTaken));
    assert!(Arena::<Disk, (), ()>::new(&Domain::new().unwrap()).is_ok());
}

/// A domain with the strategy that was asked for removes under it, or says that it is not to be had.
#[test]
fn membarrier_is_had_or_refused() {
    match Domain::with_strategy(Strategy::Membarrier) {
        Ok(domain) => {
            let arena: Arena<Disk, (), u32> = Arena::new(&domain).unwrap();
            let handle = arena.insert((), 1).unwrap();
            assert_eq!(arena.remove(handle), Ok(1));
        }
        Err(error) => assert_eq!(error, DomainError::Membarrier),
    }
}

/// What is handed out and what is kept add up.
#[test]
fn an_arena_counts_its_objects() {
    let arena = disks::<(), ()>(Strategy::Auto);
    assert!(arena.is_empty());
    let handles: Vec<_> = (0..1000).map(|_| arena.insert((), ()).unwrap()).collect();
    assert_eq!(arena.len(), 1000);
    assert!(handles.iter().all(|handle| arena.contains(*handle)));
    for (gone, handle) in handles.iter().enumerate() {
        assert_eq!(arena.len(), 1000 - gone);
        assert_eq!(arena.remove(*handle), Ok(()));
    }
    assert!(arena.is_empty());
}

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}

/// What may go from thread to thread, and what threads may share. (`P` is as a payload has to be.)
#[test]
fn arenas_handles_and_removals_go_from_thread_to_thread() {
    type P = Vec<u8>;
    is_send::<Arena<Disk, P, P>>();
    is_sync::<Arena<Disk, P, P>>();
    is_send::<Domain>();
    is_sync::<Domain>();
    is_send::<Handle<Disk>>();
    is_sync::<Handle<Disk>>();
    is_send::<Reservation<'_, Disk, P, P>>();
    is_send::<Leaving<'_, Disk, P, P>>();
    is_send::<Quiet<'_, Disk, P, P>>();
    is_send::<Exclusive<std::cell::Cell<u8>>>();
    is_sync::<Exclusive<std::cell::Cell<u8>>>();
    is_sync::<Lock>();
}

/// Fails to compile where a type has the trait: two implementations would apply then, and none could be chosen.
macro_rules! is_not {
    ($bound:ident: $($type:ty),+ $(,)?) => {{
        trait Chosen<A> {
            fn chosen() {}
        }
        impl<T: ?Sized> Chosen<()> for T {}
        impl<T: ?Sized + $bound> Chosen<u8> for T {}
        $(<$type as Chosen<_>>::chosen();)+
    }};
}

/// A guard stays on its thread, where its cell is, and so does a pin. A handle is of one kind for good.
#[test]
fn guards_and_pins_stay_on_their_thread() {
    is_not!(Send: Active<'_, u8>, ActiveMut<'_, u8>, Pin<'_>, Exclusive<std::rc::Rc<u8>>);
    is_not!(Sync: Active<'_, u8>, ActiveMut<'_, u8>, Pin<'_>, Exclusive<std::rc::Rc<u8>>);
    is_not!(Clone: Active<'_, u8>, ActiveMut<'_, u8>, Pin<'_>, Leaving<'_, Disk, u8, u8>, Arena<Disk, u8, u8>);
    type Other = Handle<Bus>;
    trait IsOther {}
    impl IsOther for Other {}
    is_not!(IsOther: Handle<Disk>);
}
