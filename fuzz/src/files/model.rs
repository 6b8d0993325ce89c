//! The model of the tree: plain maps.

use std::collections::{BTreeMap, BTreeSet};

use enodev::{AttrHandle, Errno, Error, GroupHandle, KobjectHandle, Name};

use crate::files::defs::{ATTRS, GROUPS, attrs_of};
use crate::files::leaving::Leaving;
use crate::files::shown::{OnAttr, OnGroup};

pub(crate) const ENODEV: Error = Error::Errno(Errno::ENODEV);
pub(crate) const EINVAL: Error = Error::Errno(Errno::EINVAL);
pub(crate) const ROOT: usize = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Here,
    Leaving,
    Gone,
}

/// An object, also after it has gone.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) handle: KobjectHandle,
    pub(crate) name: String,
    pub(crate) parent: usize,
    pub(crate) ty: Option<usize>,
    pub(crate) is_device: bool,
    /// Of the payload.
    pub(crate) number: u64,
    pub(crate) life: Life,
    pub(crate) links: BTreeMap<String, usize>,
    /// Those of its type, and those that it was given.
    pub(crate) groups: BTreeMap<usize, OnGroup>,
    pub(crate) attrs: BTreeMap<usize, OnAttr>,
    /// How often each attribute has been shown no more.
    pub(crate) ends: BTreeMap<usize, u64>,
    pub(crate) contents: BTreeMap<usize, Vec<u8>>,
    pub(crate) value: u32,
}

impl Object {
    pub(crate) fn new(handle: KobjectHandle, name: &str, parent: usize, ty: Option<usize>) -> Self {
        let groups = (0..GROUPS.len()).filter(|group| ty.is_some() && GROUPS[*group].ty == ty);
        Self {
            handle,
            name: name.into(),
            parent,
            ty,
            is_device: false,
            number: 0,
            life: Life::Here,
            links: BTreeMap::new(),
            groups: groups.map(|group| (group, OnGroup::default())).collect(),
            attrs: BTreeMap::new(),
            ends: BTreeMap::new(),
            contents: BTreeMap::new(),
            value: 7,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) objects: Vec<Object>,
    pub(crate) by_handle: BTreeMap<u64, usize>,
    pub(crate) attrs: Vec<AttrHandle>,
    pub(crate) groups: Vec<GroupHandle>,
    pub(crate) leaving: Leaving,
}

impl Model {
    pub(crate) fn add(&mut self, object: Object) {
        self.by_handle.insert(object.handle.to_bits(), self.objects.len());
        self.objects.push(object);
    }

    /// An object that is there.
    pub(crate) fn get(&self, handle: KobjectHandle) -> Result<usize, Error> {
        let object = self.by_handle.get(&handle.to_bits()).copied();
        object.filter(|object| self.is_here(*object)).ok_or(ENODEV)
    }

    /// An object, perhaps one that is leaving.
    pub(crate) fn get_leaving(&self, handle: KobjectHandle) -> Result<usize, Error> {
        let object = self.by_handle.get(&handle.to_bits()).copied();
        object.filter(|object| self.objects[*object].life != Life::Gone).ok_or(ENODEV)
    }

    pub(crate) fn attr(&self, handle: AttrHandle) -> Result<usize, Error> {
        self.attrs.iter().position(|attr| *attr == handle).ok_or(ENODEV)
    }

    pub(crate) fn group(&self, handle: GroupHandle) -> Result<usize, Error> {
        self.groups.iter().position(|group| *group == handle).ok_or(ENODEV)
    }

    pub(crate) fn is_here(&self, object: usize) -> bool {
        self.objects[object].life == Life::Here
    }

    /// What is below, those that are leaving included.
    pub(crate) fn children(&self, of: usize) -> impl Iterator<Item = usize> {
        let objects = self.objects.iter().enumerate();
        objects
            .filter(move |(at, object)| *at != ROOT && object.parent == of && object.life != Life::Gone)
            .map(|(at, _)| at)
    }

    pub(crate) fn subtree(&self, top: usize) -> BTreeSet<usize> {
        let mut all = BTreeSet::from([top]);
        for child in self.children(top) {
            all.append(&mut self.subtree(child));
        }
        all
    }

    /// All names in a directory that are taken, by whatever and whether it is shown or not.
    fn names(&self, dir: usize) -> BTreeSet<String> {
        let object = &self.objects[dir];
        let mut names: BTreeSet<String> = self.children(dir).map(|child| self.objects[child].name.clone()).collect();
        names.extend(object.links.keys().cloned());
        for group in object.groups.keys() {
            match GROUPS[*group].name {
                Some(name) => drop(names.insert(name.into())),
                None => names.extend(attrs_of(*group).map(|attr| String::from(ATTRS[attr].name))),
            }
        }
        names
    }

