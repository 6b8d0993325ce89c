use std::sync::Weak;

use crate::bits;
use crate::object::{ThingHandle, Victim};
use crate::world::World;

/// Handles that are kept; a newer one takes the place of the oldest.
const KEPT_MAX: usize = 96;

/// Handles to draw from: of both worlds and of those that have ended, good and bad.
#[derive(Debug)]
pub(crate) struct Pool {
    kept: Vec<ThingHandle>,
    next: usize,
    worlds: [Weak<World>; 2],
}

impl Default for Pool {
    fn default() -> Self {
        let odd = [0, u64::MAX, 1 << 32, u64::from(u32::MAX), 1 << 56 | 1 << 32];
        let mut kept = vec![ThingHandle::null()];
        kept.extend(odd.map(ThingHandle::from_bits));
        Self { kept, next: 0, worlds: [Weak::new(), Weak::new()] }
    }
}

impl Pool {
    /// The worlds that victims are drawn from.
    pub(crate) fn reach(&mut self, worlds: [Weak<World>; 2]) {
        self.worlds = worlds;
    }

    pub(crate) fn keep(&mut self, handle: ThingHandle) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(handle);
        } else {
            self.kept[self.next] = handle;
            self.next = (self.next + 1) % KEPT_MAX;
        }
    }

    /// An even `choice` draws a live handle of `world`, if it has any; an odd one, whatever has been kept.
    pub(crate) fn draw(&self, choice: u8, world: &World) -> ThingHandle {
        let number = usize::from(choice / 2);
        let live = if choice % 2 == 0 { world.model().nth_live(number) } else { None };
        live.map_or_else(|| self.nth(number), ThingHandle::from_bits)
    }

    /// None for numbers below 128.
    pub(crate) fn victim(&self, choice: u8) -> Option<Victim> {
        let choice = choice.checked_sub(128)?;
        let world = &self.worlds[usize::from(choice / 64)];
        let handle = self.draw(choice, &*world.upgrade()?);
        Some(Victim { world: world.clone(), handle })
    }

    /// The handles counted round.
    pub(crate) fn nth(&self, number: usize) -> ThingHandle {
        self.kept[number % self.kept.len()]
    }

    pub(crate) fn forge(&mut self, handle: ThingHandle, how: u8, by: u8) {
        self.keep(ThingHandle::from_bits(bits::forge(handle.to_bits(), how, by)));
    }
}
