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
/// It changes while the object is locked. `since` of what is shown is at most `now`.
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

    /// Adds a group, of these attributes, that the object has not.
    pub(crate) fn add(&mut self, group: GroupHandle, decision: &Decision, attrs: &[Of]) {
        let since = self.later();
        let number = decision.number;
        self.groups.push(OnGroup { group, since, is_shown: true, is_added: true, leaving: None, decision: number });
        self.decide(group, decision, attrs);
    }

    /// Lets a decision about a group of these attributes take effect. Returns what is not shown any more.
    pub(crate) fn decide(&mut self, group: GroupHandle, decision: &Decision, attrs: &[Of]) -> Vec<AttrHandle> {
        let shown: Vec<_> = attrs.iter().filter(|of| self.of(**of).is_some()).collect();
        if !self.decide_group(group, decision) {
            return Vec::new();
        }
        for (attr, mode) in &decision.modes {
            let defined = attrs.iter().find(|of| of.attr == *attr).map(|of| of.mode);
            let decided = match mode {
                None => Visibility::Hidden,
                Some(mode) if Some(*mode) == defined => Visibility::AsDefined,
                Some(mode) => Visibility::Mode(*mode),
            };
            self.decide_attr(*attr, decided);
        }
        shown.into_iter().filter(|of| self.of(**of).is_none()).map(|of| of.attr).collect()
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

    /// From now on the group is leaving: nobody is let in any more, and its names are still taken. Returns since when the object has
    /// had it: that tells this removal from those after the group has been added again.
    pub(crate) fn leave(&mut self, group: GroupHandle) -> Option<u64> {
        let on = self.group_mut(group)?;
        on.is_shown = false;
        on.leaving = Some(Leaving::UnderWay);
        Some(on.since)
    }

    /// Since when the object has had a group that is leaving.
    pub(crate) fn leaves_since(&self, group: GroupHandle) -> Option<u64> {
        self.group(group).filter(|on| on.leaving.is_some()).map(|on| on.since)
    }

    /// Leaves the removal of a group to whoever comes next.
    pub(crate) fn give_up(&mut self, group: GroupHandle, since: u64) {
        if let Some(on) = self.group_mut(group).filter(|on| on.since == since && on.leaving.is_some()) {
            on.leaving = Some(Leaving::GivenUp);
        }
    }

    /// Forgets a group that is leaving, and what was decided of its attributes, unless that has been done. Returns how far its removal
    /// was.
    pub(crate) fn remove(
        &mut self,
        group: GroupHandle,
        since: u64,
        attrs: impl IntoIterator<Item = AttrHandle>,
    ) -> Option<Leaving> {
        let leaving = self.group(group).filter(|on| on.since == since)?.leaving?;
        self.groups.retain(|on| on.group != group);
        for attr in attrs {
            self.attrs.remove(&attr);
        }
        Some(leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Mode = Mode::RW;

    fn group(number: u64) -> GroupHandle {
        GroupHandle::from_bits(number << 32 | 1)
    }

    fn attr(number: u64) -> AttrHandle {
        AttrHandle::from_bits(number << 32 | 1)
    }

    /// A group of two attributes.
    fn two(is_own: bool) -> [Of; 2] {
        [1, 2].map(|number| Of { attr: attr(number), group: group(1), is_own, mode: Mode::RO })
    }

    fn decision(number: u64, first: Option<Mode>, second: Option<Mode>) -> Decision {
        Decision { number, is_shown: true, modes: vec![(attr(1), first), (attr(2), second)] }
    }

    fn nothing(number: u64) -> Decision {
        Decision { number, is_shown: false, modes: Vec::new() }
    }

    fn shown(presence: &Presence, attrs: &[Of; 2]) -> [Option<u64>; 2] {
        attrs.map(|of| presence.of(of).map(|shown| shown.since))
    }

    #[test]
    fn a_type_s_group_is_as_the_type_says_until_something_is_decided() {
        let mut presence = Presence::default();
        let (own, others) = (two(true), two(false));
        assert_eq!((shown(&presence, &own), shown(&presence, &others)), ([Some(0); 2], [None; 2]));
        assert_eq!((presence.shows(group(1), true), presence.shows(group(1), false)), (true, false));
        assert_eq!(presence.decide(group(1), &decision(1, Some(Mode::RO), None), &own), [attr(2)]);
        assert_eq!(shown(&presence, &own), [Some(0), None]);
        assert_eq!(presence.added().count(), 0);
        assert_eq!(presence.leaving(group(1)), None);
    }

    /// As a whole or one by one: what was shown and is not any more is told, once.
    #[test]
    fn a_decision_tells_what_goes() {
        let (mut presence, all) = (Presence::default(), two(true));
        let plain = |number| decision(number, Some(Mode::RO), Some(Mode::RO));
        assert_eq!(presence.decide(group(1), &nothing(1), &all), [attr(1), attr(2)]);
        assert_eq!(presence.decide(group(1), &nothing(2), &all), []);
        assert!(!presence.shows(group(1), true));
        assert_eq!(presence.decide(group(1), &plain(3), &all), []);
        assert_eq!(shown(&presence, &all), [Some(1); 2]);
        presence.hide(attr(1), true);
        assert_eq!(presence.decide(group(1), &nothing(4), &all), [attr(2)]);
        assert_eq!(presence.decide(group(1), &plain(5), &all), []);
        assert_eq!(shown(&presence, &all), [None, Some(2)]);
    }

    #[test]
    fn of_two_decisions_the_one_with_the_higher_number_counts() {
        let (mut presence, all) = (Presence::default(), two(false));
        presence.add(group(1), &decision(5, None, Some(OTHER)), &all);
        assert_eq!(presence.decide(group(1), &decision(4, Some(Mode::RO), None), &all), []);
        assert_eq!(presence.decide(group(1), &nothing(3), &all), []);
        assert_eq!(shown(&presence, &all), [None, Some(1)]);
        assert_eq!(presence.of(all[1]).map(|shown| shown.mode), Some(OTHER));
        assert_eq!(presence.decide(group(1), &decision(6, Some(Mode::RO), Some(Mode::RO)), &all), []);
        assert_eq!(presence.of(all[1]), Some(Shown { mode: Mode::RO, since: 1 }));
    }

    /// What stays keeps its files, with whatever mode; what comes back has none of those from before.
    #[test]
    fn time_begins_anew_for_what_comes_back_alone() {
        let (mut presence, all) = (Presence::default(), two(true));
        let mut number = 0;
        let mut decide = |presence: &mut Presence, first, second| {
            number += 1;
            presence.decide(group(1), &decision(number, first, second), &all);
            shown(presence, &all)
        };
        assert_eq!(decide(&mut presence, Some(OTHER), Some(Mode::RO)), [Some(0); 2]);
        assert_eq!(decide(&mut presence, Some(Mode::RO), None), [Some(0), None]);
        assert_eq!(decide(&mut presence, Some(Mode::RO), Some(OTHER)), [Some(0), Some(1)]);
        presence.hide(attr(1), true);
        presence.hide(attr(1), true);
        assert_eq!(decide(&mut presence, Some(Mode::RO), Some(OTHER)), [None, Some(1)]);
        presence.hide(attr(1), false);
        assert_eq!(shown(&presence, &all), [Some(2), Some(1)]);
        presence.hide(attr(1), false);
        assert_eq!(shown(&presence, &all), [Some(2), Some(1)]);
        // By hand and by decision are two: both have to show it.
        presence.hide(attr(1), true);
        assert_eq!(decide(&mut presence, None, Some(OTHER)), [None, Some(1)]);
        presence.hide(attr(1), false);
        assert_eq!(shown(&presence, &all), [None, Some(1)]);
        assert!(decide(&mut presence, Some(OTHER), Some(OTHER))[0].is_some_and(|since| since > 2));
        assert_eq!(presence.now(), shown(&presence, &all)[0].unwrap_or_default());
    }

    /// A removal ends the group that it began with, and none that was added after.
    #[test]
    fn a_removal_is_of_one_addition() {
        let (mut presence, all) = (Presence::default(), two(false));
        let attrs = || all.map(|of| of.attr);
        presence.add(group(1), &decision(1, Some(OTHER), None), &all);
        assert_eq!(presence.leaves_since(group(1)), None);
        assert_eq!(presence.remove(group(1), 1, attrs()), None, "it is not leaving");
        assert_eq!(presence.leave(group(1)), Some(1));
        assert_eq!(
            (presence.leaving(group(1)), presence.leaves_since(group(1))),
            (Some(Some(Leaving::UnderWay)), Some(1))
        );
        assert_eq!((shown(&presence, &all), presence.added().count()), ([None; 2], 1));
        assert_eq!(presence.decide(group(1), &decision(9, Some(OTHER), Some(OTHER)), &all), []);
        assert_eq!(shown(&presence, &all), [None; 2]);
        presence.give_up(group(1), 7);
        assert_eq!(presence.leaving(group(1)), Some(Some(Leaving::UnderWay)));
        presence.give_up(group(1), 1);
        assert_eq!(presence.remove(group(1), 7, attrs()), None);
        assert_eq!(presence.remove(group(1), 1, attrs()), Some(Leaving::GivenUp));
        assert_eq!((presence.leaving(group(1)), presence.added().count()), (None, 0));

        presence.add(group(1), &decision(2, Some(Mode::RO), Some(Mode::RO)), &all);
        assert_eq!(presence.remove(group(1), 1, attrs()), None);
        presence.give_up(group(1), 1);
        // What was decided before has been forgotten.
        assert_eq!(presence.of(all[0]), Some(Shown { mode: Mode::RO, since: 2 }));
        assert_eq!(shown(&presence, &all), [Some(2); 2]);
    }
}
