//! Which attributes an object shows, where that is not what its type says.

use std::collections::BTreeMap;

use enodev_attrs::{Mode, Visibility};

use crate::handle::{AttrHandle, GroupHandle};

/// An attribute as an object shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) mode: Mode,
    /// The moment of [`Presence::now`] after which files of it are good. 0 is from the start.
    pub(crate) since: u64,
}

/// What is different on one object. Its type's groups and attributes are here only where they were hidden, or were once.
///
/// # Invariants
///
/// It changes under the store's topology lock only. `since` of what is shown is at most `now`.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// How often something has begun to be shown that was not.
    now: u64,
    groups: Vec<OnGroup>,
    attrs: BTreeMap<AttrHandle, OnAttr>,
}

#[derive(Debug)]
struct OnGroup {
    group: GroupHandle,
    since: u64,
    is_shown: bool,
    /// It is there by `add`, and not as one of the object's type.
    is_added: bool,
    leaving: Option<Leaving>,
    /// The number of the decision by which it is as it is.
    decision: u64,
}

/// The removal of a group: under way, or left to whoever comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    UnderWay,
    GivenUp,
}

#[derive(Debug, Clone, Copy)]
struct OnAttr {
    since: u64,
    /// What the group's callback has decided.
    decided: Visibility,
    /// Whatever that is, it was hidden by hand.
    is_hidden: bool,
}

/// What a group's callbacks have decided for one object.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Later decisions have higher numbers.
    pub(crate) number: u64,
    pub(crate) is_shown: bool,
    /// Each attribute, with the mode of its definition and what has been decided.
    pub(crate) modes: Vec<(AttrHandle, Option<Mode>)>,
}

/// An attribute of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of {
    pub(crate) attr: AttrHandle,
    pub(crate) group: GroupHandle,
    /// Whether all objects of the object's type have it.
    pub(crate) is_own: bool,
    pub(crate) mode: Mode,
}

impl Presence {
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    fn later(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// How the object shows an attribute; `None` if it does not.
    pub(crate) fn of(&self, of: Of) -> Option<Shown> {
        let group = self.group(of.group);
        let since = match group {
            None if !of.is_own => return None,
            Some(group) if !group.is_shown => return None,
            group => group.map_or(0, |group| group.since),
        };
        let Some(on) = self.attrs.get(&of.attr) else { return Some(Shown { mode: of.mode, since }) };
        let mode = match on.decided {
            Visibility::Hidden => return None,
            Visibility::AsDefined => of.mode,
            Visibility::Mode(mode) => mode,
        };
        (!on.is_hidden).then_some(Shown { mode, since: since.max(on.since) })
    }

    /// Whether the object shows a group, which all objects of its type have or not.
    pub(crate) fn shows(&self, group: GroupHandle, is_own: bool) -> bool {
        self.group(group).map_or(is_own, |group| group.is_shown)
    }

    /// The groups that were added, those that are leaving included.
    pub(crate) fn added(&self) -> impl Iterator<Item = GroupHandle> {
        self.groups.iter().filter(|on| on.is_added).map(|on| on.group)
    }

    fn group(&self, group: GroupHandle) -> Option<&OnGroup> {
        self.groups.iter().find(|on| on.group == group)
    }

    fn group_mut(&mut self, group: GroupHandle) -> Option<&mut OnGroup> {
        self.groups.iter_mut().find(|on| on.group == group)
    }

    /// Adds a group that the object has not.
    pub(crate) fn add(&mut self, group: GroupHandle, decision: &Decision, of: impl Fn(AttrHandle) -> Of) {
        let since = self.later();
        let number = decision.number;
        self.groups.push(OnGroup { group, since, is_shown: true, is_added: true, leaving: None, decision: number });
        self.decide(group, decision, of);
    }

    /// Lets a decision take effect. Returns what is not shown any more.
    pub(crate) fn decide(
        &mut self,
        group: GroupHandle,
        decision: &Decision,
        of: impl Fn(AttrHandle) -> Of,
    ) -> Vec<AttrHandle> {
        let shown: Vec<_> = decision.modes.iter().filter(|(attr, _)| self.of(of(*attr)).is_some()).collect();
        if !self.decide_group(group, decision) {
            return Vec::new();
        }
        for (attr, mode) in &decision.modes {
            let of = of(*attr);
            let decided = match mode {
                None => Visibility::Hidden,
                Some(mode) if *mode == of.mode => Visibility::AsDefined,
                Some(mode) => Visibility::Mode(*mode),
            };
            self.decide_attr(*attr, decided);
        }
        shown.into_iter().map(|(attr, _)| *attr).filter(|attr| self.of(of(*attr)).is_none()).collect()
    }

    /// False if a later decision has been here already.
    fn decide_group(&mut self, group: GroupHandle, decision: &Decision) -> bool {
        let now = self.now + 1;
        let Some(on) = self.group_mut(group) else {
            // A type's group, which is as it is by no decision that it was told of.
            self.groups.push(OnGroup {
                group,
                since: 0,
                is_shown: decision.is_shown,
                is_added: false,
                leaving: None,
                decision: decision.number,
            });
            return true;
        };
        if on.decision > decision.number || on.leaving.is_some() {
            return false;
        }
        on.decision = decision.number;
        let appears = decision.is_shown && !on.is_shown;
        on.is_shown = decision.is_shown;
        if appears {
            on.since = now;
            self.now = now;
        }
        true
    }

    fn decide_attr(&mut self, attr: AttrHandle, decided: Visibility) {
        let now = self.now + 1;
        let Some(on) = self.attrs.get_mut(&attr) else {
            if decided != Visibility::AsDefined {
                self.attrs.insert(attr, OnAttr { since: 0, decided, is_hidden: false });
            }
            return;
        };
        let appears = on.decided == Visibility::Hidden && decided != Visibility::Hidden;
        on.decided = decided;
        if appears {
            on.since = now;
            self.now = now;
        }
    }

    /// Hides an attribute by hand, or shows it again.
    pub(crate) fn hide(&mut self, attr: AttrHandle, is_hidden: bool) {
        let now = self.now + 1;
        let on =
            self.attrs.entry(attr).or_insert(OnAttr { since: 0, decided: Visibility::AsDefined, is_hidden: false });
        if on.is_hidden && !is_hidden {
            on.since = now;
            self.now = now;
        }
        on.is_hidden = is_hidden;
    }

    /// How far the removal of a group is that was added; `None` if there is no such group.
    pub(crate) fn leaving(&self, group: GroupHandle) -> Option<Option<Leaving>> {
        self.group(group).filter(|on| on.is_added).map(|on| on.leaving)
    }

    /// From now on the group is leaving: nobody is let in any more, and its names are still taken.
    pub(crate) fn set_leaving(&mut self, group: GroupHandle, leaving: Leaving) {
        if let Some(on) = self.group_mut(group) {
            on.is_shown = false;
            on.leaving = Some(leaving);
        }
    }

    /// Forgets a group, and what was decided of its attributes.
    pub(crate) fn remove(&mut self, group: GroupHandle, attrs: impl IntoIterator<Item = AttrHandle>) {
        self.groups.retain(|on| on.group != group);
        for attr in attrs {
            self.attrs.remove(&attr);
        }
    }
}
