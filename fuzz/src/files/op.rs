//! Operations on the store.

/// One operation: what is done, and three bytes that choose with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) action: Action,
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) c: u8,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $weight:literal)*) => {
        /// What an operation does. The number is how many codes mean it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Action { $($(#[$doc])* $name),* }

        const WEIGHTS: &[(Action, u8)] = &[$((Action::$name, $weight)),*];
    };
}

actions! {
    /// A plain directory: parent, name.
    Create 4
    /// An object of a type: parent, name, which type and what its groups decide.
    Register 9
    /// Object; asked for as a payload of one type or of the other.
    Unregister 4
    /// Object.
    UnregisterSubtree 5
    /// Object, name.
    Rename 3
    /// Object, parent, name.
    Move 4
    /// Directory, name, target.
    Link 4
    /// Directory, name.
    Unlink 2
    /// Object, group, what it decides.
    AddGroup 9
    /// Object, group.
    RemoveGroup 6
    /// Object, group, what it decides.
    UpdateGroup 6
    /// Object, attribute.
    AddAttribute 2
    /// Object, attribute.
    RemoveAttribute 2
    /// Object, attribute.
    Hide 5
    /// Object, attribute.
    Unhide 4
    /// Object, attribute or name, access.
    Open 12
    /// File.
    Close 1
    /// File, how, how much.
    Read 14
    /// File, how, how much.
    Write 12
    /// File, where to.
    Seek 3
    /// Object, attribute.
    Notify 4
    /// File.
    Poll 2
    /// File; so many operations come meanwhile.
    Await 3
    /// Object, attribute, how.
    ShowByHandle 3
    /// Object, attribute, how.
    ReadWhole 2
    /// Object, attribute, how.
    WriteWhole 2
    /// Object, which type's.
    PlainLoad 2
    /// Object, which type's, value.
    PlainStore 2
    /// Object, two names below.
    Lookup 3
    /// Object, name.
    Find 2
    /// Object: everything that can be asked of it.
    Ask 3
    /// Everything.
    Check 1
}

impl Op {
    /// All bytes mean something.
    pub(crate) fn decode([code, a, b, c]: [u8; 4]) -> Self {
        let all: u8 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = code % all;
        for (action, weight) in WEIGHTS {
            match left.checked_sub(*weight) {
                None => return Self { action: *action, a, b, c },
                Some(less) => left = less,
            }
        }
        Self { action: Action::Check, a, b, c }
    }

    /// So many of the next operations are done in the callback that this one leads to.
    pub(crate) fn nested(self) -> u8 {
        match self.b {
            0..=111 => 0,
            112..=175 => 1,
            176..=223 => 2,
            _ => 3,
        }
    }

    /// How the callback ends.
    pub(crate) fn ending(self) -> Ending {
        match self.b % 16 {
            13 => Ending::Fail,
            14 => Ending::Panic,
            15 => Ending::TooMuch,
            _ => Ending::Well,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Well,
    Fail,
    Panic,
    /// A `show` that puts more than fits, a read or a write that claims more than it was given.
    TooMuch,
}
