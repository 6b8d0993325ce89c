//! The scenarios of Linux's tests of revocable resources: the provider has the gate, consumers share it.

use std::sync::{Arc, Weak};

use enodev_handles::{CloseError, Closed, Gate};

use crate::common::{Drops, STRATEGIES, gate};

/// T33: who enters gets the resource; when the provider has taken it back, the gate has none.
#[test]
fn an_open_gate_gives_its_value_and_a_closed_one_has_none() {
    for strategy in STRATEGIES {
        let drops = Drops::default();
        let gate = gate(strategy, (10, drops.token()));
        assert_eq!(gate.enter().unwrap().0, 10);
        assert!(!gate.is_shut());
        let value = gate.close().unwrap();
        assert_eq!((value.0, drops.count()), (10, 0));
        assert!(gate.is_shut());
        assert_eq!(gate.close().map(|_| ()), Err(CloseError::Closed));
        drop((value, gate));
        assert_eq!(drops.count(), 1);
    }
}

/// T34, S2-5: through the same reference to the gate, a consumer gets in before it is closed, and an error of its own after.
#[test]
fn the_reference_that_let_in_before_refuses_after() {
    for strategy in STRATEGIES {
        let provider = Arc::new(gate(strategy, 10));
        let consumer = Arc::clone(&provider);
        assert_eq!(consumer.enter().map(|pass| *pass), Ok(10));
        assert_eq!(provider.close(), Ok(10));
        assert_eq!(consumer.enter().map(|pass| *pass), Err(Closed));
        assert_eq!(consumer.enter_labelled(Default::default()).map(|pass| *pass), Err(Closed));
        assert_eq!(consumer.enter_owned(Default::default()).map(|pass| *pass), Err(Closed));
    }
}

/// T35, T36: the plain form runs the body in either case, with nothing where the resource has gone; the scoped form does not run it
/// then.
#[test]
fn a_body_runs_with_nothing_in_the_plain_form_and_not_at_all_in_the_scoped_one() {
    fn plain(gate: &Gate<u32>) -> (bool, Option<u32>) {
        let pass = gate.enter().ok();
        (true, pass.as_deref().copied())
    }
    fn scoped(gate: &Gate<u32>) -> Option<u32> {
        let mut seen = None;
        if let Ok(pass) = gate.enter() {
            seen = Some(*pass);
        }
        seen
    }
    for strategy in STRATEGIES {
        let gate = gate(strategy, 10);
        assert_eq!((plain(&gate), scoped(&gate)), ((true, Some(10)), Some(10)));
        // The guards of both forms are gone, or this would be refused.
        assert_eq!(gate.close(), Ok(10));
        assert_eq!((plain(&gate), scoped(&gate)), ((true, None), None));
    }
}

/// T37: a gate that has no value yet refuses, so does one whose value has been taken, one that is only shut, and one whose
/// provider has gone.
#[test]
fn whatever_has_no_value_to_give_refuses() {
    let empty: Gate<u32> = Gate::closed();
    assert_eq!(empty.enter().map(|pass| *pass), Err(Closed));
    assert_eq!(empty.close(), Err(CloseError::Closed));
    assert!(!empty.shut());
    assert_eq!(empty.enter().map(|pass| *pass), Err(Closed));

    for strategy in STRATEGIES {
        let taken = gate(strategy, 10);
        assert_eq!(taken.close(), Ok(10));
        assert_eq!(taken.enter().map(|pass| *pass), Err(Closed));

        let shut = gate(strategy, 10);
        assert!(shut.shut());
        assert_eq!(shut.enter().map(|pass| *pass), Err(Closed));
        assert_eq!(shut.close(), Ok(10));

        let provider = Arc::new(gate(strategy, 10));
        let consumer: Weak<Gate<u32>> = Arc::downgrade(&provider);
        drop(provider);
        assert!(consumer.upgrade().is_none());
    }
}

/// T38, S0-7: a consumer's file that shows the resource reads "(null)" when the resource has gone, in each of three styles of
/// access, and its other contents as before.
#[test]
fn a_consumer_s_file_shows_that_the_resource_has_gone() {
    struct Consumer<'a> {
        name: &'static str,
        provider: &'a Gate<String>,
    }
    impl Consumer<'_> {
        fn read(&self, style: u32) -> String {
            let null = || "(null)".to_owned();
            let shown = match style {
                0 => match self.provider.enter() {
                    Ok(pass) => pass.clone(),
                    Err(Closed) => null(),
                },
                1 => self.provider.enter().map_or_else(|Closed| null(), |pass| pass.to_uppercase().to_lowercase()),
                _ => (|| Ok::<_, Closed>(self.provider.enter()?.clone()))().unwrap_or_else(|Closed| null()),
            };
            format!("{}: {shown}", self.name)
        }
    }
    for strategy in STRATEGIES {
        let provider = gate(strategy, "resource".to_owned());
        let consumer = Consumer { name: "ttyUSB0", provider: &provider };
        let read = || [0, 1, 2].map(|style| consumer.read(style));
        assert_eq!(read(), ["ttyUSB0: resource"; 3]);
        drop(provider.close().unwrap());
        assert_eq!(read(), ["ttyUSB0: (null)"; 3]);
    }
}
