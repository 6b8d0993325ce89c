//! Batches that have been drained: payloads are taken, dropped, and the slots given up.

use std::collections::VecDeque;

use enodev_handles::{Leaving, Quiet, RemoveError};

use crate::model::{Batch, Book};
use crate::object::{Payload, StorePart, Thing, ThingHandle};
use crate::tally::Situation;
use crate::world::World;

pub(crate) struct Drained<'w> {
    quiet: Quiet<'w, Thing, StorePart, Payload>,
    bits: Batch,
    /// Those whose payloads are still there.
    left: VecDeque<u64>,
}

impl<'w> Drained<'w> {
    pub(crate) fn new(quiet: Quiet<'w, Thing, StorePart, Payload>, bits: Batch, book: &Book) -> Self {
        let handles: Batch = quiet.handles().map(ThingHandle::to_bits).collect();
        book.same(|| "handles of a drained batch".into(), &handles, &bits);
        let (len, is_empty) = (bits.len(), bits.is_empty());
        book.same(|| "objects drained".into(), (quiet.len(), quiet.is_empty()), (len, is_empty));
        Self { quiet, left: bits.iter().copied().collect(), bits }
    }

    pub(crate) fn take(&mut self, book: &Book) {
        let expected = self.left.pop_front();
        let expected = expected.and_then(|bits| {
            let mut model = book.model();
            let stamp = model.readable(bits).ok()?;
            model.payload_taken(stamp);
            Some((ThingHandle::from_bits(bits), stamp))
        });
        let got = self.quiet.take();
        let named = got.as_ref().map(|(handle, payload)| (*handle, *payload.stamp()));
        book.same(|| "take".into(), named, expected);
        drop(got);
    }

    pub(crate) fn drop_payloads(&mut self, book: &Book) {
        payloads_due(book, std::mem::take(&mut self.left));
        self.quiet.drop_payloads();
    }

    pub(crate) fn finish(self, book: &Book) {
        let Self { quiet, bits, left } = self;
        payloads_due(book, left);
        {
            let mut model = book.model();
            for &bits in &bits {
                if let Ok(stamp) = model.readable(bits) {
                    model.store_due(stamp);
                }
            }
        }
        drop(quiet);
        let mut model = book.model();
        bits.iter().for_each(|bits| model.gone(*bits));
    }

    /// As [`finish`](Self::finish), while the store parts are being read.
    pub(crate) fn finish_pinned(self, world: &World) {
        let pin = world.domain.pin();
        world.model().pinned();
        let handles: Vec<ThingHandle> = self.bits.iter().map(|bits| ThingHandle::from_bits(*bits)).collect();
        let mut seen = Vec::new();
        for handle in handles {
            let expected = world.model().readable(handle.to_bits());
            let got = world.arena.get_leaving(&pin, handle);
            world.same(|| format!("get_leaving {handle:?}"), got.map(StorePart::stamp), expected);
            if let (Ok(store), Ok(stamp)) = (got, expected) {
                world.model().see(stamp);
                seen.push((store, stamp));
            }
        }
        self.finish(world.book());
        world.flush();
        for (store, stamp) in seen {
            world.same(|| "a store part read under a pin".into(), store.stamp(), stamp);
            world.model().unsee(stamp);
        }
        world.model().unpinned();
        drop(pin);
    }
}

type Finished<'w> = Result<Quiet<'w, Thing, StorePart, Payload>, (Leaving<'w, Thing, StorePart, Payload>, RemoveError)>;

/// The end of a deferred batch, on behalf of the store: takes some payloads and drops the others. What could not be drained is
/// given up.
pub(crate) fn finish_deferred(finished: Finished<'_>, bits: Batch, take: u8, book: &Book, situation: Situation) {
    let expected = book.model().begin_deferred(&bits);
    book.same(|| "a deferred drain".into(), finished.as_ref().map(drop).map_err(|(_, error)| *error), expected);
    match finished {
        Ok(quiet) => {
            book.model().tally.note(situation);
            let mut drained = Drained::new(quiet, bits, book);
            (0..take % 4).for_each(|_| drained.take(book));
            drained.finish(book);
        }
        Err((leaving, _)) => {
            drop(leaving);
            let mut model = book.model();
            model.tally.note(Situation::DeferredPinned);
            model.give_up(bits);
        }
    }
}

fn payloads_due(book: &Book, left: impl IntoIterator<Item = u64>) {
    let mut model = book.model();
    for bits in left {
        if let Ok(stamp) = model.readable(bits) {
            model.payload_due(stamp);
        }
    }
}
