//! Look-up and attribute read, by one thread and by two, on one object and on all.
//!
//! Each contender begins with what its user keeps between accesses, and ends with the attribute's
//! text in a buffer of the thread's own. The text is eight bytes that `show` copies, so what is
//! measured is the way to them.

#![expect(clippy::unwrap_used, reason = "a read that fails is no measurement")]

use std::sync::Weak;

use criterion::{BenchmarkId, Criterion};
use enodev::{Access, AttrHandle, DeviceHandle, DeviceType, File, Page, Store};
use enodev_bench::baseline::{ArcStore, Attribute, Attributes, Node, OpenFile};
use enodev_bench::contest::{self, Contender, Load, Pick};

const BUSES: usize = 20;
const DISKS_PER_BUS: usize = 50;

/// What both stores hold: the text that `show` copies.
enum Payload {
    Bus,
    Disk([u8; 8]),
}

/// The disks: the path of the bus of each, and its name.
fn disks() -> impl Iterator<Item = (String, String)> {
    (0..BUSES * DISKS_PER_BUS).map(|i| {
        let (bus, disk) = (i / DISKS_PER_BUS, i % DISKS_PER_BUS);
        (format!("/devices/pci0000:{bus:02x}"), format!("disk{disk}"))
    })
}

fn arc_store() -> ArcStore<Payload> {
    let serial = Attribute::ro("serial", |payload: &Payload, page| match payload {
        Payload::Disk(serial) => {
            page.extend_from_slice(serial);
            Ok(())
        }
        Payload::Bus => Err(libc::EIO),
    });
    let (table, none) = (Attributes::new(vec![serial]).unwrap(), Attributes::default());
    let store = ArcStore::new();
    store.register("/", "devices", Payload::Bus, &none).unwrap();
    for (bus, disk) in disks() {
        if store.get(&bus).is_none() {
            let (_, name) = bus.rsplit_once('/').unwrap();
            store.register("/devices", name, Payload::Bus, &none).unwrap();
        }
        store.register(&bus, &disk, Payload::Disk(*b"SERIAL01"), &table).unwrap();
    }
    store
}

/// The user keeps a `Weak`, as he would keep a handle.
struct WeakUpgrade(Vec<Weak<Node<Payload>>>);

impl Contender for WeakUpgrade {
    type Thread<'a> = Vec<u8>;

    fn objects(&self) -> usize {
        self.0.len()
    }

    fn thread(&self) -> Vec<u8> {
        Vec::with_capacity(4096)
    }

    fn read(&self, page: &mut Vec<u8>, i: usize) -> usize {
        let node = self.0[i].upgrade().unwrap();
        // The table has one attribute; enodev's user keeps a handle of it just so.
        node.attributes().get(0).unwrap().show(node.payload(), page).unwrap();
        page.len()
    }
}

/// The user keeps an open file of each object, each thread its own, and preads it from the start.
struct Files<'s>(&'s ArcStore<Payload>, &'s [String]);

impl Contender for Files<'_> {
    type Thread<'a>
        = (Vec<OpenFile<Payload>>, [u8; 64])
    where
        Self: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) -> Self::Thread<'_> {
        let open = |path: &String| self.0.open(path, "serial").unwrap();
        (self.1.iter().map(open).collect(), [0; 64])
    }

    fn read<'a>(&'a self, (files, buf): &mut Self::Thread<'a>, i: usize) -> usize {
        files[i].pread(0, buf).unwrap()
    }
}

/// The user has only names.
struct Paths<'s>(&'s ArcStore<Payload>, &'s [String]);

impl Contender for Paths<'_> {
    type Thread<'a>
        = Vec<u8>
    where
        Self: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) -> Vec<u8> {
        Vec::with_capacity(4096)
    }

    fn read(&self, page: &mut Vec<u8>, i: usize) -> usize {
        self.0.get(&self.1[i]).unwrap().show("serial", page).unwrap();
        page.len()
    }
}

