//! What is told to `tracing`.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::thread;

use enodev::{AsKobject, DeviceType, Error, KobjectHandle, Phase, Removal, Store};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::common::{Disk, GONE, Rig, until};

/// Writes down what it is told, one line each, and may use the store as it is told.
#[derive(Clone, Default)]
struct Scribe {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
    meddles: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Scribe {
    fn note(&self, line: String) {
        self.lines.lock().push(line);
        self.meddles.iter().for_each(|meddles| meddles());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock())
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else if field.name() != "waited" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("enodev")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(format!("span {}", span.metadata().name()));
        span.record(&mut line);
        self.note(line.0);
        Id::from_u64(1 + self.spans.fetch_add(1, SeqCst))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.note(format!("{} {}", event.metadata().level(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {
        self.note("over".into());
    }
}

/// Runs something with a subscriber.
fn with_default<R>(scribe: Scribe, run: impl FnOnce() -> R) -> R {
    /// While there is but one subscriber, `tracing` asks the one of the thread that comes to a place first, be it none, and remembers the
    /// answer for all threads; those of other tests have none.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Scribe::default()));
    LazyLock::force(&SECOND);
    subscriber::with_default(scribe, run)
}

/// What comes and goes is told with its path, and what is refused with the reason, each removal in a span of its own.
#[test]
fn registrations_and_removals_are_told() {
    let scribe = Scribe::default();
    with_default(scribe.clone(), || {
        let rig = Rig::new();
        let store = &rig.store;
        let hub = store.create(store.root(), "hub").unwrap();
        let sda = rig.add(hub, "sda");
        assert_eq!(store.create(hub, "sda"), Err(Error::Exists));
        let [hub_is, sda_is] = [hub, sda.kobject()].map(|object| format!("object={object:?}"));
        let refused = format!("DEBUG refused parent={hub:?} error={}", Error::Exists);
        let registered = |is, path: &str| format!("DEBUG registered {is} path={path:?}");
        assert_eq!(scribe.take(), [registered(&hub_is, "/hub"), registered(&sda_is, "/hub/sda"), refused]);

        drop(store.unregister::<Disk>(sda).unwrap());
        let begun = |is, path: &str| format!("span unregister {is} path={path:?}");
        assert_eq!(scribe.take(), [begun(&sda_is, "/hub/sda"), "DEBUG unregistered objects=1".into(), "over".into()]);
        assert_eq!(store.unregister_subtree(sda), Err(GONE));
        assert_eq!(scribe.take(), [begun(&sda_is, ""), format!("DEBUG refused error={GONE}"), "over".into()]);
        assert_eq!(store.unregister_subtree(hub), Ok(Removal::Done(1)));
        assert_eq!(scribe.take()[1..], ["DEBUG unregistered objects=1", "over"]);
    });
}

/// A removal that has to wait says for whom before it does, and again when that is over; one that need not says nothing of it.
#[test]
fn whom_a_removal_waits_for_is_told() {
    let scribe = Scribe::default();
    let rig = Rig::new();
    let store = &rig.store;
    let sda = rig.add(store.root(), "sda");
    let shut = rig.world.gate.shut();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("reader".into());
        let reader = reader.spawn_scoped(scope, || store.read(sda, "slow")).unwrap();
        rig.world.gate.wait_for(1);
        let remover = scope.spawn(|| with_default(scribe.clone(), || store.unregister_subtree(sda)));
        let waits = format!("DEBUG waits object={:?} label=\"slow\" thread=\"reader\"", sda.kobject());
        until(|| scribe.lines.lock().contains(&waits));
        assert_eq!(scribe.lines.lock().len(), 2);
        drop(shut);
        assert!(reader.join().unwrap().is_ok());
        assert_eq!(remover.join().unwrap(), Ok(Removal::Done(1)));
        assert_eq!(scribe.take()[2..], ["DEBUG has waited", "DEBUG unregistered objects=1", "over"]);
    });
    assert_eq!(store.stats().drains, 1);
}

/// A callback that panics is told once, with the object on which it was called, also where the caller is a callback that passes the EIO on;
/// one that answers EIO by itself is not.
#[test]
fn callbacks_that_panic_are_told() {
    let scribe = Scribe::default();
    let store = Store::new().unwrap();
    let ty = DeviceType::shared::<KobjectHandle>("type")
        .ro("panics", |_, _| panic!("as it does"))
        .ro("eio", |_, _| Err(enodev::Errno::EIO))
        .ro("other", |object, page| {
            page.put_bytes(&object.store().read(*object, "panics").map_err(|error| error.errno())?)
        });
    let ty = store.define(ty).unwrap();
    let one = store.register(store.root(), "one", ty, KobjectHandle::null()).unwrap();
    let two = store.register(store.root(), "two", ty, one.kobject()).unwrap();
    with_default(scribe.clone(), || {
        assert!(store.read(one, "eio").is_err());
        assert_eq!(scribe.take(), [""; 0]);
        for (object, name) in [(one, "panics"), (two, "other")] {
            assert!(store.read(object, name).is_err());
            let told = format!("WARN an attribute's callback panicked object={:?} path=\"/one\"", one.kobject());
            assert_eq!(scribe.take(), [told], "{name}");
        }
    });
    assert_eq!(store.stats().panics, 2);
}

/// Whoever is told may use the store, be it to change what it is told of: no lock is held, and no pin.
#[test]
fn who_is_told_may_use_the_store() {
    let rig = Arc::new(Rig::new());
    let sdb = rig.add(rig.store.root(), "sdb");
    let (meddler, rounds) = (Arc::clone(&rig), AtomicU64::new(0));
    let meddles = move || {
        let round = rounds.fetch_add(1, SeqCst);
        // What it does is told, too.
        if round % 7 == 0 {
            let store = &meddler.store;
            let name = format!("new{round}");
            let new = store.create(store.root(), &name).unwrap();
            store.rename(new, &format!("{name}b")).unwrap();
            store.link(new, "peer", sdb).unwrap();
            assert!(store.list(store.root()).is_ok() && store.read(sdb, "name").is_ok());
            assert_eq!(store.unregister_subtree(new), Ok(Removal::Done(1)));
            store.flush();
        }
    };
    let scribe = Scribe { meddles: Some(Arc::new(meddles)), ..Scribe::default() };
    with_default(scribe.clone(), || {
        for _ in 0..20 {
            let sda = rig.add(rig.store.root(), "sda");
            assert_eq!(rig.store.create(sda, "name"), Err(Error::Exists));
            assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
        }
    });
    assert!(scribe.take().len() > 100);
    assert_eq!(rig.store.len(), 1);
}

/// F28, F29: a device that is removed before observers could be told of it as new is not told of as leaving either: they keep count.
#[test]
fn who_left_before_its_coming_was_told_is_not_told_of() {
    let rig = Arc::new(Rig::new());
    let told = Arc::<Mutex<Vec<Phase>>>::default();
    let all = Arc::clone(&told);
    rig.store.observe(move |notice| all.lock().push(notice.phase())).unwrap();
    let meddler = Arc::clone(&rig);
    let meddles = move || {
        // It is in the tree, and nobody has been told.
        if let Ok(sda) = meddler.store.lookup("sda") {
            assert_eq!(meddler.store.unregister_subtree(sda), Ok(Removal::Done(1)));
        }
    };
    let scribe = Scribe { meddles: Some(Arc::new(meddles)), ..Scribe::default() };
    with_default(scribe, || rig.add(rig.store.root(), "sda"));
    assert!(rig.store.is_empty());
    assert_eq!(*told.lock(), []);
    let sda = rig.add(rig.store.root(), "sda");
    assert_eq!(rig.store.unregister_subtree(sda), Ok(Removal::Done(1)));
    assert_eq!(*told.lock(), [Phase::Added, Phase::Leaving, Phase::Removed]);
}
