//! Drains that are awaited.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use enodev_handles::Label;
use enodev_handles::sync::{Condvar, Mutex, thread};

use crate::check;
use crate::common::{disks, plug};

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }
}

/// Polls only when it is woken: a wake-up that is left out is a deadlock.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = bell.rung.lock();
        while !*rung {
            bell.changed.wait(&mut rung);
        }
        *rung = false;
    }
}

/// Of the leave and the look after the waker was left behind, one sees the other.
#[test]
fn a_drain_that_is_awaited_is_woken() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let guard = disks.enter(sda).unwrap();
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let mut leaving = disks.leave();
                leaving.mark(sda).unwrap();
                drop(block_on(leaving.drained()).unwrap());
            }
        });
        guard.visit();
        drop(guard);
        remover.join().unwrap();
        witness.assert_gone();
    });
}

/// The same for a reference that is owned.
#[test]
fn a_drain_that_is_awaited_is_woken_by_an_owned_reference() {
    check(|| {
        let disks = disks();
        let (sda, witness) = plug(&disks);
        let owned = disks.enter_owned(sda, Label::default()).unwrap();
        let remover = thread::spawn({
            let disks = Arc::clone(&disks);
            move || {
                let mut leaving = disks.leave();
                leaving.mark(sda).unwrap();
                drop(block_on(leaving.drained()).unwrap());
            }
        });
        owned.visit();
        drop(owned);
        remover.join().unwrap();
        witness.assert_gone();
    });
}
