//! Columns of values, walked over two at a time.

use hecs::{Entity, World};

use crate::compare::Result;
use crate::compare::join::{Join, Left, Met, Right};

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
