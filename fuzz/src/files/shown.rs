//! The model of what objects show: groups, attributes, and how long files are good.

use std::collections::BTreeSet;

use enodev::{AttrHandle, Entry, EntryKind, Errno, Error, GroupHandle, KobjectHandle, Mode, Name, Removal};

use crate::files::defs::{ATTRS, GROUPS, Says, attrs_of, is_shown, says};
use crate::files::model::{EINVAL, ENODEV, Model};

/// A group that an object has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OnGroup {
    is_hidden: bool,
    pub(crate) is_leaving: bool,
}

impl OnGroup {
    pub(crate) fn is_shown(&self) -> bool {
        !self.is_hidden && !self.is_leaving
    }
}

/// An attribute that is not as its definition says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OnAttr {
    /// By hand.
    is_hidden: bool,
    /// What the group's callback has decided: perhaps another mode, perhaps none.
    decided: Option<Option<Mode>>,
}

/// What a group's callbacks have decided for one object.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    is_shown: bool,
    modes: Vec<(usize, Option<Mode>)>,
}

impl Decision {
    /// What comes of the byte that the callbacks go by.
    pub(crate) fn new(group: usize, byte: u8) -> Result<Self, Error> {
        let def = &GROUPS[group];
        let shown = if def.is_shown { is_shown(byte).ok_or(Error::Errno(Errno::EIO))? } else { true };
        let mut modes = Vec::new();
        for (ordinal, attr) in attrs_of(group).enumerate().filter(|_| shown) {
            let own = ATTRS[attr].mode;
            let less = if ATTRS[attr].has_read() { Mode::RUSR } else { Mode::WUSR };
            let mode = match says(byte, ordinal) {
                _ if !def.is_visible => Some(own),
                Says::AsDefined => Some(own),
                Says::Less => Some(less),
                Says::Hidden | Says::Nothing => None,
                Says::TooMuch => return Err(EINVAL),
                Says::Panics => return Err(Error::Errno(Errno::EIO)),
            };
            modes.push((attr, mode));
        }
        Ok(Self { is_shown: shown, modes })
    }
}

impl Model {
    /// The mode with which an object shows an attribute.
    pub(crate) fn shown(&self, object: usize, attr: usize) -> Option<Mode> {
        let object = &self.objects[object];
        object.groups.get(&ATTRS[attr].group).filter(|on| on.is_shown())?;
        let on = object.attrs.get(&attr).copied().unwrap_or_default();
        on.decided.unwrap_or(Some(ATTRS[attr].mode)).filter(|_| !on.is_hidden)
    }

    /// The attribute that an object shows under a name, perhaps in a group's directory.
    pub(crate) fn find(&self, object: usize, name: &str) -> Option<usize> {
        (0..ATTRS.len()).find(|attr| ATTRS[*attr].path() == name && self.shown(object, *attr).is_some())
    }

    /// Changes what an object shows. Returns the attributes that it does not show any more: files of them are dead for ever.
    pub(crate) fn change(&mut self, object: usize, change: impl FnOnce(&mut Self)) -> Vec<usize> {
        let shown = |model: &Self| -> BTreeSet<usize> {
            (0..ATTRS.len()).filter(|attr| model.shown(object, *attr).is_some()).collect()
        };
        let before = shown(self);
        change(self);
        let gone: Vec<usize> = before.difference(&shown(self)).copied().collect();
        gone.iter().for_each(|attr| *self.objects[object].ends.entry(*attr).or_default() += 1);
        gone
    }

    pub(crate) fn decide(&mut self, object: usize, group: usize, decision: &Decision) {
        let object = &mut self.objects[object];
        object.groups.entry(group).or_default().is_hidden = !decision.is_shown;
        for (attr, mode) in &decision.modes {
            object.attrs.entry(*attr).or_default().decided = Some(*mode);
        }
    }

    /// What asking a group's callbacks comes to for an object, where they may be asked at all.
    fn deciding(
        &self,
        object: KobjectHandle,
        group: GroupHandle,
        byte: u8,
        may: impl FnOnce(usize, usize) -> Result<(), Error>,
    ) -> Result<(usize, usize, Decision), Error> {
        let (group, object) = (self.group(group)?, self.get(object)?);
        let def = &GROUPS[group];
        may(object, group)?;
        if !def.fits(self.objects[object].ty) {
            return Err(Error::WrongType);
        }
        let locks = def.lends == crate::files::defs::Lends::Exclusive && !def.is_plain();
        if locks && self.leaving.has_lock(object) {
            return Err(Error::Inside);
        }
        Ok((object, group, Decision::new(group, byte)?))
    }

    pub(crate) fn add_group(&mut self, object: KobjectHandle, group: GroupHandle, byte: u8) -> Result<(), Error> {
        let (object, group, decision) = self.deciding(object, group, byte, |object, group| {
            match (self.objects[object].groups.contains_key(&group), GROUPS[group].ty) {
                (true, _) => Err(Error::Exists),
                (_, Some(_)) => Err(Error::WrongType),
                _ => Ok(()),
            }
        })?;
        match GROUPS[group].name {
            Some(name) => self.check_free(object, name)?,
            None => attrs_of(group).try_for_each(|attr| self.check_free(object, ATTRS[attr].name))?,
        }
        self.decide(object, group, &decision);
        Ok(())
    }

