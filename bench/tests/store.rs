//! The Arc baseline does what enodev's store does, as far as nobody is inside a callback meanwhile.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use enodev_bench::baseline::{ArcStore, Attribute, Attributes, Error, Kind};

/// A disk that writes its name into a log as it is dropped.
struct Disk {
    name: &'static str,
    size: AtomicU64,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(self.name);
    }
}

struct Bench {
    store: ArcStore<Disk>,
    table: Attributes<Disk>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Bench {
    fn new() -> Self {
        let size = Attribute::rw(
            "size",
            |disk: &Disk, page| {
                page.extend_from_slice(disk.size.load(Ordering::Relaxed).to_string().as_bytes());
                Ok(())
            },
            |disk, data| {
                let text = std::str::from_utf8(data).map_err(|_| libc::EINVAL)?;
                disk.size.store(text.trim().parse().map_err(|_| libc::EINVAL)?, Ordering::Relaxed);
                Ok(())
            },
        );
        let table = Attributes::new(vec![size]).unwrap();
        Self { store: ArcStore::new(), table, log: Arc::default() }
    }

    fn disk(&self, name: &'static str, size: u64) -> Disk {
        Disk { name, size: AtomicU64::new(size), log: Arc::clone(&self.log) }
    }

    fn add(&self, parent: &str, name: &'static str, size: u64) {
        self.store.register(parent, name, self.disk(name, size), &self.table).unwrap();
    }

    fn dropped(&self) -> Vec<&'static str> {
        self.log.lock().unwrap().clone()
    }

    fn names(&self, path: &str) -> Vec<(String, Kind)> {
        let entries = self.store.list(path).unwrap();
        entries.into_iter().map(|entry| (entry.name.into(), entry.kind)).collect()
    }
}

fn text<const N: usize>(result: Result<usize, Error>, buf: &[u8; N]) -> Result<&str, Error> {
    result.map(|count| std::str::from_utf8(&buf[..count]).unwrap())
}

#[test]
fn an_open_file_is_gone_after_the_unplug() {
    let bench = Bench::new();
    bench.add("/", "disk0", 2048);
    let file = bench.store.open("/disk0", "size").unwrap();
    let mut buf = [0; 2];
    assert_eq!(text(file.read(&mut buf), &buf), Ok("20"));

    assert_eq!(bench.store.unregister("/disk0"), Ok(1));
    assert_eq!(bench.dropped(), ["disk0"], "an idle file keeps nothing alive");
    assert_eq!(file.read(&mut buf), Err(Error::Gone), "though half of the text is left");
    assert_eq!(file.pread(0, &mut buf), Err(Error::Gone));
    assert_eq!(file.rewind(), Err(Error::Gone));
    assert_eq!(file.write(b"1"), Err(Error::Gone));
    assert_eq!(file.write(b""), Err(Error::Gone));
}

#[test]
fn a_successor_of_the_same_name_is_another_object() {
    let bench = Bench::new();
    bench.add("/", "disk0", 1);
    let handle = bench.store.lookup("/disk0").unwrap();
    let file = bench.store.open("/disk0", "size").unwrap();
    bench.store.link("/", "boot", "/disk0").unwrap();

    bench.store.unregister("/disk0").unwrap();
    bench.add("/", "disk0", 2);
    assert!(handle.upgrade().is_none());
    assert_eq!(file.read(&mut [0; 8]), Err(Error::Gone));
    assert!(bench.store.get("/boot").is_none());

    let file = bench.store.open("/disk0", "size").unwrap();
    let mut buf = [0; 8];
    assert_eq!(text(file.read(&mut buf), &buf), Ok("2"));
}

#[test]
fn a_subtree_leaves_at_once_children_before_parents() {
    let bench = Bench::new();
    bench.add("/", "pci0", 0);
    bench.add("/pci0", "ata1", 0);
    bench.add("/pci0/ata1", "disk0", 0);
    bench.add("/pci0", "ata2", 0);
    bench.add("/", "pci01", 0);
    assert_eq!(bench.store.len(), 5);

    assert_eq!(bench.store.unregister("/pci0"), Ok(4));
    let dropped = bench.dropped();
    let at = |name| dropped.iter().position(|other| *other == name).unwrap();
    assert!(at("disk0") < at("ata1") && at("ata1") < at("pci0") && at("ata2") < at("pci0"));
    assert!(bench.store.lookup("/pci0/ata1/disk0").is_none());
    assert_eq!(bench.names("/"), [("pci01".into(), Kind::Node)]);
    assert_eq!(bench.store.unregister("/pci0"), Err(Error::NotFound));
}

