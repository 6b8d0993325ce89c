//! From a scanned tree into a store.

use std::collections::HashMap;
use std::sync::Arc;

use enodev::{
    AsKobject, Attribute, DefineError, DeviceType, Errno, Error, KobjectHandle, Mode, Page, Shared, Store, Type,
};
use parking_lot::RwLock;

use crate::{Content, Dir, Scanned, ScannedAttribute};

/// What answers for the attributes of an imported directory. They are known by their places in
/// [`Dir::attributes`].
pub trait Answers: Send + Sync + 'static {
    /// What a text attribute says.
    ///
    /// # Errors
    ///
    /// What the reader is to get.
    fn show(&self, index: usize, page: &mut Page) -> Result<(), Errno>;

    /// What a binary attribute says at an offset, and how many bytes that is.
    ///
    /// # Errors
    ///
    /// What the reader is to get.
    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> Result<usize, Errno>;

    /// Takes what is written, all of it.
    ///
    /// # Errors
    ///
    /// What the writer is to get.
    fn write_at(&self, index: usize, offset: u64, data: &[u8]) -> Result<(), Errno>;
}

/// A directory of a tree at rest: its attributes answer as they did when they were scanned, until
/// something is written to them.
#[derive(Debug)]
pub struct Imported {
    contents: Box<[RwLock<Content>]>,
}

impl Imported {
    /// The contents that the scan found.
    pub fn new(dir: &Dir) -> Self {
        let content = |attribute: &ScannedAttribute| RwLock::new(attribute.content.clone());
        Self { contents: dir.attributes.iter().map(content).collect() }
    }

    fn bytes(&self, index: usize) -> Result<Arc<[u8]>, Errno> {
        bytes(&self.contents.get(index).ok_or(Errno::EINVAL)?.read()).cloned()
    }
}

/// What a read of this content gives.
///
/// # Errors
///
/// The error that the original answered with, or `EACCES` where the scan could or would not read it.
pub(crate) fn bytes(content: &Content) -> Result<&Arc<[u8]>, Errno> {
    match content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::Errno(errno) => Err(Errno::from_raw(*errno).unwrap_or(Errno::EIO)),
        Content::Unread(_) => Err(Errno::EACCES),
    }
}

/// Copies what stands at an offset, and says how much that is.
pub(crate) fn copy_at(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
    let count = rest.len().min(buf.len());
    buf[..count].copy_from_slice(&rest[..count]);
    count
}

impl Answers for Imported {
    fn show(&self, index: usize, page: &mut Page) -> Result<(), Errno> {
        page.put_bytes(&self.bytes(index)?)
    }

    fn read_at(&self, index: usize, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        Ok(copy_at(&self.bytes(index)?, offset, buf))
    }

    fn write_at(&self, index: usize, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let mut content = self.contents.get(index).ok_or(Errno::EINVAL)?.write();
        let offset = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let mut changed = bytes(&content).map(|bytes| bytes.to_vec()).unwrap_or_default();
        changed.truncate(offset);
        changed.resize(offset, 0);
        changed.extend_from_slice(data);
        *content = Content::Bytes(changed.into());
        Ok(())
    }
}

/// The attributes of a directory, as far as they make a type: name, mode, and the size of binary ones.
type Shape = Vec<(String, u16, Option<u64>)>;

/// Puts directories into a store. Directories with the same attributes share a type.
#[derive(Debug)]
pub struct Loader<P> {
    types: HashMap<Shape, Type<Shared<P>>>,
}

impl<P: Answers> Default for Loader<P> {
    fn default() -> Self {
        Self { types: HashMap::new() }
    }
}

impl<P: Answers> Loader<P> {
    /// Registers a directory with its attributes, without what is below it. It is a device if it lies
    /// below `devices` and has a `uevent`.
    ///
    /// # Errors
    ///
    /// Those of [`Store::register`].
    pub fn add(
        &mut self,
        store: &Store,
        parent: impl AsKobject,
        dir: &Dir,
        payload: P,
    ) -> Result<KobjectHandle, Error> {
        let ty = self.type_of(store, dir)?;
        let is_device =
            dir.path.starts_with("devices/") && dir.attributes.iter().any(|attribute| attribute.name == "uevent");
        if is_device {
            Ok(store.register(parent, &dir.name, ty, payload)?.kobject())
        } else {
            store.register_kobject(parent, &dir.name, ty, payload)
        }
    }

