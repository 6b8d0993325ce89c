//! Closers that wait for each other, through gates and arenas.

use std::sync::Barrier;
use std::thread;

use enodev_handles::{Arena, CloseError, Domain, Gate, Kind, RemoveError, Strategy};

use crate::common::{STRATEGIES, gate};

/// D-1, D-3: two threads, each inside the gate that the other closes: exactly one is told of the deadlock; when it has left, the other
/// gets its value, and the gate that could not be closed can be.
#[test]
fn of_two_closers_inside_each_other_s_gates_one_is_told() {
    fn cross(strategies: [Strategy; 2]) {
        let gates = strategies.map(|strategy| gate(strategy, 6));
        let both = Barrier::new(2);
        let close = |own: usize| {
            let pass = gates[own].enter().unwrap();
            both.wait();
            let result = gates[1 - own].close();
            drop(pass);
            result
        };
        let results = thread::scope(|scope| {
            let (one, other) = (scope.spawn(|| close(0)), scope.spawn(|| close(1)));
            [one.join().unwrap(), other.join().unwrap()]
        });
        assert!(results.contains(&Ok(6)) && results.contains(&Err(CloseError::Deadlock)), "{results:?}");
        let left: Vec<_> = gates.iter().map(Gate::close).collect();
        assert!(left.contains(&Ok(6)) && left.contains(&Err(CloseError::Closed)), "{left:?}");
    }
    for one in STRATEGIES {
        STRATEGIES.into_iter().for_each(|other| cross([one, other]));
    }
}

/// D-3: a circle of many closers is found, however long it is: all but one get their value.
#[test]
fn of_a_ring_of_closers_one_is_told() {
    const RING: usize = 5;
    for strategy in STRATEGIES {
        let gates: [Gate<usize>; RING] = std::array::from_fn(|at| gate(strategy, at));
        let all = Barrier::new(RING);
        let close = |own: usize| {
            let pass = gates[own].enter().unwrap();
            all.wait();
            let result = gates[(own + 1) % RING].close();
            drop(pass);
            result
        };
        let results: Vec<_> = thread::scope(|scope| {
            let closers: Vec<_> = (0..RING).map(|own| scope.spawn(move || close(own))).collect();
            closers.into_iter().map(|closer| closer.join().unwrap()).collect()
        });
        let deadlocks = results.iter().filter(|result| **result == Err(CloseError::Deadlock)).count();
        assert_eq!((deadlocks, results.iter().filter(|result| result.is_ok()).count()), (1, RING - 1), "{results:?}");
    }
}

enum Disk {}
impl Kind for Disk {
    const NAME: &'static str = "Disk";
}

/// D-3: a circle of a gate's closer and an object's remover is one like any other.
#[test]
fn a_circle_through_a_gate_and_an_object_is_found() {
    for strategy in STRATEGIES {
        let domain = Domain::with_strategy(strategy).unwrap();
        let disks: Arena<Disk, (), u8> = Arena::new(&domain).unwrap();
        let disk = disks.insert((), 1).unwrap();
        let gate = gate(strategy, 2);
        let both = Barrier::new(2);
        let (closed, removed) = thread::scope(|scope| {
            let closer = scope.spawn(|| {
                let _disk = disks.enter(disk).unwrap();
                both.wait();
                gate.close()
            });
            let remover = scope.spawn(|| {
                let _pass = gate.enter().unwrap();
                both.wait();
                disks.remove(disk)
            });
            (closer.join().unwrap(), remover.join().unwrap())
        });
        let one = (Err(CloseError::Deadlock), Ok(1));
        let other = (Ok(2), Err(RemoveError::Deadlock));
        assert!((closed, removed) == one || (closed, removed) == other, "{closed:?}, {removed:?}");
    }
}