#[test]
fn a_store_that_is_dropped_drops_children_before_parents() {
    let bench = Bench::new();
    bench.add("/", "pci0", 0);
    bench.add("/pci0", "ata1", 0);
    bench.add("/pci0/ata1", "disk0", 0);
    drop(bench.store);
    assert_eq!(*bench.log.lock().unwrap(), ["disk0", "ata1", "pci0"]);
}

#[test]
fn a_list_has_attributes_objects_and_links() {
    let bench = Bench::new();
    bench.add("/", "pci0", 0);
    bench.add("/pci0", "disk1", 0);
    bench.add("/pci0", "disk0", 0);
    bench.store.link("/pci0", "first", "/pci0/disk0").unwrap();
    let expected = [
        ("size".to_owned(), Kind::Attribute),
        ("disk0".to_owned(), Kind::Node),
        ("disk1".to_owned(), Kind::Node),
        ("first".to_owned(), Kind::Link),
    ];
    assert_eq!(bench.names("/pci0"), expected);
    assert_eq!(bench.store.list("/absent"), Err(Error::NotFound));

    let mut paths: Vec<_> = bench.store.nodes().iter().filter_map(|node| node.upgrade()).collect();
    paths.sort_by(|a, b| a.path().cmp(b.path()));
    let paths: Vec<_> = paths.iter().map(|node| node.path()).collect();
    assert_eq!(paths, ["/pci0", "/pci0/disk0", "/pci0/disk1"]);
}

#[test]
fn a_link_leads_to_its_target_and_below_until_that_leaves() {
    let bench = Bench::new();
    bench.add("/", "pci0", 0);
    bench.add("/pci0", "disk0", 0);
    bench.add("/pci0/disk0", "part1", 7);
    bench.add("/", "block", 0);
    bench.store.link("/block", "sda", "/pci0/disk0").unwrap();
    bench.store.link("/", "boot", "/block/sda").unwrap();

    let part = bench.store.get("/boot/part1").unwrap();
    assert_eq!((part.path(), part.name()), ("/pci0/disk0/part1", "part1"));
    bench.add("/block/sda", "part2", 8);
    assert!(bench.store.get("/pci0/disk0/part2").is_some());
    drop(part);

    assert_eq!(bench.store.unregister("/boot"), Ok(3), "a path may end in a link");
    assert_eq!(bench.store.open("/block/sda", "size").err(), Some(Error::Gone));
    assert_eq!(bench.store.unlink("/block", "sda"), Ok(()));
    assert_eq!(bench.store.unlink("/block", "sda"), Err(Error::NotFound));
    assert_eq!(bench.store.unlink("/", "block"), Err(Error::NotFound), "an object is no link");
    assert_eq!(bench.store.len(), 2);
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let bench = Bench::new();
    bench.add("/", "disk0", 0);
    bench.store.link("/", "boot", "/disk0").unwrap();
    let before = bench.names("/");
    let register = |parent: &str, name: &str| {
        let disk = bench.disk("refused", 0);
        bench.store.register(parent, name, disk, &bench.table).err()
    };
    assert_eq!(register("/", "disk0"), Some(Error::Exists));
    assert_eq!(register("/", "boot"), Some(Error::Exists));
    assert_eq!(register("/disk0", "size"), Some(Error::Exists), "an attribute has that name");
    assert_eq!(register("/absent", "disk1"), Some(Error::NotFound));
    assert_eq!(register("/", "a/b"), Some(Error::InvalidName));
    assert_eq!(bench.dropped(), ["refused"; 5]);

    assert_eq!(bench.store.link("/", "disk0", "/disk0"), Err(Error::Exists));
    assert_eq!(bench.store.link("/", "all", "/"), Err(Error::Root));
    assert_eq!(bench.store.link("/", "none", "/absent"), Err(Error::NotFound));
    assert_eq!(bench.store.unregister("/"), Err(Error::Root));
    assert_eq!(bench.store.open("/disk0", "absent").err(), Some(Error::NotFound));
    assert_eq!(bench.names("/"), before);
}