    fn type_of(&mut self, store: &Store, dir: &Dir) -> Result<Type<Shared<P>>, Error> {
        let shape: Shape = dir.attributes.iter().map(shape).collect();
        if let Some(ty) = self.types.get(&shape) {
            return Ok(*ty);
        }
        let named = DeviceType::shared::<P>("imported");
        let attributes = shape.iter().enumerate();
        let ty = attributes
            .fold(named, |ty, (index, (name, mode, size))| ty.attribute(attribute(index, name, *mode, *size)));
        let ty = store.define(ty)?;
        self.types.insert(shape, ty);
        Ok(ty)
    }
}

fn shape(attribute: &ScannedAttribute) -> (String, u16, Option<u64>) {
    let len = bytes(&attribute.content).map_or(0, |bytes| bytes.len() as u64);
    (attribute.name.clone(), attribute.mode, attribute.binary.then_some(len))
}

/// The attribute that asks for its answers at `index`. Its mode is what it was: nothing can be executed.
fn attribute<P: Answers>(
    index: usize,
    name: &str,
    mode: u16,
    size: Option<u64>,
) -> Result<Attribute<Shared<P>>, DefineError> {
    let mode = Mode::from_bits_truncate(mode & 0o666);
    let attribute = match size {
        None => Attribute::<Shared<P>>::rw(
            name,
            move |owner, page| owner.show(index, page),
            move |owner, data| owner.write_at(index, 0, data),
        ),
        Some(size) => Attribute::<Shared<P>>::bin_rw(
            name,
            size,
            move |owner, offset, buf| owner.read_at(index, offset, buf),
            move |owner, offset, data| owner.write_at(index, offset, data).map(|()| data.len()),
        ),
    };
    attribute?.with_mode(mode)
}

/// A tree that has been loaded.
#[derive(Debug)]
pub struct Loaded<P> {
    /// The objects, in the order of [`Scanned::dirs`].
    pub objects: Vec<KobjectHandle>,
    /// The links that were made.
    pub links: Vec<Link>,
    /// Links that were not, as they lead nowhere, or to an attribute.
    pub links_left: usize,
    /// For more of the same.
    pub loader: Loader<P>,
}

/// A link between two directories of a tree, which are places in [`Scanned::dirs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it stands.
    pub dir: usize,
    /// What it is called.
    pub name: String,
    /// Where it leads.
    pub target: usize,
}

/// Puts a whole tree into an empty store; `payload` makes what answers for a directory.
///
/// Attributes of the tree's root itself are left out: a store's root has none.
///
/// # Errors
///
/// The path at which the store refused something, and why.
pub fn load<P: Answers>(
    store: &Store,
    tree: &Scanned,
    mut payload: impl FnMut(usize, &Dir) -> P,
) -> Result<Loaded<P>, (String, Error)> {
    let mut loader = Loader::default();
    let mut objects = vec![store.root()];
    for (index, dir) in tree.dirs.iter().enumerate().skip(1) {
        let parent = dir.parent.and_then(|parent| objects.get(parent)).copied();
        let parent = parent.unwrap_or(store.root());
        let object = loader.add(store, parent, dir, payload(index, dir));
        objects.push(object.map_err(|error| (dir.path.clone(), error))?);
    }
    let (mut links, mut links_left) = (Vec::new(), 0);
    for link in all_links(tree) {
        let Some(link) = link else {
            links_left += 1;
            continue;
        };
        let made = store.link(objects[link.dir], &link.name, objects[link.target]);
        made.map_err(|error| (format!("{}/{}", tree.dirs[link.dir].path, link.name), error))?;
        links.push(link);
    }
    Ok(Loaded { objects, links, links_left, loader })
}

/// The links of a tree; `None` for one that does not lead to a directory.
pub(crate) fn all_links(tree: &Scanned) -> impl Iterator<Item = Option<Link>> {
    let places: HashMap<&str, usize> = tree.dirs.iter().enumerate().map(|(index, dir)| (&*dir.path, index)).collect();
    let dirs = tree.dirs.iter().enumerate();
    dirs.flat_map(|(dir, at)| at.links.iter().map(move |link| (dir, link))).map(move |(dir, link)| {
        let target = *places.get(link.resolved.as_deref()?)?;
        Some(Link { dir, name: link.name.clone(), target })
    })
}
