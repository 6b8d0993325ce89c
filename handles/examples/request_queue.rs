//! A disk's request queue: clients submit requests, which complete on the disk's own threads, while the disk is unplugged and
//! plugged in again under load.
//!
//! The queue is a gate with the disk in it. A request holds an owned pass from the moment when it is let in until it is
//! completed; so when `close` returns, no request is under way, none will be, and the disk is the unplugger's alone. The example
//! checks that no request is lost.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use enodev_handles::{Closed, Gate, Label, OwnedPass};

const PLUGS: u64 = 50;
const WORKERS: usize = 2;
const SECTORS: usize = 64;

struct Disk {
    sectors: Vec<AtomicU64>,
    completed: AtomicU64,
}

impl Disk {
    fn new() -> Self {
        Self { sectors: (0..SECTORS).map(|_| AtomicU64::new(0)).collect(), completed: AtomicU64::new(0) }
    }
}

/// A write of one sector. It is in the disk until it is dropped, wherever that is.
struct Request {
    disk: OwnedPass<Disk>,
    sector: usize,
    value: u64,
}

impl Request {
    fn complete(self) {
        self.disk.sectors[self.sector].store(self.value, Relaxed);
        self.disk.completed.fetch_add(1, Relaxed);
    }
}

/// Submits writes until all is over. Returns how many were let in, and how many not: the disk was not there.
fn client(queue: &Gate<Disk>, workers: &[Sender<Request>], over: &AtomicBool) -> (u64, u64) {
    let write = Label::new("write");
    let (mut accepted, mut refused) = (0, 0);
    while !over.load(Relaxed) {
        match queue.enter_owned(write) {
            Ok(disk) => {
                accepted += 1;
                let (worker, sector) = (accepted as usize % workers.len(), accepted as usize % SECTORS);
                let request = Request { disk, sector, value: accepted };
                // A request that comes back is dropped, and leaves the disk.
                if workers[worker].send(request).is_err() {
                    break;
                }
                if accepted % 64 == 0 {
                    thread::yield_now();
                }
            }
            Err(Closed) => {
                refused += 1;
                thread::yield_now();
            }
        }
    }
    (accepted, refused)
}

/// Unplugs the disk under load and plugs another one in, again and again. Returns how many requests the disks completed.
fn unplugger(queue: &Gate<Disk>) -> Result<u64, Box<dyn Error>> {
    let mut completed = 0;
    for _ in 0..PLUGS {
        let is_busy = || queue.enter().is_ok_and(|disk| disk.completed.load(Relaxed) > 100);
        while !is_busy() {
            thread::yield_now();
        }
        let disk = queue.close()?;
        // The disk is ours, and what it has been asked to do is done.
        completed += disk.completed.into_inner();
        queue.reopen(Disk::new()).map_err(|_| "somebody else has plugged a disk in")?;
    }
    Ok(completed)
}

fn main() -> Result<(), Box<dyn Error>> {
    let queue = Gate::new(Disk::new());
    let over = AtomicBool::new(false);
    let (workers, inboxes): (Vec<Sender<Request>>, Vec<Receiver<Request>>) = (0..WORKERS).map(|_| channel()).unzip();

    let (unplugged, counts) = thread::scope(|scope| {
        for inbox in inboxes {
            scope.spawn(move || inbox.into_iter().for_each(Request::complete));
        }
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let (queue, workers, over) = (&queue, workers.clone(), &over);
                scope.spawn(move || client(queue, &workers, over))
            })
            .collect();
        drop(workers);
        let unplugged = unplugger(&queue).map_err(|error| error.to_string());
        over.store(true, Relaxed);
        let counts: Vec<_> = clients.into_iter().filter_map(|client| client.join().ok()).collect();
        (unplugged, counts)
    });

    let completed = unplugged? + queue.close()?.completed.into_inner();
    let accepted: u64 = counts.iter().map(|(accepted, _)| accepted).sum();
    let refused: u64 = counts.iter().map(|(_, refused)| refused).sum();
    assert_eq!(accepted, completed, "a request was lost");
    println!("{PLUGS} disks came and went: {accepted} requests let in, all completed; {refused} refused");
    Ok(())
}
