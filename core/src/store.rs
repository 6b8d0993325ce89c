use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};

use enodev_handles::{Arena, Domain, Strategy};

use crate::attribute::{AttrCode, AttrMeta};
use crate::binding::{BindingBody, BindingMeta};
use crate::bus::{BusCode, BusMeta};
use crate::class::ClassMeta;
use crate::driver::{DriverCode, DriverMeta};
use crate::error::{Error, Result};
use crate::group::{GroupCode, GroupMeta, TypeCode, TypeMeta};
use crate::handle::{KobjectHandle, ObserverHandle, TypeHandle, kind};
use crate::leftovers::Leftovers;
use crate::members::Published;
use crate::moves::Moves;
use crate::node::Node;
use crate::obituary::Obituaries;
use crate::observe::ObserverCode;
use crate::payload::{Body, Payload};
use crate::portable;
use crate::ranges::Ranges;
use crate::sought::Sought;
use crate::space::SpaceMeta;
use crate::state::State;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, thread};
use crate::topology::Topology;

/// A store of devices, kobjects and attributes.
///
/// Objects form a tree under [`root`](Self::root), each with a name, attributes of its type, links to other objects, and a
/// payload that belongs to the driver. They are addressed by handles; a handle whose object has left gives `ENODEV` in
/// every operation, for ever.
///
/// Everything takes `&self` and may be called from any thread.
///
/// | from | what may be called | who waits |
/// |---|---|---|
/// | anywhere | looking up, listing, entering shared payloads, adding, linking, moving | nobody |
/// | anywhere | [`enter_mut`](Self::enter_mut), attributes of exclusive payloads, and what their groups' callbacks decide | for the one who is inside |
/// | outside | removing | for those inside, and for another thread's removal of the same |
/// | a callback, or with a guard | removing other objects | for those inside; never for another thread's removal ([`Error::Leaving`]) |
/// | a callback, or with a guard | removing the object itself, or what it is part of | nobody: it goes as the callback returns ([`Removal::Begun`](crate::Removal::Begun)) |
/// | anywhere | taking attributes or groups away, or hiding them | for those inside the attributes |
/// | a callback of the attribute, or of one in the group | the same | nobody: it is done as the callback returns ([`Removal::Begun`](crate::Removal::Begun)) |
/// | a payload's drop | all of the above | never for another thread's removal of objects |
///
/// What every operation answers in each state of what it is about is told in [`docs::errno`](crate::docs::errno).
///
/// Dropping the store unregisters all that is left, children before parents, and waits for nobody. Payloads are dropped on the
/// caller's thread.
///
/// # Panics
///
/// Dropping the store panics with the first panic of a payload's drop, after all have been dropped.
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// Whether the objects go with this.
    is_owner: bool,
}

pub(crate) type Nodes = Arena<kind::Kobject, Node, Body>;

/// All of a store but the right to end it: what a removal needs that goes on as its thread leaves an object.
pub(crate) struct Inner {
    // Fields are dropped in this order: objects before the code of their attributes.
    pub(crate) nodes: Nodes,
    pub(crate) attrs: Arena<kind::Attr, AttrMeta, AttrCode>,
    pub(crate) groups: Arena<kind::Group, GroupMeta, GroupCode>,
    pub(crate) types: Arena<kind::Type, TypeMeta, TypeCode>,
    /// The type, which no object has, of attributes that objects are given one by one.
    pub(crate) untyped: TypeHandle,
    pub(crate) bindings: Arena<kind::Binding, BindingMeta, BindingBody>,
    pub(crate) leftovers: Leftovers,
    pub(crate) sought: Sought,
    pub(crate) drivers: Arena<kind::Driver, DriverMeta, DriverCode>,
    pub(crate) buses: Arena<kind::Bus, BusMeta, BusCode>,
    pub(crate) classes: Arena<kind::Class, ClassMeta, ()>,
    pub(crate) observers: Arena<kind::Observer, (), ObserverCode>,
    /// The observers, in the order in which they came.
    pub(crate) observing: Published<ObserverHandle>,
    pub(crate) spaces: Arena<kind::Space, SpaceMeta, Arc<Ranges>>,
    pub(crate) domain: Domain,
    pub(crate) topology: Topology,
    pub(crate) moves: Moves,
    /// How often a callback has panicked that is no attribute's.
    panics: AtomicU64,
    pub(crate) root: KobjectHandle,
    /// How removals that go on later find the store; nothing once it is being dropped.
    pub(crate) later: Later,
    pub(crate) obituaries: Obituaries,
    /// What tells the store from all others, of whatever process.
    pub(crate) nonce: u128,
}

