//! The types, groups and attributes of the store, as a table: what is defined and what the model knows.

use enodev::Mode;

/// Whose callbacks a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lends {
    Shared,
    /// By the trait as which a shared payload is published.
    View,
    Exclusive,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Text {
        show: bool,
        store: bool,
    },
    Binary {
        size: u64,
        read: bool,
        write: bool,
    },
    /// A `u32` that the store keeps.
    Plain,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupDef {
    pub(crate) name: Option<&'static str>,
    pub(crate) lends: Lends,
    /// The type all of whose objects have it.
    pub(crate) ty: Option<usize>,
    pub(crate) is_shown: bool,
    pub(crate) is_visible: bool,
    /// Defined as an attribute.
    pub(crate) is_alone: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AttrDef {
    pub(crate) name: &'static str,
    pub(crate) group: usize,
    pub(crate) code: Code,
    pub(crate) mode: Mode,
}

const fn group(name: Option<&'static str>, lends: Lends, ty: Option<usize>, decides: [bool; 2]) -> GroupDef {
    GroupDef { name, lends, ty, is_shown: decides[0], is_visible: decides[1], is_alone: false }
}

const fn attr(group: usize, name: &'static str, code: Code) -> AttrDef {
    let mode = match code {
        Code::Text { store: false, .. } | Code::Binary { write: false, .. } => Mode::RO,
        Code::Text { show: false, .. } | Code::Binary { read: false, .. } => Mode::WO,
        _ => Mode::RW,
    };
    AttrDef { name, group, code, mode }
}

const RW: Code = Code::Text { show: true, store: true };
const RO: Code = Code::Text { show: true, store: false };
const WO: Code = Code::Text { show: false, store: true };

pub(crate) const TYPES: [&str; 2] = ["shared", "exclusive"];

pub(crate) const GROUPS: [GroupDef; 10] = [
    group(None, Lends::Shared, Some(0), [false, false]),
    group(Some("power"), Lends::Shared, Some(0), [true, true]),
    group(None, Lends::Exclusive, Some(1), [false, true]),
    group(Some("lock"), Lends::Exclusive, Some(1), [true, false]),
    group(None, Lends::Any, None, [false, false]),
    group(Some("extra"), Lends::Any, None, [true, true]),
    group(Some("more"), Lends::View, None, [false, true]),
    group(None, Lends::Exclusive, None, [true, true]),
    GroupDef { is_alone: true, ..group(None, Lends::Any, None, [false, false]) },
    GroupDef { is_alone: true, ..group(None, Lends::Shared, None, [false, false]) },
];

pub(crate) const ATTRS: [AttrDef; 23] = [
    attr(0, "value", RW),
    attr(0, "fixed", RO),
    attr(0, "control", WO),
    attr(0, "blob", Code::Binary { size: 8, read: true, write: true }),
    attr(0, "count", Code::Plain),
    attr(1, "state", RW),
    attr(1, "log", Code::Binary { size: 0, read: true, write: false }),
    AttrDef { mode: Mode::RUSR, ..attr(1, "spare", RW) },
    attr(2, "value", RW),
    attr(2, "blob", Code::Binary { size: 4, read: false, write: true }),
    attr(2, "count", Code::Plain),
    attr(3, "state", RW),
    attr(3, "seal", WO),
    attr(4, "x0", RW),
    attr(4, "x1", RO),
    attr(5, "x0", RW),
    attr(5, "huge", Code::Binary { size: u64::MAX, read: true, write: true }),
    attr(6, "state", RW),
    attr(6, "mine", RO),
    attr(7, "y0", RW),
    attr(7, "y1", WO),
    attr(8, "alone", RW),
    attr(9, "single", RO),
];

/// The names that operations go by: of children, of what may clash with them, and no names at all.
pub(crate) const NAMES: [&str; 24] = [
    "a",
    "b",
    "c",
    "d",
    "value",
    "power",
    "x0",
    "extra",
    "alone",
    "count",
    "blob",
    "control",
    "y0",
    "more",
    "lock",
    "power/state",
    "extra/x0",
    "lock/state",
    "more/state",
    "power/log",
    "a/b",
    "",
    "..",
    "fixed",
];

pub(crate) fn attrs_of(group: usize) -> impl Iterator<Item = usize> {
    (0..ATTRS.len()).filter(move |attr| ATTRS[*attr].group == group)
}

impl AttrDef {
    pub(crate) fn group(&self) -> &'static GroupDef {
        &GROUPS[self.group]
    }

    /// As it is opened.
    pub(crate) fn path(&self) -> String {
        self.group().name.map_or_else(|| self.name.into(), |dir| format!("{dir}/{}", self.name))
    }

    pub(crate) fn has_read(&self) -> bool {
        !matches!(self.code, Code::Text { show: false, .. } | Code::Binary { read: false, .. })
    }

    pub(crate) fn has_write(&self) -> bool {
        !matches!(self.code, Code::Text { store: false, .. } | Code::Binary { write: false, .. })
    }

    /// Whether it needs the lock of an exclusive payload.
    pub(crate) fn locks(&self) -> bool {
        self.group().lends == Lends::Exclusive
    }

    pub(crate) fn size(&self) -> u64 {
        if let Code::Binary { size, .. } = self.code { size } else { 4096 }
    }
}

impl GroupDef {
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_shown && !self.is_visible
    }

    pub(crate) fn fits(&self, ty: Option<usize>) -> bool {
        match self.lends {
            Lends::Any => true,
            Lends::Shared | Lends::View => ty == Some(0),
            Lends::Exclusive => ty == Some(1),
        }
    }
}

/// What a group's callback says of one attribute, or of the group itself, by the byte that an operation has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    AsDefined,
    Hidden,
    /// Readable by its user alone.
    Less,
    /// No bits.
    Nothing,
    /// More than there are callbacks for.
    TooMuch,
    Panics,
}

pub(crate) fn says(byte: u8, ordinal: usize) -> Says {
    let twist = if byte >= 208 { 4 } else { 0 };
    match (byte >> (2 * (ordinal % 3))) % 4 + twist {
        0 | 4 | 5 => Says::AsDefined,
        1 => Says::Hidden,
        2 => Says::Less,
        3 => Says::Nothing,
        6 => Says::TooMuch,
        _ => Says::Panics,
    }
}

/// Whether the group is shown; none if the callback panics.
pub(crate) fn is_shown(byte: u8) -> Option<bool> {
    if byte == 207 { None } else { Some(byte % 8 != 7) }
}
