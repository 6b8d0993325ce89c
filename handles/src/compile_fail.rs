//! What must not compile. Each case is a pair of doc tests that differ in nothing but what is wrong; the one without it
//! compiles, so the other one fails for the right reason. A nightly compiler also checks that the error is the one that
//! is named. `Send` and `Sync` of all types are in `tests/types.rs`.
//!
//! A new type takes one line in each table that it belongs to.

/// What all cases begin with. Nothing is run, so that a pin may lie beside a removal.
macro_rules! setup {
    () => {
        stringify! {
            use std::cell::{Cell, RefCell};
            use std::rc::Rc;
            use std::sync::MutexGuard;
            use std::thread;
            use enodev_handles::{Active, ActiveMut, Arena, Biased, Density, Domain, Exclusion, Exclusive, Gate, Handle, Kind, Label, join};

            enum Disk {}
            impl Kind for Disk {
                const NAME: &'static str = "Disk";
            }
            enum Net {}
            impl Kind for Net {
                const NAME: &'static str = "Net";
            }
            enum Text {}
            impl Kind for Text {
                const NAME: &'static str = "Text";
            }
            fn used<T>(_: T) {}

            let domain = Domain::new().unwrap();
            let mut disks: Arena<Disk, String, Vec<u8>> = Arena::new(&domain).unwrap();
            let sda = disks.insert("sda".into(), vec![1]).unwrap();
            let mut nets: Arena<Net, (), Exclusive<Vec<u8>>> = Arena::new(&domain).unwrap();
            let eth0 = nets.insert((), Exclusive::new(vec![1])).unwrap();
            let mut pin = domain.pin();
        }
    };
}

/// `{ right } { wrong }`: two programs, the first of which compiles and the second of which gives the error.
macro_rules! refused {
    ($($code:ident $name:ident: { $($right:tt)* } { $($wrong:tt)* })*) => {
        $(
            #[doc = concat!("\n```no_run\n", setup!(), "\n", stringify!($($right)*), "\n```\n")]
            #[doc = concat!("\n```compile_fail,", stringify!($code), "\n")]
            #[doc = concat!(setup!(), "\n", stringify!($($wrong)*), "\n```\n")]
            mod $name {}
        )*
    };
}

/// `what => end`: what must have gone when `end` comes. `given` is made before.
macro_rules! gone_before {
    ($($code:ident $name:ident: $what:expr => $end:expr $(, given $given:ident = $from:expr)*;)*) => {
        refused! {
            $($code $name:
                { $(let mut $given = $from;)* let mut it = $what; used(it); $end; }
                { $(let mut $given = $from;)* let mut it = $what; $end; used(it); }
            )*
        }
    };
}

/// `what`: it can be moved into a closure, but not into another thread. `given` is made before.
macro_rules! stays_on_its_thread {
    ($($name:ident: $what:expr $(, given $given:ident = $from:expr)*;)*) => {
        refused! {
            $(E0277 $name:
                { $(let mut $given = $from;)* let it = $what; thread::scope(|s| { (move || used(it))(); }); }
                { $(let mut $given = $from;)* let it = $what; thread::scope(|s| { s.spawn(move || used(it)); }); }
            )*
        }
    };
}

/// `(S, P)`: an arena of these parts cannot be made, where one of numbers can.
macro_rules! no_arena_of {
    ($($code:ident $name:ident: ($store:ty, $payload:ty);)*) => {
        refused! {
            $($code $name:
                { let texts = Arena::<Text, u8, u8>::new(&domain); }
                { let texts = Arena::<Text, $store, $payload>::new(&domain); }
            )*
        }
    };
}

mod borrows_the_arena {
    gone_before! {
        E0505 active: disks.enter(sda).unwrap() => drop(disks);
        E0505 active_mapped: disks.enter(sda).unwrap().map(|all| &all[0]) => drop(disks);
        E0505 active_mapped_by_chance: disks.enter(sda).unwrap().try_map(|all| all.first()).unwrap() => drop(disks);
        E0505 active_given_back: disks.enter(sda).unwrap().try_map(|_| None::<&u8>).unwrap_err() => drop(disks);
        E0505 active_labelled: disks.enter_labelled(sda, Label::NONE).unwrap() => drop(disks);
        E0505 active_of_many: disks.enter_all([sda, sda]).unwrap() => drop(disks);
        E0505 active_exclusive: nets.enter(eth0).unwrap() => drop(nets);
        E0505 session: disks.session() => drop(disks);
        E0505 drained: disks.leave().drained() => drop(disks);
        E0505 given_up: disks.given_up() => drop(disks);
        E0505 active_mut: nets.enter(eth0).unwrap().try_lock().unwrap() => drop(nets);
        E0505 active_mut_not_locked: nets.enter(eth0).unwrap().try_lock().unwrap_err() => drop(nets);
        E0505 active_mut_mapped: locked.try_map(|all| all.first_mut()).unwrap() => drop(nets),
            given locked = nets.enter(eth0).unwrap().try_lock().unwrap();
        E0505 store_part: disks.get(&pin, sda).unwrap() => drop(disks);
        E0505 store_part_leaving: disks.get_leaving(&pin, sda).unwrap() => drop(disks);
        E0505 reservation: disks.reserve().unwrap() => drop(disks);
        E0505 leaving: disks.leave() => drop(disks);
        E0505 leaving_given_back: disks.leave().drain().unwrap_err().0 => drop(disks);
        E0505 quiet: disks.leave().drain().unwrap() => drop(disks);
        E0505 iter: disks.iter(&pin) => drop(disks);
        E0505 iter_item: disks.iter(&pin).next().unwrap().1 => drop(disks);
    }
}