pub(crate) type Later = Arc<Mutex<Weak<Inner>>>;

impl Store {
    /// An empty store: a root and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] when 255 stores are alive, or when stores have been made and used so often that their tags are used up;
    /// [`Error::Full`] where there is no memory for one.
    pub fn new() -> Result<Self> {
        Self::with_strategy(Strategy::Auto)
    }

    /// An empty store whose removals use the given [`Strategy`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and where the strategy is not to be had.
    pub fn with_strategy(strategy: Strategy) -> Result<Self> {
        let domain = Domain::with_strategy(strategy)?;
        // The domain is new, so no kind is taken.
        let taken = |_| Error::Full;
        let nodes = Arena::new(&domain).map_err(taken)?;
        let root = nodes.insert(Node::root(), Body { payload: Payload::NONE, state: State::default(), part: None })?;
        let types: Arena<kind::Type, TypeMeta, TypeCode> = Arena::new(&domain).map_err(taken)?;
        // A handle that nothing else will ever have: its slot stays reserved.
        let untyped = types.reserve().map(|slot| std::mem::ManuallyDrop::new(slot).handle())?;
        let inner = Arc::new(Inner {
            nodes,
            attrs: Arena::new(&domain).map_err(taken)?,
            groups: Arena::new(&domain).map_err(taken)?,
            types,
            untyped,
            bindings: Arena::new(&domain).map_err(taken)?,
            leftovers: Leftovers::default(),
            sought: Sought::default(),
            drivers: Arena::new(&domain).map_err(taken)?,
            buses: Arena::new(&domain).map_err(taken)?,
            spaces: Arena::new(&domain).map_err(taken)?,
            classes: Arena::new(&domain).map_err(taken)?,
            observers: Arena::new(&domain).map_err(taken)?,
            observing: Published::default(),
            domain,
            topology: Topology::default(),
            moves: Moves::default(),
            panics: AtomicU64::new(0),
            root,
            later: Later::default(),
            obituaries: Obituaries::default(),
            nonce: portable::nonce(),
        });
        *inner.later.lock() = Arc::downgrade(&inner);
        Ok(Self { inner, is_owner: true })
    }

    /// A callback has panicked that is no attribute's.
    pub(crate) fn note_panic(&self) {
        // Relaxed: a count for people.
        self.inner.panics.fetch_add(1, Ordering::Relaxed);
        self.trace_panic();
    }

    /// How often one has.
    pub(crate) fn noted_panics(&self) -> u64 {
        // Relaxed: a count for people.
        self.inner.panics.load(Ordering::Relaxed)
    }

    /// The store of a removal that goes on after its caller's operation, unless it is being dropped.
    pub(crate) fn again(later: &Later) -> Option<Self> {
        let inner = later.lock().upgrade()?;
        Some(Self { inner, is_owner: false })
    }

    /// The object that all paths start from.
    pub fn root(&self) -> KobjectHandle {
        self.inner.root
    }

    /// How many objects there are, the root not counted; those that are leaving count, and those that are just being added.
    pub fn len(&self) -> usize {
        self.inner.nodes.len().saturating_sub(1)
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what the store kept of objects that have left, and tells of how many it could not, because a thread is
    /// reading the tree. It does so by itself as removals go on.
    pub fn flush(&self) -> usize {
        self.inner.nodes.flush()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.is_owner {
            return;
        }
        *self.inner.later.lock() = Weak::new();
        // Guards borrow the store: those that are left have been forgotten. And so have removals that were to go on with
        // their leaves: they do not find the tree any more.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.nodes.forget_guards();
            inner.bindings.forget_guards();
        }
        let first = catch_unwind(AssertUnwindSafe(|| self.reap()));
        // It fails only where the system refuses the barrier; then the arena drops the payloads, in no order.
        let second = catch_unwind(AssertUnwindSafe(|| self.end()));
        if let Some(panic) = first.err().or(second.err()).filter(|_| !thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("objects", &self.len()).finish_non_exhaustive()
    }
}
