//! Open files, attributes and groups in a store that changes under them, compared with a model after each operation.
//!
//! The input is a string of bytes, four for one operation. The operations register, move, link and remove objects of two types and
//! plain directories; give them groups of attributes, take those away, hide and show; open files, read, write, seek and poll them.
//! A second store has the same definitions: its handles mean nothing in the first. An operation that leads to a callback may say that
//! the callback does the next operations, and how it ends: well, with an error, by a panic, or with a lie. So callbacks remove
//! their own object or their own group, hide themselves, use the file through which they were called, and call other callbacks.
//!
//! One thread does it all: nothing is ever waited for. The model is of plain maps, and of numbers without a bound.
//!
//! ```
//! // No operation: the store is empty, and as empty as the model.
//! enodev_fuzz::files::run(&[]);
//! ```

mod ask;
mod call;
mod change;
mod defs;
mod events;
mod io;
mod leaving;
mod machine;
mod model;
mod op;
mod setup;
mod shown;
mod side;
mod tree;
mod whole;

use crate::tally::Tally;
use op::Op;

/// Operations of one run at the most.
const OPS_MAX: usize = 256;

macro_rules! scenes {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// What a run can come to: whoever drives the interpreter sees whether the inputs reach all of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Scene { $($(#[$doc])* $name),* }

        impl Scene {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

scenes! {
    /// An object was not moved below itself.
    MovedBelowItself
    /// An object was moved.
    Moved
    /// A link was refused, its name being taken.
    NameTaken
    /// An object was registered of which little was shown.
    BornHidden
    /// An object was not registered, a callback having panicked.
    BirthFailed
    /// An object was not removed, the callback being its own.
    RemovalRefused
    /// A callback removed the object that it was a callback of, or one above.
    BegunInside
    /// That removal ended with the callback.
    EndedInside
    /// Something was to be removed that was leaving already.
    LeavingAlready
    /// A group was not added, a name being taken.
    GroupRefused
    /// A callback took its own group away.
    GroupBegun
    /// A callback took its own group away twice.
    GroupLeaving
    /// An update took attributes away.
    UpdatedAway
    /// An update took the attribute away in whose callback it was.
    UpdateBegun
    /// A callback hid its own attribute.
    HideBegun
    /// A file was used whose attribute had gone or been hidden.
    FileDied
    /// A file was used whose object had left.
    Unplugged
    /// A callback used the file through which it was called.
    OwnFile
    /// A callback wanted the lock that it had.
    LockHeld
    /// A callback panicked.
    Panicked
    /// A plain value was refused.
    PlainRefused
    /// Who waited was told of a change.
    WokenByChange
    /// Who waited was told of the end.
    WokenByEnd
}

/// Interprets a string of bytes; an incomplete operation at its end does nothing. Returns how often each situation was met.
///
/// # Panics
///
/// If the store's answer differs from the model's, or a payload is dropped too early, twice or never. The message names the
/// operation.
pub fn run(bytes: &[u8]) -> Tally<Scene> {
    let ops = bytes.chunks_exact(4).take(OPS_MAX);
    machine::run(ops.map(|op| Op::decode([op[0], op[1], op[2], op[3]])).collect())
}
