//! Columns of values, walked over two at a time.

use enodev_handles::{Arena, Column, Density, Domain, join};
use hecs::{Entity, World};

use super::arena::{Enodev, Object, StorePart};
use crate::compare::churn::Churn;
use crate::compare::join::{Join, Left, Met, Right};
use crate::compare::{Payload, Result};

/// Two dense columns of an arena, walked over under a pin.
pub(crate) struct ColumnJoin {
    domain: Domain,
    left: Column<Object, u64>,
    right: Column<Object, u64>,
    /// Columns need none, but their objects do.
    _arena: Arena<Object, StorePart, Payload>,
}

impl Join for ColumnJoin {
    fn build(values: impl Iterator<Item = (Left, Right)>) -> Result<Self> {
        let Enodev { domain, arena } = Enodev::empty(0)?;
        let (lefts, rights) = (arena.column(Density::Dense), arena.column(Density::Dense));
        for (left, right) in values {
            let object = arena.insert(StorePart::default(), Payload::new(left.0))?;
            let pin = domain.pin();
            lefts.set(&pin, object, left.0)?;
            rights.set(&pin, object, right.0)?;
        }
        Ok(Self { domain, left: lefts, right: rights, _arena: arena })
    }

    #[inline]
    fn walk(&self) -> Met {
        let pin = self.domain.pin();
        let walk = join(&pin, (&self.left, &self.right));
        walk.fold(Met::default(), |met, (object, (left, right))| met.and(object.to_bits(), Left(left), Right(right)))
    }
}

/// A world of `hecs`, whose entities all have both components.
pub(crate) struct HecsJoin(World);

impl Join for HecsJoin {
    fn build(values: impl Iterator<Item = (Left, Right)>) -> Result<Self> {
        let mut world = World::new();
        world.spawn_batch(values.collect::<Vec<_>>());
        Ok(Self(world))
    }

    #[inline]
    fn walk(&self) -> Met {
        let mut query = self.0.query::<(Entity, &Left, &Right)>();
        query.iter().fold(Met::default(), |met, (entity, left, right)| met.and(entity.to_bits().get(), *left, *right))
    }
}