/// `forget_guards` ends the stay of forgotten ones, so it must meet no other.
mod gone_before_guards_are_forgotten {
    gone_before! {
        E0502 active: disks.enter(sda).unwrap() => disks.forget_guards();
        E0502 active_mapped: disks.enter(sda).unwrap().map(|all| &all[0]) => disks.forget_guards();
        E0502 session: disks.session() => disks.forget_guards();
        E0502 active_mut: nets.enter(eth0).unwrap().try_lock().unwrap() => nets.forget_guards();
    }
}

mod borrows_the_guard {
    gone_before! {
        E0505 payload: &guard[0] => drop(guard), given guard = disks.enter(sda).unwrap();
        E0505 payload_mapped: &*guard => drop(guard), given guard = disks.enter(sda).unwrap().map(|all| &all[0]);
        E0505 payload_as_it_is_mapped: &guard[0] => guard.map(|all| &all[0]), given guard = disks.enter(sda).unwrap();
        E0505 payload_locked: &guard[0] => drop(guard), given guard = nets.enter(eth0).unwrap().try_lock().unwrap();
        E0505 payload_locked_mut: &mut guard[0] => drop(guard),
            given guard = nets.enter(eth0).unwrap().try_lock().unwrap();
        E0499 payload_locked_twice: &mut guard[0] => guard.push(2),
            given guard = nets.enter(eth0).unwrap().try_lock().unwrap();
        E0505 payload_visited: &guard[0] => drop(guard),
            given session = disks.session(), given guard = session.enter(sda).unwrap();
        E0505 payload_owned: &guard[0] => drop(guard), given guard = disks.enter_owned(sda, Label::NONE).unwrap();
        E0505 payload_unlocked: &*guard => guard.try_lock(), given guard = nets.enter(eth0).unwrap();
    }
}

mod borrows_the_gate {
    gone_before! {
        E0505 pass: gate.enter().unwrap() => drop(gate), given gate = Gate::new(vec![1_u8]);
        E0505 pass_mapped: gate.enter().unwrap().map(|all| &all[0]) => drop(gate), given gate = Gate::new(vec![1_u8]);
        E0505 draining: gate.drained() => drop(gate), given gate = Gate::new(vec![1_u8]);
        E0505 owned: &pass[0] => drop(pass),
            given gate = Gate::new(vec![1_u8]), given pass = gate.enter_owned(Label::NONE).unwrap();
    }
}

mod borrows_the_column {
    gone_before! {
        E0505 once: once.get(&pin, sda).unwrap() => drop(once), given once = disks.once_column::<u64>(Density::Dense);
        E0505 once_pin: once.get(&pin, sda).unwrap() => drop(pin), given once = disks.once_column::<u64>(Density::Dense);
        E0505 walk: join(&pin, (&once,)) => drop(once), given once = disks.once_column::<u64>(Density::Dense);
        E0505 walk_pin: join(&pin, (&once,)) => drop(pin), given once = disks.once_column::<u64>(Density::Dense);
        E0505 payload: more.enter(&disks, sda).unwrap() => drop(disks),
            given more = disks.payload_column::<u64>(Density::Dense);
        E0505 payload_column: more.enter(&disks, sda).unwrap() => drop(more),
            given more = disks.payload_column::<u64>(Density::Dense);
    }
}

mod borrows_the_exclusion {
    gone_before! {
        E0505 guard: bus.lock().unwrap() => drop(bus), given bus = Exclusion::new(1_u8);
        E0505 biased_guard: bus.lock().unwrap() => drop(bus), given bus = Biased::new(1_u8);
        E0502 biased_guard_as_it_is_reached_without: bus.lock().unwrap() => bus.get_mut(), given bus = Biased::new(1_u8);
    }
}