fn enodev_store() -> (Store, Vec<DeviceHandle>) {
    let store = Store::new().unwrap();
    let disk_type = DeviceType::shared::<[u8; 8]>("disk");
    let disk_type = disk_type.ro("serial", |serial, page| page.put_bytes(&*serial));
    let disk_type = store.define(disk_type).unwrap();
    store.create(store.root(), "devices").unwrap();
    let devices = store.lookup("/devices").unwrap();
    let register = |(bus, disk): (String, String)| {
        let (_, name) = bus.rsplit_once('/').unwrap();
        let bus = store.create(devices, name).or_else(|_| store.lookup(&bus)).unwrap();
        store.register(bus, &disk, disk_type, *b"SERIAL01").unwrap()
    };
    let handles = disks().map(register).collect();
    (store, handles)
}

/// The user keeps a handle of each object, and one of the attribute.
struct Handles<'s>(&'s Store, &'s [DeviceHandle], AttrHandle);

impl Contender for Handles<'_> {
    type Thread<'a>
        = Page
    where
        Self: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) -> Page {
        Page::new()
    }

    fn read(&self, page: &mut Page, i: usize) -> usize {
        self.0.show(self.1[i], self.2, page).unwrap();
        page.len()
    }
}

/// As [`Files`].
struct EnodevFiles<'s>(&'s Store, &'s [DeviceHandle]);

impl Contender for EnodevFiles<'_> {
    type Thread<'a>
        = (Vec<File>, [u8; 64])
    where
        Self: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) -> Self::Thread<'_> {
        let open = |disk: &DeviceHandle| self.0.open(*disk, "serial", Access::READ).unwrap();
        (self.1.iter().map(open).collect(), [0; 64])
    }

    fn read<'a>(&'a self, (files, buf): &mut Self::Thread<'a>, i: usize) -> usize {
        files[i].pread(self.0, 0, buf).unwrap()
    }
}

/// As [`Paths`].
struct EnodevPaths<'s>(&'s Store, &'s [String]);

impl Contender for EnodevPaths<'_> {
    type Thread<'a>
        = Page
    where
        Self: 'a;

    fn objects(&self) -> usize {
        self.1.len()
    }

    fn thread(&self) -> Page {
        Page::new()
    }

    fn read(&self, page: &mut Page, i: usize) -> usize {
        let disk = self.0.lookup(&self.1[i]).unwrap();
        let serial = self.0.attribute(disk, "serial").unwrap();
        self.0.show(disk, serial, page).unwrap();
        page.len()
    }
}

fn bench<C: Contender>(criterion: &mut Criterion, name: &str, contender: &C) {
    let mut group = criterion.benchmark_group("read");
    for (pick, what) in [(Pick::Same, "one"), (Pick::Spread, "all")] {
        for threads in [1, 2] {
            let load = Load { threads, pick };
            let id = BenchmarkId::new(name, format!("{what}/{threads}"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|reads| contest::run(contender, load, reads));
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let store = arc_store();
    let paths: Vec<_> = disks().map(|(bus, disk)| format!("{bus}/{disk}")).collect();
    let nodes = paths.iter().map(|path| store.lookup(path).unwrap());

    bench(&mut criterion, "arc weak_upgrade", &WeakUpgrade(nodes.collect()));
    bench(&mut criterion, "arc open_file", &Files(&store, &paths));
    bench(&mut criterion, "arc path", &Paths(&store, &paths));

    let (store, handles) = enodev_store();
    let serial = store.attribute(handles[0], "serial").unwrap();
    bench(&mut criterion, "enodev handle", &Handles(&store, &handles, serial));
    bench(&mut criterion, "enodev open_file", &EnodevFiles(&store, &handles));
    bench(&mut criterion, "enodev path", &EnodevPaths(&store, &paths));
    criterion.final_summary();
}
