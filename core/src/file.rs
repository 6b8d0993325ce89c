use std::io::SeekFrom;

use enodev_attrs::{Access, Errno, OpenFile, Page, Result as AttrResult, Target};

use crate::error::{Error, Result};
use crate::handle::{AsKobject, AttrHandle, KobjectHandle};
use crate::store::Store;

/// An open attribute of an object. It refers to nothing: it keeps nothing alive and delays no removal.
///
/// Every operation is told the store, and enters the object for its own length only. When the object has left, all of them
/// give `ENODEV`, also after another has taken its name or its slot. See [`OpenFile`](enodev_attrs::OpenFile) for what reads and
/// writes do.
#[derive(Debug)]
pub struct File {
    object: KobjectHandle,
    attr: AttrHandle,
    is_binary: bool,
    size: u64,
    state: OpenFile,
}

impl File {
    /// The object.
    pub fn object(&self) -> KobjectHandle {
        self.object
    }

    /// The attribute.
    pub fn attribute(&self) -> AttrHandle {
        self.attr
    }

    /// Reads at the position, and moves it.
    ///
    /// # Errors
    ///
    /// `ENODEV`, `EBADF`, `EDEADLK` from within an operation on this very file, and what the callback returns.
    pub fn read(&self, store: &Store, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.read(&At { file: self, store }, buf)
    }

    /// Reads at an offset.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pread(&self, store: &Store, offset: u64, buf: &mut [u8]) -> AttrResult<usize> {
        self.state.pread(&At { file: self, store }, offset, buf)
    }

    /// Writes at the position, and moves it. A text attribute takes all or nothing.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `E2BIG` for text of more than a page, `EFBIG` past the end of a binary attribute.
    pub fn write(&self, store: &Store, data: &[u8]) -> AttrResult<usize> {
        self.state.write(&At { file: self, store }, data)
    }

    /// Writes at an offset.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and `EINVAL` for an offset above `i64::MAX`.
    pub fn pwrite(&self, store: &Store, offset: u64, data: &[u8]) -> AttrResult<usize> {
        self.state.pwrite(&At { file: self, store }, offset, data)
    }

    /// Moves the position; from 0 the attribute is shown anew.
    ///
    /// # Errors
    ///
    /// `ENODEV`; `EINVAL` where the position would be negative or above `i64::MAX`.
    pub fn seek(&self, store: &Store, to: SeekFrom) -> AttrResult<u64> {
        self.state.seek(&At { file: self, store }, to)
    }
}

/// A file and the store to which it is applied.
struct At<'a> {
    file: &'a File,
    store: &'a Store,
}

impl Target for At<'_> {
    fn alive(&self) -> AttrResult {
        self.store.visit(self.file.object, self.file.attr, |_, _| Ok(()))
    }

    fn show(&self, page: &mut Page) -> AttrResult {
        self.store.visit(self.file.object, self.file.attr, |code, owner| code.show(owner, page))
    }

    fn store(&self, data: &[u8]) -> AttrResult {
        self.store.visit(self.file.object, self.file.attr, |code, owner| code.store(owner, data))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> AttrResult<usize> {
        self.store.visit(self.file.object, self.file.attr, |code, owner| code.read_at(owner, offset, buf))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> AttrResult<usize> {
        self.store.visit(self.file.object, self.file.attr, |code, owner| code.write_at(owner, offset, data))
    }

    fn is_binary(&self) -> bool {
        self.file.is_binary
    }

    fn size(&self) -> u64 {
        self.file.size
    }
}

/// Attributes.
impl Store {
    /// The attribute of an object that has this name.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`].
    pub fn attribute(&self, object: impl AsKobject, name: &str) -> Result<AttrHandle> {
        let pin = self.domain.pin();
        let ty = self.nodes.get(&pin, object.kobject())?.ty.ok_or(Error::NotFound)?;
        self.types.get(&pin, ty)?.attributes.get(name).copied().ok_or(Error::NotFound)
    }

    /// Opens an attribute of an object.
    ///
    /// # Errors
    ///
    /// `ENODEV`; [`Error::NotFound`]; `EACCES` where the mode or the callbacks do not allow the access, also for root; `EINVAL`
    /// where the access is empty.
    pub fn open(&self, object: impl AsKobject, name: &str, access: Access) -> Result<File> {
        let object = object.kobject();
        let attr = self.attribute(object, name)?;
        let pin = self.domain.pin();
        let meta = self.attrs.get(&pin, attr)?;
        let state = OpenFile::new(meta.mode, access, meta.has_read, meta.has_write)?;
        Ok(File { object, attr, is_binary: meta.is_binary, size: meta.size, state })
    }

    /// Shows an attribute that is held by its handle.
    ///
    /// # Errors
    ///
    /// `ENODEV`; `EINVAL` where it is not an attribute of the object's type; `EIO` where it cannot be read or panics; what the
    /// callback returns. The page is then empty.
    pub fn show(&self, object: impl AsKobject, attr: AttrHandle, page: &mut Page) -> AttrResult {
        self.visit(object.kobject(), attr, |code, owner| code.show(owner, page))
    }

    /// Reads an attribute from beginning to end.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`File::read`].
    pub fn read(&self, object: impl AsKobject, name: &str) -> Result<Vec<u8>> {
        let file = self.open(object, name, Access::READ)?;
        let (mut data, mut buf) = (Vec::new(), [0; enodev_attrs::PAGE_SIZE]);
        loop {
            match file.read(self, &mut buf)? {
                0 => return Ok(data),
                count => data.extend_from_slice(&buf[..count]),
            }
        }
    }

    /// Writes an attribute, as one write.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`File::write`]; `EFBIG` where a binary attribute takes only a part.
    pub fn write(&self, object: impl AsKobject, name: &str, data: &[u8]) -> Result {
        let count = self.open(object, name, Access::WRITE)?.write(self, data)?;
        if count < data.len() { Err(Errno::EFBIG.into()) } else { Ok(()) }
    }
}
