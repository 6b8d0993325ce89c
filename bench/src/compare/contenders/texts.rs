//! Attributes as text, read through files that stay open.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;

use enodev::{Access, DeviceType, File, Shared, Store};

use crate::baseline::{self, ArcStore, Attributes};
use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result, Unavailable};

/// What a caller reads into.
pub(crate) type Buffer = [u8; 32];

/// The name of the attribute that is read.
const NAME: &str = "number";

/// What a read has read, once it is in the buffer; 0 for one that failed.
#[inline]
fn count<E>(read: std::result::Result<usize, E>, buffer: &Buffer) -> u64 {
    black_box(buffer);
    read.map_or(0, |count| count as u64)
}

/// Whether so many bytes of the buffer are the number of the object with this payload.
fn tells(buffer: &Buffer, count: u64, payload: &Payload) -> bool {
    let text = usize::try_from(count).ok().and_then(|count| buffer.get(..count));
    text == Some(format!("{}\n", payload.number()).as_bytes())
}

type Type = DeviceType<Shared<Payload>>;

/// How enodev's attribute is defined. Another way is another row, `Row::read::<Attribute<ThatWay>>`.
pub(crate) trait Define: Send + Sync + 'static {
    /// The type with an attribute of this name, whose text is the number of the object and a newline.
    fn define(ty: Type, name: &str) -> Type;
}

/// As a text, by a callback that fills the page.
pub(crate) struct Text;

impl Define for Text {
    fn define(ty: Type, name: &str) -> Type {
        ty.ro(name, |device, page| page.int(device.number()))
    }
}

/// An attribute of enodev's store: an open file of each device.
pub(crate) struct Attribute<D>(Store, PhantomData<D>);

impl<D: Define> Get for Attribute<D> {
    type Handle = File;
    type Thread<'a> = Buffer;

    fn build(objects: usize) -> Result<(Self, Vec<File>)> {
        let store = Store::new()?;
        let ty = store.define(D::define(DeviceType::shared("device"), NAME))?;
        let mut files = Vec::with_capacity(objects);
        for payload in payloads(objects) {
            let device = store.register(store.root(), &format!("device{}", payload.number()), ty, payload)?;
            files.push(store.open(device, NAME, Access::READ)?);
        }
        Ok((Self(store, PhantomData), files))
    }

    fn thread(&self) -> Buffer {
        Buffer::default()
    }

    #[inline]
    fn get(&self, buffer: &mut Buffer, file: &File) -> u64 {
        count(file.pread(&self.0, 0, buffer), buffer)
    }

    fn meets(&self, buffer: &mut Buffer, file: &File, payload: &Payload) -> bool {
        let count = self.get(buffer, file);
        tells(buffer, count, payload)
    }
}

/// An attribute of the Arc baseline.
pub(crate) struct ArcAttribute {
    /// The files keep no object alive.
    _store: ArcStore<Payload>,
}

impl Get for ArcAttribute {
    type Handle = baseline::OpenFile<Payload>;
    type Thread<'a> = Buffer;

    fn build(objects: usize) -> Result<(Self, Vec<Self::Handle>)> {
        let table = Attributes::new(vec![baseline::Attribute::ro(NAME, |payload: &Payload, page| {
            use std::io::Write;
            writeln!(page, "{}", payload.number()).map_err(|error| error.raw_os_error().unwrap_or(0))
        })])?;
        let store = ArcStore::new();
        let mut files = Vec::with_capacity(objects);
        for payload in payloads(objects) {
            let name = format!("device{}", payload.number());
            store.register("/", &name, payload, &table)?;
            files.push(store.open(&format!("/{name}"), NAME)?);
        }
        Ok((Self { _store: store }, files))
    }

    fn thread(&self) -> Buffer {
        Buffer::default()
    }

    #[inline]
    fn get(&self, buffer: &mut Buffer, file: &Self::Handle) -> u64 {
        count(file.pread(0, buffer), buffer)
    }

    fn meets(&self, buffer: &mut Buffer, file: &Self::Handle, payload: &Payload) -> bool {
        let count = self.get(buffer, file);
        tells(buffer, count, payload)
    }
}

/// An attribute of the kernel's own, opened once for each object: nothing of the kernel's has as many of a kind.
pub(crate) struct KernelAttribute {
    /// What is in it.
    text: Vec<u8>,
}

/// Files that a process should have left when the kernel's attribute has been opened.
const LEFT: usize = 64;

