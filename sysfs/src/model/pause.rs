//! Where all threads meet, and wait while the auditor goes through the store.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::walker::Done;

/// The meeting place.
#[derive(Debug, Default)]
pub(super) struct Pause {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Who has arrived since the last call.
    arrived: Vec<Done>,
    /// How often the threads have been called on.
    calls: u64,
    is_over: bool,
}

impl Pause {
    /// A thread arrives, with what it has done so far, and waits until it is called on. Says whether it is to go on.
    pub(super) fn arrive(&self, done: Done) -> bool {
        let mut state = self.state.lock();
        let calls = state.calls;
        state.arrived.push(done);
        self.changed.notify_all();
        while state.calls == calls {
            self.changed.wait(&mut state);
        }
        !state.is_over
    }

    /// Waits, for a while, until so many threads have arrived. Gives what they have done, if they have.
    pub(super) fn wait(&self, threads: usize, length: Duration) -> Option<Vec<Done>> {
        let mut state = self.state.lock();
        if state.arrived.len() < threads {
            self.changed.wait_for(&mut state, length);
        }
        (state.arrived.len() == threads).then(|| state.arrived.clone())
    }

    /// Calls those who have arrived: to go on, or to end.
    pub(super) fn call(&self, is_over: bool) {
        let mut state = self.state.lock();
        state.arrived.clear();
        state.calls += 1;
        state.is_over = is_over;
        self.changed.notify_all();
    }
}