    pub(crate) fn check_free(&self, dir: usize, name: &str) -> Result<(), Error> {
        if self.names(dir).contains(name) { Err(Error::Exists) } else { Ok(()) }
    }

    /// Whether something can be put there.
    pub(crate) fn adding(&self, parent: KobjectHandle, name: &str) -> Result<usize, Error> {
        Name::new(name)?;
        let parent = self.get(parent)?;
        self.check_free(parent, name)?;
        Ok(parent)
    }

    pub(crate) fn move_to(
        &mut self,
        object: KobjectHandle,
        parent: Option<KobjectHandle>,
        name: &str,
    ) -> Result<(), Error> {
        Name::new(name)?;
        if object == self.objects[ROOT].handle {
            return Err(EINVAL);
        }
        let object = self.get(object)?;
        let parent = match parent {
            Some(parent) => self.get(parent).map_err(|_| Error::NotFound)?,
            None => self.objects[object].parent,
        };
        if self.subtree(object).contains(&parent) {
            return Err(EINVAL);
        }
        let moved = &self.objects[object];
        if (moved.parent, moved.name.as_str()) == (parent, name) {
            return Ok(());
        }
        self.check_free(parent, name)?;
        let moved = &mut self.objects[object];
        (moved.parent, moved.name) = (parent, name.into());
        Ok(())
    }

    pub(crate) fn link(&mut self, dir: KobjectHandle, name: &str, target: KobjectHandle) -> Result<(), Error> {
        Name::new(name)?;
        let (dir, target) = (self.get(dir)?, self.get(target)?);
        self.check_free(dir, name)?;
        self.objects[dir].links.insert(name.into(), target);
        Ok(())
    }

    pub(crate) fn unlink(&mut self, dir: KobjectHandle, name: &str) -> Result<(), Error> {
        let dir = self.get(dir)?;
        self.objects[dir].links.remove(name).map(drop).ok_or(Error::NotFound)
    }

    pub(crate) fn readlink(&self, dir: KobjectHandle, name: &str) -> Result<KobjectHandle, Error> {
        let dir = self.get(dir)?;
        match self.objects[dir].links.get(name) {
            Some(target) if self.is_here(*target) => Ok(self.objects[*target].handle),
            None if self.named(self.objects[dir].handle, name).is_ok() => Err(EINVAL),
            _ => Err(Error::NotFound),
        }
    }

    fn child(&self, dir: usize, name: &str) -> Option<usize> {
        self.children(dir).find(|child| self.objects[*child].name == name).filter(|child| self.is_here(*child))
    }

    pub(crate) fn links_to(&self, target: KobjectHandle) -> Result<Vec<(KobjectHandle, String)>, Error> {
        let target = self.get(target)?;
        let mut links = Vec::new();
        for dir in self.objects.iter().filter(|dir| dir.life == Life::Here) {
            let names = dir.links.iter().filter(|(_, to)| **to == target);
            links.extend(names.map(|(name, _)| (dir.handle, name.clone())));
        }
        links.sort_unstable();
        Ok(links)
    }

    pub(crate) fn path(&self, object: KobjectHandle) -> Result<String, Error> {
        let (mut path, mut at) = (String::new(), self.get(object)?);
        while at != ROOT {
            path = format!("/{}{path}", self.objects[at].name);
            at = self.objects[at].parent;
        }
        Ok(if path.is_empty() { "/".into() } else { path })
    }

    pub(crate) fn lookup(&self, path: &str) -> Result<KobjectHandle, Error> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            if !self.is_here(at) {
                return Err(Error::NotFound);
            }
            let linked = self.objects[at].links.get(name).copied().filter(|target| self.is_here(*target));
            at = match (name, self.child(at, name).or(linked)) {
                ("..", _) => self.objects[at].parent,
                (_, Some(found)) => found,
                (_, None) if self.find(at, name).is_some() => return Err(Error::Errno(Errno::ENOTDIR)),
                (_, None) if self.shown_dir(at, name).is_some() => return Err(Error::Errno(Errno::EISDIR)),
                _ => return Err(Error::NotFound),
            };
        }
        Ok(self.objects[at].handle)
    }

    /// The directory of a group that an object shows under a name.
    fn shown_dir(&self, object: usize, name: &str) -> Option<usize> {
        let mut groups = self.objects[object].groups.iter();
        groups.find(|(group, on)| GROUPS[**group].name == Some(name) && on.is_shown()).map(|(group, _)| *group)
    }
}
