//! Open files of the baseline.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::error::{Error, Result};
use super::node::Node;

/// An open attribute. It does not keep its object alive.
pub struct OpenFile<T> {
    node: Weak<Node<T>>,
    attribute: usize,
    pass: Mutex<Pass>,
}

/// One pass over an attribute's text: read from the start, it is shown once and then handed out.
#[derive(Default)]
struct Pass {
    page: Vec<u8>,
    /// Takes a new text while `page` is kept; the two change places if the show succeeds.
    spare: Vec<u8>,
    position: usize,
}

impl<T> OpenFile<T> {
    pub(super) fn new(node: &Arc<Node<T>>, attribute: usize) -> Self {
        Self { node: Arc::downgrade(node), attribute, pass: Mutex::default() }
    }

    /// Reads on from where the last read ended, and returns how many bytes; 0 at the end.
    ///
    /// At the start of the file the attribute is shown; reads further on continue that text.
    /// A show that fails leaves position and text as they were.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if nobody holds the object any more, also where text is left; and what
    /// [`Attribute::show`](super::Attribute::show) fails with.
    pub fn read(&self, buf: &mut [u8]) -> Result<usize> {
        self.with_pass(|node, pass| {
            if pass.position == 0 {
                pass.show(node, self.attribute)?;
            }
            let count = pass.copy(pass.position, buf);
            pass.position += count;
            Ok(count)
        })
    }

    /// Shows the attribute anew and reads at `offset`, and returns how many bytes; 0 past the end.
    ///
    /// The position stays; a pass that is under way goes on in the new text.
    ///
    /// # Errors
    ///
    /// As [`OpenFile::read`].
    pub fn pread(&self, offset: usize, buf: &mut [u8]) -> Result<usize> {
        self.with_pass(|node, pass| {
            pass.show(node, self.attribute)?;
            Ok(pass.copy(offset, buf))
        })
    }

    /// Goes back to the start, so that the next read shows the attribute again.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if nobody holds the object any more.
    pub fn rewind(&self) -> Result {
        self.with_pass(|_, pass| {
            pass.position = 0;
            Ok(())
        })
    }

    /// Hands `data` to the attribute in one piece, and returns its length. Nothing is called for an
    /// empty write.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if nobody holds the object any more; and what
    /// [`Attribute::store`](super::Attribute::store) fails with.
    pub fn write(&self, data: &[u8]) -> Result<usize> {
        let node = self.node.upgrade().ok_or(Error::Gone)?;
        if !data.is_empty() {
            let attribute = node.attributes.get(self.attribute).ok_or(Error::NotFound)?;
            attribute.store(&node.payload, data)?;
        }
        Ok(data.len())
    }

    /// Runs `op` on the object and the file's pass. The lock is taken first, so that a reader who
    /// waits for it does not keep the object alive meanwhile.
    fn with_pass<R>(&self, op: impl FnOnce(&Node<T>, &mut Pass) -> Result<R>) -> Result<R> {
        // A show that panicked has spoilt the spare page at most.
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let node = self.node.upgrade().ok_or(Error::Gone)?;
        let result = op(&node, &mut pass);
        // The payload's `Drop`, if this was the last holder, runs outside the lock.
        drop(pass);
        result
    }
}

impl Pass {
    fn show<T>(&mut self, node: &Node<T>, attribute: usize) -> Result {
        let attribute = node.attributes.get(attribute).ok_or(Error::NotFound)?;
        attribute.show(&node.payload, &mut self.spare)?;
        mem::swap(&mut self.page, &mut self.spare);
        Ok(())
    }

    fn copy(&self, offset: usize, buf: &mut [u8]) -> usize {
        let rest = self.page.get(offset..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        count
    }
}

impl<T> fmt::Debug for OpenFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("attribute", &self.attribute).finish_non_exhaustive()
    }
}
