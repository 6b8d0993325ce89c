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

    /// Takes what is written to a text attribute: it is the whole text.
    ///
    /// # Errors
    ///
    /// What the writer is to get.
    fn write(&self, index: usize, data: &[u8]) -> Result<(), Errno>;

    /// Takes what is written to a binary attribute at an offset, all of it.
    ///
    /// # Errors
    ///
    /// What the writer is to get.
    fn write_at(&self, index: usize, offset: u64, data: &[u8]) -> Result<(), Errno>;
}

/// Writes do not make a binary attribute of no declared size longer than this, in bytes.
const GROWN_MAX: usize = 8 << 20;

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

    fn write(&self, index: usize, data: &[u8]) -> Result<(), Errno> {
        *self.contents.get(index).ok_or(Errno::EINVAL)?.write() = Content::Bytes(data.into());
        Ok(())
    }

    fn write_at(&self, index: usize, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let mut content = self.contents.get(index).ok_or(Errno::EINVAL)?.write();
        let mut changed = bytes(&content).map(|bytes| bytes.to_vec()).unwrap_or_default();
        let from = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let end = from.checked_add(data.len()).filter(|end| *end <= changed.len().max(GROWN_MAX));
        let end = end.ok_or(Errno::EFBIG)?;
        changed.resize(changed.len().max(end), 0);
        changed[from..end].copy_from_slice(data);
        *content = Content::Bytes(changed.into());
        Ok(())
    }
}

/// The attributes of a directory, as far as they make a type: name, mode, and the size of binary ones.
type Shape = Vec<(String, u16, Option<u64>)>;

/// The types of a store's imported directories. Those with the same attributes share one.
struct Types<P>(HashMap<Shape, Type<Shared<P>>>);

impl<P: Answers> Types<P> {
    fn of(&mut self, store: &Store, dir: &Dir) -> Result<Type<Shared<P>>, Error> {
        let shape: Shape = dir.attributes.iter().map(shape).collect();
        if let Some(ty) = self.0.get(&shape) {
            return Ok(*ty);
        }
        let named = DeviceType::shared::<P>("imported");
        let attributes = shape.iter().enumerate();
        let ty = attributes
            .fold(named, |ty, (index, (name, mode, size))| ty.attribute(attribute(index, name, *mode, *size)));
        let ty = store.define(ty)?;
        self.0.insert(shape, ty);
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
            move |owner, data| owner.write(index, data),
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
    /// How many links were not made, as they lead nowhere, or to an attribute.
    pub links_left: usize,
    /// In the order of [`Scanned::dirs`]; the root has none.
    types: Vec<Option<Type<Shared<P>>>>,
}

impl<P: Answers> Loaded<P> {
    /// Registers the directory at `index` of the tree that was loaded, without what is below it, and puts the new object
    /// into [`objects`](Self::objects): for one that was unregistered after the tree was loaded. The object above it has to
    /// be there. Links to it and from it went with the old object, and do not come back.
    ///
    /// # Errors
    ///
    /// Those of [`Store::register`]; [`Error::Root`] for the root, [`Error::NotFound`] where the tree has no such place.
    pub fn register(
        &mut self,
        store: &Store,
        tree: &Scanned,
        index: usize,
        payload: P,
    ) -> Result<KobjectHandle, Error> {
        let (Some(dir), Some(ty)) = (tree.dirs.get(index), self.types.get(index)) else {
            return Err(Error::NotFound);
        };
        let ty = ty.ok_or(Error::Root)?;
        let object = register(store, above(store, &self.objects, dir), dir, ty, payload)?;
        self.objects[index] = object;
        Ok(object)
    }
}

/// The object of the directory that holds `dir`.
fn above(store: &Store, objects: &[KobjectHandle], dir: &Dir) -> KobjectHandle {
    dir.parent.and_then(|parent| objects.get(parent)).copied().unwrap_or(store.root())
}

/// Registers a directory alone. It is a device if it lies below `devices` and has a `uevent`.
fn register<P: Answers>(
    store: &Store,
    parent: KobjectHandle,
    dir: &Dir,
    ty: Type<Shared<P>>,
    payload: P,
) -> Result<KobjectHandle, Error> {
    let mut attributes = dir.attributes.iter();
    if dir.path.starts_with("devices/") && attributes.any(|attribute| attribute.name == "uevent") {
        Ok(store.register(parent, &dir.name, ty, payload)?.kobject())
    } else {
        store.register_kobject(parent, &dir.name, ty, payload)
    }
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

/// Why a tree could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct LoadError {
    /// The directory or link that the store refused, relative to the root of the tree.
    pub path: String,
    /// Why.
    pub cause: Error,
}

/// Puts a whole tree into an empty store; `payload` makes what answers for a directory.
///
/// Directories become objects and attributes keep their names and modes, without the bits for execution. A link leads to
/// the object at which its target arrives. An attribute answers as it did when it was scanned: with its bytes, with its
/// error number, or, where it was not read, with `EACCES`.
///
/// Attributes of the tree's root itself are left out: a store's root has none.
///
/// ```
/// use enodev::{Errno, Error, Store};
/// use enodev_sysfs::{Imported, load};
///
/// let store = Store::new()?;
/// load(&store, &enodev_sysfs::builtin(), |_, dir| Imported::new(dir))?;
/// let nic = store.lookup("bus/pci/devices/0000:00:05.0/net/weir0")?;
/// assert_eq!(store.read(nic, "carrier"), Err(Error::Errno(Errno::EINVAL)));
/// store.write(nic, "mtu", b"9000\n")?;
/// assert_eq!(store.read(nic, "mtu")?, b"9000\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The path at which the store refused something, and why. What came before it is in the store.
pub fn load<P: Answers>(
    store: &Store,
    tree: &Scanned,
    mut payload: impl FnMut(usize, &Dir) -> P,
) -> Result<Loaded<P>, LoadError> {
    let mut known = Types(HashMap::new());
    let (mut objects, mut types) = (vec![store.root()], vec![None]);
    for (index, dir) in tree.dirs.iter().enumerate().skip(1) {
        let refused = |cause| LoadError { path: dir.path.clone(), cause };
        let ty = known.of(store, dir).map_err(refused)?;
        let parent = above(store, &objects, dir);
        objects.push(register(store, parent, dir, ty, payload(index, dir)).map_err(refused)?);
        types.push(Some(ty));
    }
    let (mut links, mut links_left) = (Vec::new(), 0);
    for link in all_links(tree) {
        let Some(link) = link else {
            links_left += 1;
            continue;
        };
        let made = store.link(objects[link.dir], &link.name, objects[link.target]);
        made.map_err(|cause| LoadError { path: format!("{}/{}", tree.dirs[link.dir].path, link.name), cause })?;
        links.push(link);
    }
    Ok(Loaded { objects, links, links_left, types })
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