#[test]
fn a_file_shows_once_in_a_pass_and_anew_after_a_rewind() {
    let bench = Bench::new();
    bench.add("/", "disk0", 1234);
    let file = bench.store.open("/disk0", "size").unwrap();
    let mut buf = [0; 3];
    assert_eq!(text(file.read(&mut buf), &buf), Ok("123"));
    assert_eq!(file.write(b"98765"), Ok(5));
    assert_eq!(text(file.read(&mut buf), &buf), Ok("4"), "the text of this pass");
    assert_eq!(file.read(&mut buf), Ok(0));
    file.rewind().unwrap();
    assert_eq!(text(file.read(&mut buf), &buf), Ok("987"));
    assert_eq!(text(file.pread(4, &mut buf), &buf), Ok("5"));
    assert_eq!(file.pread(9, &mut buf), Ok(0));
    assert_eq!(file.write(b"many"), Err(Error::Callback(libc::EINVAL)));
    assert_eq!(file.write(b""), Ok(0), "an empty write calls nothing");
}

#[test]
fn a_show_that_fails_leaves_the_pass_as_it_was() {
    let shows = AtomicU64::new(0);
    let flaky = Attribute::ro("flaky", move |(): &(), page| {
        page.extend_from_slice(b"abcdef");
        if shows.fetch_add(1, Ordering::Relaxed) == 1 { Err(libc::EIO) } else { Ok(()) }
    });
    let store = ArcStore::new();
    store.register("/", "dev", (), &Attributes::new(vec![flaky]).unwrap()).unwrap();
    let file = store.open("/dev", "flaky").unwrap();
    let mut buf = [0; 3];
    assert_eq!(text(file.read(&mut buf), &buf), Ok("abc"));
    assert_eq!(file.pread(0, &mut buf), Err(Error::Callback(libc::EIO)));
    assert_eq!(text(file.read(&mut buf), &buf), Ok("def"));
}

#[test]
fn a_payload_may_use_the_store_as_it_is_dropped() {
    /// Counts, as it is dropped, the objects that the store holds then.
    struct Last(Weak<ArcStore<Self>>, Arc<Mutex<Vec<usize>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let counted = self.0.upgrade().map_or(usize::MAX, |store| store.len());
            self.1.lock().unwrap().push(counted);
        }
    }
    let (store, counts) = (Arc::new(ArcStore::new()), Arc::default());
    let register = || {
        let payload = Last(Arc::downgrade(&store), Arc::clone(&counts));
        store.register("/", "last", payload, &Attributes::default())
    };
    register().unwrap();
    assert_eq!(register().err(), Some(Error::Exists));
    assert_eq!(*counts.lock().unwrap(), [1], "the refused one, beside the first");
    store.unregister("/last").unwrap();
    assert_eq!(*counts.lock().unwrap(), [1, 0]);
}

#[test]
fn an_object_may_unregister_itself_from_its_own_callback() {
    /// Knows the store, and leaves a word as it is dropped.
    struct Suicidal(Weak<ArcStore<Self>>, Arc<AtomicU64>);
    impl Drop for Suicidal {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let delete = Attribute::wo("delete", |payload: &Suicidal, _| {
        let store = payload.0.upgrade().ok_or(libc::EIO)?;
        store.unregister("/dev").map_err(Error::errno)?;
        let dropped = payload.1.load(Ordering::Relaxed);
        if dropped == 0 { Ok(()) } else { Err(libc::EIO) }
    });
    let (store, dropped) = (Arc::new(ArcStore::new()), Arc::default());
    let payload = Suicidal(Arc::downgrade(&store), Arc::clone(&dropped));
    store.register("/", "dev", payload, &Attributes::new(vec![delete]).unwrap()).unwrap();
    let file = store.open("/dev", "delete").unwrap();

    assert_eq!(file.write(b"1"), Ok(1));
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "as the write ended");
    assert_eq!(file.write(b"1"), Err(Error::Gone));
    assert!(store.is_empty());
}
