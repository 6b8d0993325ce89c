//! A bridge: the driver of an adapter on one bus registers disks on another, from its probe. The adapter is pulled out while a thread
//! reads from the disks, and the driver of the disks is unloaded while they are there.
//!
//! Neither driver has a lock, a reference count or a flag that says that something is gone.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use enodev::{Bus, BusType, DeviceType, Driver, Errno, Notice, Phase, Result, Scope, Shared, Store, Type};

/// A bus whose devices say what they are by vendor and device, as PCI does.
struct Pci;

#[derive(PartialEq)]
struct PciId {
    vendor: u16,
    device: u16,
}

impl BusType for Pci {
    type Id = PciId;
    type IdTable = &'static [PciId];

    fn matches(&self, id: &PciId, table: &Self::IdTable) -> bool {
        table.contains(id)
    }
}

/// A bus whose devices all speak the same language, and whose drivers serve them all.
struct Scsi;

impl BusType for Scsi {
    type Id = ();
    type IdTable = ();

    fn matches(&self, (): &(), (): &()) -> bool {
        true
    }
}

/// What the bus knows of an adapter: how many disks hang on it.
struct Slot {
    disks: u64,
}

/// What the adapter knows of a disk.
struct Target {
    blocks: u64,
}

/// The driver of adapters.
struct Ahci {
    scsi: Bus<Scsi>,
    target: Type<Shared<Target>>,
}

impl Driver for Ahci {
    type Bus = Pci;
    type Device = Shared<Slot>;
    type Data = ();

    fn probe(&self, adapter: &mut Scope<'_, Self::Device>) -> Result<(), Errno> {
        for n in 0..adapter.disks {
            let target = Target { blocks: 1000 * (n + 1) };
            let disk = adapter.store().new_device(adapter.device(), &format!("target{n}"), self.target, target);
            // The adapter's lock is held: this is its probe.
            disk.on(self.scsi, ()).register_in(adapter)?;
        }
        Ok(())
    }
}

/// The driver of disks. What it keeps of each is how often that was read.
struct Sd;

impl Driver for Sd {
    type Bus = Scsi;
    type Device = Shared<Target>;
    type Data = AtomicU64;

    fn probe(&self, disk: &mut Scope<'_, Self::Device>) -> Result<AtomicU64, Errno> {
        if disk.blocks == 0 { Err(Errno::ENODEV) } else { Ok(AtomicU64::new(0)) }
    }

    fn remove(&self, _disk: &mut Scope<'_, Self::Device>, reads: AtomicU64) {
        println!("sd lets go of a disk after {} reads", reads.into_inner());
    }
}

const AHCI: &[PciId] = &[PciId { vendor: 0x8086, device: 0x2922 }];

/// Reads from all disks that there are, until told to stop; says when it begins anew, to who listens. Returns how often a disk was not there, or had no
/// driver.
fn read_disks(store: &Store, scsi: Bus<Scsi>, begun: &mpsc::SyncSender<()>, running: &AtomicBool) -> Result<u64> {
    let mut misses = 0;
    while running.load(Relaxed) {
        for disk in store.devices_on(scsi.handle())? {
            match store.data::<AtomicU64>(disk) {
                Ok(reads) => drop(reads.fetch_add(1, Relaxed)),
                Err(_) => misses += 1,
            }
        }
        let _ = begun.try_send(());
    }
    Ok(misses)
}

fn main() -> Result {
    let store = Store::new()?;
    let (pci, scsi) = (store.register_bus("pci", Pci)?, store.register_bus("scsi", Scsi)?);
    let slot = store.define(DeviceType::shared::<Slot>("slot"))?;
    let target = DeviceType::shared::<Target>("target").ro("blocks", |disk, page| page.line(disk.blocks));
    let target = store.define(target)?;
    store.observe(|notice: &Notice<'_>| {
        if let (Phase::Bound | Phase::Removed, Ok(path)) = (notice.phase(), notice.path()) {
            println!("{:?}: {path}", notice.phase());
        }
    })?;
    store.register_driver(pci, "ahci", Ahci { scsi, target }, AHCI)?;
    let sd = store.register_driver(scsi, "sd", Sd, ())?;

    let (running, (begun, reads)) = (AtomicBool::new(true), mpsc::sync_channel(0));
    let misses = thread::scope(|scope| {
        let reader = scope.spawn(|| read_disks(&store, scsi, &begun, &running));
        let plugs = (|| {
            let adapter = store.new_device(store.root(), "adapter", slot, Slot { disks: 2 });
            let adapter = adapter.on(pci, PciId { vendor: 0x8086, device: 0x2922 }).register()?;
            reads.iter().take(100).for_each(drop);
            // The disks' driver goes, and comes again.
            store.unregister_driver(sd)?;
            assert_eq!(
                store.data::<AtomicU64>(store.device(store.lookup("adapter/target0")?)?).err(),
                Some(enodev::Error::NotBound)
            );
            store.register_driver(scsi, "sd", Sd, ())?;
            reads.iter().take(100).for_each(drop);
            // And somebody pulls the plug.
            store.unregister_subtree(adapter).map(|gone| println!("{} objects have gone", gone.count()))
        })();
        running.store(false, Relaxed);
        let misses = reader.join().unwrap_or(Ok(0));
        plugs.and(misses)
    })?;
    assert!(store.is_empty() && store.audit().is_clean());
    println!("nothing is left; the reader has met {misses} disks that were gone, or had no driver");
    Ok(())
}
