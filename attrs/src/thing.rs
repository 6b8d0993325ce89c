//! Attributes of whatever is in an arena.

use std::fmt;

use enodev_handles::{Active, Arena, Handle, Kind};

use crate::{Access, Attribute, OpenFile, Owner, Page, Result, Seen, Target};

/// One attribute of one object in an arena of anybody's: what files can be opened on without a store, a tree or a name.
///
/// It is a handle and two references, made anew wherever it is needed. Every operation enters the object for its own
/// length: when the object has left, all of them give `ENODEV`, and its removal waits for none but those inside.
/// Changes are not counted: a poll finds one until the file has been read, and none after that.
///
/// # Examples
///
/// Request queues in an arena of a driver's own, with the files of sysfs:
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use enodev_attrs::{Access, Attribute, Errno, Owner, Thing, parse};
/// use enodev_handles::{Arena, Domain, Kind};
///
/// enum Queues {}
/// impl Kind for Queues {
///     const NAME: &'static str = "Queue";
/// }
///
/// struct Queue { requests: AtomicU32 }
/// impl Owner for Queue {
///     type Ref<'a> = &'a Queue;
/// }
///
/// let domain = Domain::new()?;
/// let queues: Arena<Queues, (), Queue> = Arena::new(&domain)?;
/// let nr_requests = Attribute::<Queue>::rw(
///     "nr_requests",
///     |queue, page| page.int(queue.requests.load(Ordering::Relaxed)),
///     |queue, data| Ok(queue.requests.store(parse::integer(data)?, Ordering::Relaxed)),
/// )?;
///
/// let sda = queues.insert((), Queue { requests: AtomicU32::new(64) })?;
/// let file = Thing::new(&queues, sda, &nr_requests).open(Access::READ | Access::WRITE)?;
///
/// file.write(&Thing::new(&queues, sda, &nr_requests), b"256\n")?;
/// let mut buf = [0; 16];
/// let count = file.pread(&Thing::new(&queues, sda, &nr_requests), 0, &mut buf)?;
/// assert_eq!(&buf[..count], b"256\n");
///
/// queues.remove(sda)?;
/// assert_eq!(file.pread(&Thing::new(&queues, sda, &nr_requests), 0, &mut buf), Err(Errno::ENODEV));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Thing<'a, K, S: 'static, P, O: Owner> {
    arena: &'a Arena<K, S, P>,
    handle: Handle<K>,
    attribute: &'a Attribute<O>,
}

impl<'a, K, S, P, O> Thing<'a, K, S, P, O>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
    O: for<'x> Owner<Ref<'x> = &'x P>,
{
    /// This attribute of this object, which may have left already.
    pub fn new(arena: &'a Arena<K, S, P>, handle: Handle<K>, attribute: &'a Attribute<O>) -> Self {
        Thing { arena, handle, attribute }
    }

    /// Opens the attribute. The file refers neither to it nor to the object, nor to the arena.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the object has left or is leaving. Otherwise those of [`OpenFile::new`].
    pub fn open(&self, access: Access) -> Result<OpenFile> {
        self.alive()?;
        self.attribute.open(access)
    }

    fn enter(&self) -> Result<Active<'a, P>> {
        Ok(self.arena.enter(self.handle)?)
    }
}

impl<K, S, P, O> Target for Thing<'_, K, S, P, O>
where
    K: Kind,
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
    O: for<'x> Owner<Ref<'x> = &'x P>,
{
    fn alive(&self) -> Result {
        self.enter().map(drop)
    }

    #[inline]
    fn show(&self, page: &mut Page, seen: &Seen) -> Result {
        let owner = self.enter()?;
        seen.latch(0);
        self.attribute.show(&owner, page)
    }

    #[inline]
    fn store(&self, data: &[u8]) -> Result {
        self.attribute.store(&*self.enter()?, data)
    }

    #[inline]
    fn read_at(&self, offset: u64, buf: &mut [u8], seen: &Seen) -> Result<usize> {
        let owner = self.enter()?;
        seen.latch(0);
        self.attribute.read_at(&owner, offset, buf)
    }

    #[inline]
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize> {
        self.attribute.write_at(&*self.enter()?, offset, data)
    }

    fn is_binary(&self) -> bool {
        self.attribute.is_binary()
    }

    fn size(&self) -> u64 {
        self.attribute.size()
    }
}

impl<K, S, P, O: Owner> Clone for Thing<'_, K, S, P, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, S, P, O: Owner> Copy for Thing<'_, K, S, P, O> {}

impl<K: Kind, S, P, O: Owner> fmt::Debug for Thing<'_, K, S, P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thing")
            .field("handle", &self.handle)
            .field("attribute", &self.attribute.name())
            .finish_non_exhaustive()
    }
}