/// The most bytes that the kernel's attribute may have: about as many as those of the others.
const SHORT: usize = 16;

/// Numbers that the kernel prints and nobody changes.
const STATIC: [&str; 4] = [
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    "/sys/devices/system/cpu/kernel_max",
    "/sys/devices/system/cpu/cpu0/topology/core_id",
    "/sys/devices/system/memory/block_size_bytes",
];

/// Where one is looked for if none of those is there.
const SYSTEM: &str = "/sys/devices/system";

impl KernelAttribute {
    /// Where it is and what it says, if it is short and can be read twice with the same outcome.
    fn at(path: &std::path::Path) -> Option<(std::path::PathBuf, Vec<u8>)> {
        let file = std::fs::File::open(path).ok()?;
        let mut buffer = Buffer::default();
        let mut read = || {
            let count = usize::try_from(count(pread(&file, &mut buffer), &buffer)).ok()?;
            buffer.get(..count).map(<[u8]>::to_vec)
        };
        let (once, again) = (read()?, read()?);
        ((1..=SHORT).contains(&once.len()) && once == again).then(|| (path.into(), once))
    }

    /// A file for each object; where the process may not open as many, some objects share one.
    fn open(path: &std::path::Path, objects: usize) -> Result<Vec<Arc<std::fs::File>>> {
        let mut files = vec![Arc::new(std::fs::File::open(path)?)];
        while files.len() < objects + LEFT {
            let Ok(file) = std::fs::File::open(path) else { break };
            files.push(Arc::new(file));
        }
        files.truncate(files.len().saturating_sub(LEFT).max(1));
        Ok((0..objects).map(|object| Arc::clone(&files[object % files.len()])).collect())
    }

    /// The first in a directory or below it, in the order of the names. Links are not followed: they lead in circles.
    fn find(dir: &std::path::Path) -> Option<(std::path::PathBuf, Vec<u8>)> {
        let mut entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        entries.iter().find_map(|entry| {
            let (kind, path) = (entry.file_type().ok()?, entry.path());
            if kind.is_dir() { Self::find(&path) } else { kind.is_file().then(|| Self::at(&path))? }
        })
    }
}

#[cfg(unix)]
#[inline]
fn pread(file: &std::fs::File, buffer: &mut Buffer) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, 0)
}

#[cfg(not(unix))]
fn pread(_: &std::fs::File, _: &mut Buffer) -> std::io::Result<usize> {
    Err(std::io::ErrorKind::Unsupported.into())
}

impl Get for KernelAttribute {
    type Handle = Arc<std::fs::File>;
    type Thread<'a> = Buffer;

    fn build(objects: usize) -> Result<(Self, Vec<Self::Handle>)> {
        let known = STATIC.iter().find_map(|path| Self::at(path.as_ref()));
        let (path, text) = known
            .or_else(|| Self::find(SYSTEM.as_ref()))
            .ok_or_else(|| Unavailable(format!("nothing below {SYSTEM} can be read that has 1 to {SHORT} bytes")))?;
        Ok((Self { text }, Self::open(&path, objects)?))
    }

    fn thread(&self) -> Buffer {
        Buffer::default()
    }

    #[inline]
    fn get(&self, buffer: &mut Buffer, file: &Self::Handle) -> u64 {
        count(pread(file, buffer), buffer)
    }

    fn meets(&self, buffer: &mut Buffer, file: &Self::Handle, _: &Payload) -> bool {
        let count = self.get(buffer, file);
        buffer.get(..usize::try_from(count).unwrap_or(usize::MAX)) == Some(&*self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::KernelAttribute;

    #[cfg(unix)]
    #[test]
    fn of_a_directory_the_first_short_text_is_taken_wherever_it_lies() {
        let dir = std::env::temp_dir().join(format!("enodev-bench-{}", std::process::id()));
        fs::create_dir_all(dir.join("c/d")).unwrap();
        let found = || KernelAttribute::find(&dir).map(|(_, text)| text);
        for (name, text) in [("a", ""), ("b", "as long as it is.")] {
            fs::write(dir.join(name), text).unwrap();
        }
        assert_eq!(found(), None);
        for (name, text) in [("c/d/e", "sixteen letters."), ("f", "short")] {
            fs::write(dir.join(name), text).unwrap();
        }
        assert_eq!(found().as_deref(), Some(&b"sixteen letters."[..]));
        fs::remove_dir_all(dir).unwrap();
    }
}