/// A session has one cell.
mod borrows_the_session {
    gone_before! {
        E0505 visit: session.enter(sda).unwrap() => drop(session), given session = disks.session();
        E0499 visit_beside_another: session.enter(sda).unwrap() => session.enter(sda), given session = disks.session();
    }
}

mod borrows_the_pin {
    gone_before! {
        E0505 store_part: disks.get(&pin, sda).unwrap() => drop(pin);
        E0505 store_part_leaving: disks.get_leaving(&pin, sda).unwrap() => drop(pin);
        E0505 iter: disks.iter(&pin) => drop(pin);
        E0505 iter_item: disks.iter(&pin).next().unwrap().1 => drop(pin);
        E0502 store_part_as_it_is_pinned_anew: disks.get(&pin, sda).unwrap() => pin.repin();
        E0502 store_part_leaving_as_it_is_pinned_anew: disks.get_leaving(&pin, sda).unwrap() => pin.repin();
        E0502 iter_as_it_is_pinned_anew: disks.iter(&pin) => pin.repin();
        E0502 iter_item_as_it_is_pinned_anew: disks.iter(&pin).next().unwrap().1 => pin.repin();
    }
}

mod borrows_the_domain {
    gone_before! {
        E0505 pin: other.pin() => drop(other), given other = domain.clone();
    }
}

mod on_one_thread {
    stays_on_its_thread! {
        active: disks.enter(sda).unwrap();
        active_mapped: disks.enter(sda).unwrap().map(|all| &all[0]);
        active_exclusive: nets.enter(eth0).unwrap();
        active_mut: nets.enter(eth0).unwrap().try_lock().unwrap();
        session: disks.session();
        visit: session.enter(sda).unwrap(), given session = disks.session();
        lock: nets.enter(eth0).unwrap().lock();
        pin: domain.pin();
        iter: disks.iter(&pin);
        biased: bus.lock().unwrap(), given bus = Biased::new(1_u8);
        biased_by_reference: &bus.lock().unwrap(), given bus = Biased::new(Cell::new(1_u8));
        // Shared, which is as bad.
        active_by_reference: &disks.enter(sda).unwrap();
        active_mut_by_reference: &nets.enter(eth0).unwrap().try_lock().unwrap();
        session_by_reference: &disks.session();
        pin_by_reference: &pin;
    }
}

