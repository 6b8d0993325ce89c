//! Further data of objects, by handle, in columns beside the arena.
//!
//! An arena's own two parts are for what every object has. A column is for what some part of the program wants to keep with the
//! objects of a kind, without the arena knowing of it: it is made when it is wanted, for one type of value, and holds a value for
//! those objects that have been given one. Three kinds follow the two laws:
//!
//! - [`Column`](column::Column): plain data, read by copy under a pin, set again and again;
//! - [`OnceColumn`](once::OnceColumn): set once, no drop glue, read by reference under a pin;
//! - [`PayloadColumn`](payload::PayloadColumn): foreign values, entered through the object, dropped after its drain.

mod base;
mod column;
mod error;
mod home;
mod join;
mod list;
mod once;
mod payload;
mod plain;
mod row;
mod shortcut;
mod table;

pub use column::Column;
pub use error::{InsertError, SetError};
pub use join::{Join, Joined, Member, join};
pub(crate) use list::Columns;
pub use once::OnceColumn;
pub use payload::PayloadColumn;
pub use plain::{Bytes, Plain};

use crate::arena::Arena;
use crate::handle::Kind;

/// How the rows of a column lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Density {
    /// A row for each slot of the arena, in chunks that double, from the chunk's first value on. Fastest; for values that most
    /// objects have.
    Dense,
    /// Rows for those objects that have a value, and a map to find them. The memory follows the most values that there ever were at
    /// once, whatever the size of the arena. A row is used again when the object has left and no pin can see it.
    Sparse,
}

impl<K, S, P> Arena<K, S, P>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    /// A column of plain data for the objects of this arena.
    pub fn column<T: Plain>(&self, density: Density) -> Column<K, T> {
        let base = base::Base::new(self, density);
        Column { shortcut: shortcut::Shortcut::new(&base), base }
    }

    /// A column of values that are set once. `T` has no drop glue, or this does not compile.
    pub fn once_column<T: Send + Sync + 'static>(&self, density: Density) -> OnceColumn<K, T> {
        const { assert!(!std::mem::needs_drop::<T>(), "a value in a OnceColumn is never dropped") };
        OnceColumn { base: base::Base::new(self, density) }
    }

    /// A column of further payloads.
    pub fn payload_column<T: Send + Sync + 'static>(&self, density: Density) -> PayloadColumn<K, T> {
        PayloadColumn { base: base::Base::new(self, density) }
    }
}
