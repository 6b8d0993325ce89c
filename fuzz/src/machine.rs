//! The lives of the worlds, the one inside the other, and what is checked after every operation.

use std::sync::Arc;

use enodev_handles::DomainError;

use crate::bits;
use crate::common::Common;
use crate::model::{Book, Issued};
use crate::object::ThingHandle;
use crate::op::{Action, Op};
use crate::open::Open;
use crate::tally::{Situation, Tally};
use crate::world::World;

/// So many objects a slot of the second world holds before it retires: its generation has three bits.
const FEW_GENERATIONS: u32 = 8;

#[derive(Debug)]
pub(crate) struct Machine<'o> {
    ops: &'o [Op],
    at: usize,
    common: Common,
    issued: Issued,
    /// Handles of worlds that have ended.
    buried: Vec<u64>,
    tally: Tally,
}

/// What ends, and the second world with it.
#[derive(Debug, Clone, Copy)]
enum End {
    First {
        how: u8,
    },
    Second {
        how: u8,
    },
    /// Its length says how.
    Input {
        how: u8,
    },
}

impl End {
    fn how(self) -> u8 {
        let (Self::First { how } | Self::Second { how } | Self::Input { how }) = self;
        how
    }
}

impl<'o> Machine<'o> {
    pub(crate) fn new(ops: &'o [Op]) -> Self {
        let (common, issued) = (Common::default(), Issued::default());
        Self { ops, at: 0, common, issued, buried: Vec::new(), tally: Tally::default() }
    }

    pub(crate) fn run(mut self) -> Tally {
        loop {
            let first = self.world(None);
            let end = self.life_of_first(&first);
            self.end(first, end.how());
            if let End::Input { .. } = end {
                while self.leave_owned(0) {}
                self.tally += &self.common.refs.tally;
                return self.tally;
            }
            self.at += 1;
        }
    }

    fn life_of_first(&mut self, first: &Arc<World>) -> End {
        let mut in_first = Open::new(first);
        loop {
            let second = self.world(Some(FEW_GENERATIONS));
            self.common.pool.reach([Arc::downgrade(first), Arc::downgrade(&second)]);
            let end = self.life_of_second(&mut in_first, &second);
            self.end(second, end.how());
            if !matches!(end, End::Second { .. }) {
                in_first.close(end.how());
                self.judge(first.book());
                return end;
            }
            self.check(&[&in_first]);
            self.at += 1;
        }
    }

    /// Returns at an operation that ends a world.
    fn life_of_second(&mut self, in_first: &mut Open<'_>, second: &World) -> End {
        let mut in_second = Open::new(second);
        let end = loop {
            let Some(op) = self.ops.get(self.at) else { break End::Input { how: self.ops.len() as u8 } };
            match op.action {
                Action::Reset { how } if op.second => break End::Second { how },
                Action::Reset { how } => break End::First { how },
                Action::LeaveOwned { reference } => {
                    self.leave_owned(reference);
                }
                action if op.second => in_second.step(action, &mut self.common),
                action => in_first.step(action, &mut self.common),
            }
            self.check(&[&*in_first, &in_second]);
            self.at += 1;
        };
        in_second.close(end.how());
        self.judge(second.book());
        end
    }

    /// False if there is none.
    fn leave_owned(&mut self, reference: u8) -> bool {
        let book = self.common.refs.leave(reference);
        book.iter().for_each(|book| self.judge(book));
        book.is_some()
    }

    fn world(&self, generations: Option<u32>) -> Arc<World> {
        match World::new(generations, &self.issued) {
            Ok(world) => world,
            Err(DomainError::Tags) => self.fail("the tags of the process are used up: start another one"),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn end(&mut self, world: Arc<World>, how: u8) {
        let book = Arc::clone(world.book());
        world.end(how);
        self.judge(&book);
        let model = book.model();
        self.tally += &model.tally;
        self.buried.extend(model.dead());
    }

    /// Compares everything that is held, and tries some handles on each world.
    fn check(&mut self, open: &[&Open<'_>]) {
        let handles: Vec<ThingHandle> = self.sample(open);
        for open in open {
            open.check();
            handles.iter().for_each(|handle| open.world().probe(*handle));
            // What the probes did is compared too.
            open.world().check();
        }
        self.check_names(&handles, open);
        for open in open {
            self.judge(open.world().book());
        }
        self.common.refs.check().for_each(|book| self.judge(book));
    }

    /// In a map with keys of both worlds nothing has another's value.
    fn check_names(&mut self, handles: &[ThingHandle], open: &[&Open<'_>]) {
        for &handle in handles {
            let (value, is_lost) = self.common.names.get(handle);
            let world = open.iter().map(|open| open.world()).find(|world| world.arena.contains(handle));
            let reporter = world.unwrap_or(open[0].world());
            let bits = handle.to_bits();
            reporter.same(|| format!("the value of {handle:?}"), value.unwrap_or(bits), bits);
            if is_lost {
                reporter.model().tally.note(Situation::KeyLost);
            }
            match world {
                Some(_) if self.at % 8 == 7 => drop(self.common.names.take(handle)),
                Some(_) => self.common.names.put(handle),
                None => {}
            }
        }
    }

    /// Handles of every sort, others after each operation.
    fn sample(&self, open: &[&Open<'_>]) -> Vec<ThingHandle> {
        let at = self.at;
        let buried = at.checked_rem(self.buried.len()).map(|nth| self.buried[nth]);
        let mut all = vec![self.common.pool.nth(at)];
        for open in open {
            let model = open.world().model();
            let own = if at % 2 == 0 { model.nth_dead(at / 2) } else { model.nth_live(at / 2) };
            all.extend(own.map(ThingHandle::from_bits));
        }
        all.extend(buried.filter(|_| at % 4 == 0).map(ThingHandle::from_bits));
        let forged = bits::forge(all[at % all.len()].to_bits(), (at / 3) as u8, at as u8);
        all.push(if at % 16 == 0 { ThingHandle::null() } else { ThingHandle::from_bits(forged) });
        all
    }

    fn judge(&self, book: &Book) {
        let complaints = book.model().complaints().join("; ");
        if !complaints.is_empty() {
            self.fail(&complaints);
        }
    }

    #[expect(clippy::panic, reason = "it is how an interpreter of tests says that something is wrong")]
    fn fail(&self, what: &str) -> ! {
        match self.ops.get(self.at) {
            Some(op) => panic!("operation {}, {op:?}: {what}", self.at),
            None => panic!("at the end, after {} operations: {what}", self.ops.len()),
        }
    }
}