mod parts {
    no_arena_of! {
        E0599 payload_bound_to_a_thread: (u8, Rc<u8>);
        E0599 payload_not_shared: (u8, Cell<u8>);
        E0599 payload_not_shared_inside: (u8, Vec<RefCell<u8>>);
        E0599 payload_not_sent: (u8, MutexGuard<'static, u8>);
        E0599 payload_behind_a_raw_pointer: (u8, *const u8);
        E0599 payload_locked_and_bound_to_a_thread: (u8, Exclusive<Rc<u8>>);
        E0599 payload_locked_and_not_sent: (u8, Exclusive<MutexGuard<'static, u8>>);
        E0599 store_part_bound_to_a_thread: (Rc<u8>, u8);
        E0599 store_part_not_shared: (Cell<u8>, u8);
        E0599 store_part_not_sent: (MutexGuard<'static, u8>, u8);
        E0599 guard_as_payload: (u8, Active<'static, u8>);
    }

    // What an arena holds may outlast all that its maker borrows.
    refused! {
        E0597 payload_that_borrows:
            {
                let own = 1;
                let texts: Arena<Text, (), &u8> = Arena::new(&domain).unwrap();
                texts.insert((), &1);
                drop(texts);
            }
            {
                let own = 1;
                let texts: Arena<Text, (), &u8> = Arena::new(&domain).unwrap();
                texts.insert((), &own);
                drop(texts);
            }
        E0597 store_part_that_borrows:
            {
                let own = 1;
                let texts: Arena<Text, &u8, ()> = Arena::new(&domain).unwrap();
                texts.insert(&1, ());
                drop(texts);
            }
            {
                let own = 1;
                let texts: Arena<Text, &u8, ()> = Arena::new(&domain).unwrap();
                texts.insert(&own, ());
                drop(texts);
            }
    }
}

/// What a closure is lent, it cannot keep, and what it gives must be of what it was lent, or last for ever.
mod closures {
    refused! {
        E0521 map_keeps:
            { let mut kept = None; disks.enter(sda).unwrap().map(|all| { kept = Some(all.len()); all }); used(kept); }
            { let mut kept = None; disks.enter(sda).unwrap().map(|all| { kept = Some(all); all }); used(kept); }
        E0521 try_map_keeps:
            {
                let mut kept = None;
                disks.enter(sda).unwrap().try_map(|all| { kept = Some(all.len()); Some(all) });
                used(kept);
            }
            {
                let mut kept = None;
                disks.enter(sda).unwrap().try_map(|all| { kept = Some(all); Some(all) });
                used(kept);
            }
        E0521 try_map_of_a_locked_one_keeps:
            {
                let mut kept = None;
                let locked = nets.enter(eth0).unwrap().try_lock().unwrap();
                locked.try_map(|all| { kept = Some(all.len()); None::<&mut u8> });
                used(kept);
            }
            {
                let mut kept = None;
                let locked = nets.enter(eth0).unwrap().try_lock().unwrap();
                locked.try_map(|all| { kept = Some(all); None::<&mut u8> });
                used(kept);
            }
        E0597 map_gives_another:
            { let own = 1; let part = disks.enter(sda).unwrap().map(|_| &1); }
            { let own = 1; let part = disks.enter(sda).unwrap().map(|_| &own); }
        E0597 try_map_gives_another:
            { let own = 1; let part = disks.enter(sda).unwrap().try_map(|_| Some(&1)); }
            { let own = 1; let part = disks.enter(sda).unwrap().try_map(|_| Some(&own)); }
    }
}

/// A guard that can be written through is not one of a payload that lives shorter, or such a one could be put there.
mod variance {
    refused! {
        E0597 active_mut:
            {
                let own = String::from("lo");
                let texts: Arena<Text, (), Exclusive<&'static str>> = Arena::new(&domain).unwrap();
                let text = texts.insert((), Exclusive::new("eth0")).unwrap();
                let mut shorter: ActiveMut<'_, &str> = texts.enter(text).unwrap().try_lock().unwrap();
                *shorter = "lo";
            }
            {
                let own = String::from("lo");
                let texts: Arena<Text, (), Exclusive<&'static str>> = Arena::new(&domain).unwrap();
                let text = texts.insert((), Exclusive::new("eth0")).unwrap();
                let mut shorter: ActiveMut<'_, &str> = texts.enter(text).unwrap().try_lock().unwrap();
                *shorter = &own;
            }
    }
}

/// What is used up, what is read only, what is another kind's.
mod uses {
    refused! {
        E0382 a_reservation_is_published_twice:
            { let it = disks.reserve().unwrap(); it.publish("sdb".into(), vec![]); }
            { let it = disks.reserve().unwrap(); it.publish("sdb".into(), vec![]); it.publish("sdc".into(), vec![]); }
        E0382 a_guard_is_used_beside_its_part:
            { let whole = disks.enter(sda).unwrap(); used(whole.len()); let part = whole.map(|all| &all[0]); }
            { let whole = disks.enter(sda).unwrap(); let part = whole.map(|all| &all[0]); used(whole.len()); }
        E0382 a_lock_is_used_twice:
            { let lock = nets.enter(eth0).unwrap().lock(); nets.enter(eth0).unwrap().lock_with(lock); }
            {
                let lock = nets.enter(eth0).unwrap().lock();
                nets.enter(eth0).unwrap().lock_with(lock);
                nets.enter(eth0).unwrap().lock_with(lock);
            }
        E0382 objects_are_marked_once_they_are_drained:
            { let mut leaving = disks.leave(); leaving.mark(sda); leaving.drain(); }
            { let mut leaving = disks.leave(); leaving.drain(); leaving.mark(sda); }
        E0596 a_payload_is_written_without_a_lock:
            { let guard = disks.enter(sda).unwrap(); guard.len(); }
            { let mut guard = disks.enter(sda).unwrap(); guard.push(1); }
        E0596 a_store_part_is_written:
            { let name = disks.get(&pin, sda).unwrap(); name.len(); }
            { let name = disks.get(&pin, sda).unwrap(); name.push('1'); }
        E0599 what_is_exclusive_is_read_without_its_lock:
            { let guard = nets.enter(eth0).unwrap().try_lock().unwrap(); guard.first(); }
            { let guard = nets.enter(eth0).unwrap(); guard.first(); }
        E0308 a_handle_of_another_kind:
            { used(disks.enter(sda)); }
            { used(disks.enter(eth0)); }
        E0277 a_guard_is_cloned:
            { let guard = disks.enter(sda).unwrap(); let other = disks.enter(sda).unwrap(); }
            { let guard = disks.enter(sda).unwrap(); let other: Active<'_, Vec<u8>> = Active::clone(&guard); }
        E0478 a_kind_does_not_borrow:
            { struct Local(u8); impl Kind for Local { const NAME: &'static str = "Local"; } }
            { struct Local<'a>(&'a u8); impl<'a> Kind for Local<'a> { const NAME: &'static str = "Local"; } }
    }
}