    pub(crate) fn update_group(
        &mut self,
        object: KobjectHandle,
        group: GroupHandle,
        byte: u8,
    ) -> Result<Removal, Error> {
        let may = |object, group| self.present(object, group);
        let (object, group, decision) = self.deciding(object, group, byte, may)?;
        let gone = self.change(object, |model| model.decide(object, group, &decision));
        // Also those whom an earlier decision has shut out.
        let hidden = attrs_of(group).filter(|attr| self.shown(object, *attr).is_none()).collect();
        Ok(self.leaving.revoke(object, hidden, gone.len(), None))
    }

    /// Whether an object has a group that is not leaving.
    fn present(&self, object: usize, group: usize) -> Result<(), Error> {
        let on = self.objects[object].groups.get(&group);
        on.filter(|on| !on.is_leaving).map(drop).ok_or(Error::NotFound)
    }

    pub(crate) fn remove_group(&mut self, object: KobjectHandle, group: GroupHandle) -> Result<Removal, Error> {
        let object = self.get(object)?;
        let group = self.group(group)?;
        let on = self.objects[object].groups.get(&group).filter(|_| GROUPS[group].ty.is_none());
        if on.ok_or(Error::NotFound)?.is_leaving {
            return Err(Error::Leaving);
        }
        self.change(object, |model| model.objects[object].groups.entry(group).or_default().is_leaving = true);
        let removal = self.leaving.revoke(object, attrs_of(group).collect(), attrs_of(group).count(), Some(group));
        if matches!(removal, Removal::Done(_)) {
            self.forget_group(object, group);
        }
        Ok(removal)
    }

    pub(crate) fn forget_group(&mut self, object: usize, group: usize) {
        let object = &mut self.objects[object];
        object.groups.remove(&group);
        object.attrs.retain(|attr, _| ATTRS[*attr].group != group);
    }

    /// The group of an attribute that was defined alone.
    pub(crate) fn alone(&self, attr: AttrHandle) -> Result<GroupHandle, Error> {
        let attr = self.attr(attr)?;
        if GROUPS[ATTRS[attr].group].is_alone { Ok(self.groups[ATTRS[attr].group]) } else { Err(EINVAL) }
    }

    /// `None`: it is shown again.
    pub(crate) fn hide(&mut self, object: KobjectHandle, attr: AttrHandle, hide: bool) -> Result<Removal, Error> {
        let attr = self.attr(attr)?;
        let object = self.get(object)?;
        self.present(object, ATTRS[attr].group)?;
        self.change(object, |model| model.objects[object].attrs.entry(attr).or_default().is_hidden = hide);
        Ok(if hide { self.leaving.revoke(object, vec![attr], 1, None) } else { Removal::Done(0) })
    }

    /// Whether an attribute can be entered by its handle.
    pub(crate) fn enter(&self, object: KobjectHandle, attr: AttrHandle) -> Result<(usize, usize), Error> {
        let (attr, object) = (self.attr(attr)?, self.get(object)?);
        let ty = GROUPS[ATTRS[attr].group].ty;
        match self.shown(object, attr) {
            Some(_) => Ok((object, attr)),
            None if ty.is_some() && ty != self.objects[object].ty => Err(EINVAL),
            None => Err(ENODEV),
        }
    }

    pub(crate) fn groups_of(&self, object: KobjectHandle) -> Result<BTreeSet<GroupHandle>, Error> {
        let object = self.get(object)?;
        Ok(self.objects[object].groups.keys().map(|group| self.groups[*group]).collect())
    }

    fn entry(&self, object: usize, attr: usize) -> Option<Entry> {
        let mode = self.shown(object, attr)?;
        let kind = EntryKind::Attribute { handle: self.attrs[attr], mode, size: ATTRS[attr].size() };
        entry(ATTRS[attr].name, kind)
    }

    /// What stands under a name, perhaps in a group's directory.
    pub(crate) fn named(&self, object: KobjectHandle, name: &str) -> Result<Entry, Error> {
        let dir = self.get(object)?;
        let found = self.find(dir, name).and_then(|attr| self.entry(dir, attr));
        let listed = self.list(object)?.into_iter().find(|entry| *entry.name == *name);
        found.or(listed).ok_or(Error::NotFound)
    }

    pub(crate) fn list_group(&self, object: KobjectHandle, group: GroupHandle) -> Result<Vec<Entry>, Error> {
        let (object, group) = (self.get(object)?, self.group(group)?);
        let on = self.objects[object].groups.get(&group).filter(|on| on.is_shown());
        if on.is_none() || GROUPS[group].name.is_none() {
            return Err(Error::NotFound);
        }
        let mut list: Vec<Entry> = attrs_of(group).filter_map(|attr| self.entry(object, attr)).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    pub(crate) fn list(&self, object: KobjectHandle) -> Result<Vec<Entry>, Error> {
        let dir = self.get(object)?;
        let mut list = Vec::new();
        for (group, on) in &self.objects[dir].groups {
            match GROUPS[*group].name {
                None => list.extend(attrs_of(*group).filter_map(|attr| self.entry(dir, attr))),
                Some(name) if on.is_shown() => list.extend(entry(name, EntryKind::Group(self.groups[*group]))),
                Some(_) => {}
            }
        }
        for child in self.children(dir).filter(|child| self.is_here(*child)) {
            list.extend(entry(&self.objects[child].name, EntryKind::Object(self.objects[child].handle)));
        }
        for (name, target) in self.objects[dir].links.iter().filter(|(_, target)| self.is_here(**target)) {
            list.extend(entry(name, EntryKind::Link(self.objects[*target].handle)));
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }
}

fn entry(name: &str, kind: EntryKind) -> Option<Entry> {
    Some(Entry { name: Name::new(name).ok()?, kind })
}
