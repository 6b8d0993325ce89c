//! Making changes known, and waiting for them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use enodev::Event;

use crate::files::Scene;
use crate::files::machine::{DEPTH_MAX, Here, steps};
use crate::files::op::{Action, Op};

/// Counts how often it has been woken.
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Relaxed: one thread does it all.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn perform(here: Here<'_>, op: Op) {
    if op.action == Action::Notify {
        let (object, attr, expected) = {
            let mut state = here.side.state();
            let object = state.object(op.a);
            let attr = state.attr(op.b, object);
            let expected = state.model.get(object);
            let known = state.model.attr(attr);
            for slot in state.files.iter_mut().flatten() {
                if expected == Ok(slot.object) && known == Ok(slot.attr) {
                    slot.is_news = slot.is_news.map(|_| true);
                }
            }
            (object, attr, expected.and(known).map(drop))
        };
        return here.side.same(|| format!("{op:?}"), here.store.notify(object, attr), expected);
    }
    let found = {
        let mut state = here.side.state();
        let place = state.place(op.a);
        place.and_then(|place| Some((place, Arc::clone(&state.slot(place)?.file))))
    };
    let Some((place, file)) = found else { return };
    let event = || {
        let state = here.side.state();
        state.files[place].as_ref().map(|slot| state.event(slot))
    };
    let bell = Arc::new(Bell(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut changed = pin!(file.changed(here.store));
    let mut poll = || match changed.as_mut().poll(&mut context) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    };
    let expected = event();
    let first = poll();
    here.side.same(|| format!("{op:?}"), Some(first), expected);
    if first.is_some() {
        return;
    }
    let nested = if here.side.state().model.leaving.frames.len() < DEPTH_MAX { op.b % 4 } else { 0 };
    let before = {
        let mut state = here.side.state();
        let awaited = state.slot(place).map(|slot| (slot.object, slot.attr));
        std::mem::replace(&mut state.awaited, awaited)
    };
    steps(here.side, here.store, nested);
    here.side.state().awaited = before;
    // None: it has been closed meanwhile.
    let Some(expected) = event() else { return };
    // Relaxed: as above.
    let rung = bell.0.load(Ordering::Relaxed);
    here.side.same(|| format!("{op:?}, afterwards"), poll(), expected);
    here.side.same(|| format!("{op:?}, woken for {expected:?}"), expected.is_none() || rung > 0, true);
    let mut state = here.side.state();
    state.note_if(expected == Some(Event::Changed), Scene::WokenByChange);
    state.note_if(expected == Some(Event::Gone), Scene::WokenByEnd);
}
