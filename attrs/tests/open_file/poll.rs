//! What a poll finds: how far a file has seen the changes of its attribute.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread;

use enodev_attrs::{Access, Attribute, Errno, OpenFile, Page};

use crate::device::{Device, Payload};
use crate::{ok, pread, read};

/// Whether a poll would find a change.
fn changed(file: &OpenFile, device: &Device) -> bool {
    file.seen() != Some(device.payload.changes.load(SeqCst))
}

/// E-10: a file that never read has seen nothing, however few the changes are, and whatever else was done with it.
#[test]
fn a_file_that_never_read_finds_a_change() {
    let device = Device::text("on").unwrap();
    device.payload.changes.store(0, SeqCst);
    let file = device.open(Access::READ | Access::WRITE).unwrap();
    assert_eq!(file.seen(), None);
    file.write(&device, b"off").unwrap();
    assert_eq!(read(&file, &device, 0), ok(""));
    assert_eq!(pread(&file, &device, u64::MAX, 1), Err(Errno::EINVAL));
    assert_eq!((file.seen(), changed(&file, &device)), (None, true));
    assert_eq!(pread(&file, &device, 0, 9), ok("on"));
    assert_eq!((file.seen(), changed(&file, &device)), (Some(0), false));
    // Another file has a state of its own.
    assert_eq!(device.open(Access::READ).unwrap().seen(), None);
}

/// F16: a change is found until the attribute is read anew; the rest of an old pass does not count as that.
#[test]
fn a_change_is_found_until_it_is_read() {
    let device = Device::text("abcdef").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 2), ok("ab"));
    assert!(!changed(&file, &device));
    device.says("uvwxyz");
    assert!(changed(&file, &device));
    assert_eq!(read(&file, &device, 9), ok("cdef"));
    assert_eq!(read(&file, &device, 9), ok(""));
    assert!(changed(&file, &device));
    assert_eq!(pread(&file, &device, 0, 1), ok("u"));
    assert!(!changed(&file, &device));

    let device = Device::binary(*b"01234567").unwrap();
    let file = device.open(Access::READ).unwrap();
    device.payload.changes.store(u64::MAX - 1, SeqCst);
    assert_eq!(read(&file, &device, 2), ok("01"));
    assert_eq!((file.seen(), changed(&file, &device)), (Some(u64::MAX - 1), false));
    device.payload.changes.store(0, SeqCst);
    assert!(changed(&file, &device));
    assert_eq!(read(&file, &device, 2), ok("23"));
    assert!(!changed(&file, &device));
}

/// E-11: what changes while the callback runs is found afterwards, before it has looked or after.
#[test]
fn a_change_during_a_show_is_found_after_it() {
    let show = |payload: &Payload, page: &mut Page| {
        page.put(payload.text.lock().clone()?)?;
        *payload.text.lock() = Ok("new".into());
        payload.changes.fetch_add(1, SeqCst);
        Ok(())
    };
    let device = Device::new(Attribute::ro("text", show).unwrap());
    let file = device.open(Access::READ).unwrap();
    device.says("old");
    assert_eq!(pread(&file, &device, 0, 9), ok("old"));
    assert!(changed(&file, &device));
    assert_eq!(pread(&file, &device, 0, 9), ok("new"));

    let read_at = |payload: &Payload, _: u64, buf: &mut [u8]| {
        payload.changes.fetch_add(1, SeqCst);
        Ok(buf.len())
    };
    let device = Device::new(Attribute::bin_ro("binary", 0, read_at).unwrap());
    let file = device.open(Access::READ).unwrap();
    assert_eq!(file.read(&device, &mut [0]), Ok(1));
    assert!(changed(&file, &device));
}

/// E-11: a callback that fails has been run, so what was there before it is no news; an object that is gone has not
/// been looked at.
#[test]
fn a_failed_show_has_seen_what_was_there() {
    let device = Device::text("on").unwrap();
    let file = device.open(Access::READ).unwrap();
    *device.payload.text.lock() = Err(Errno::ENODATA);
    assert_eq!(read(&file, &device, 9), Err(Errno::ENODATA));
    assert!(!changed(&file, &device));

    let broken = Device::new(Attribute::bin_ro("binary", 8, |_, _, _| panic!("broken")).unwrap());
    let file = broken.open(Access::READ).unwrap();
    assert_eq!(read(&file, &broken, 9), Err(Errno::EIO));
    assert!(!changed(&file, &broken));

    let file = device.open(Access::READ).unwrap();
    device.unplug();
    assert_eq!(read(&file, &device, 9), Err(Errno::ENODEV));
    assert_eq!(file.seen(), None);
}

/// F16: a poll waits for no read, not even for one on the same file that is stuck in its callback.
#[test]
fn a_poll_does_not_wait_for_a_read() {
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = parking_lot::Mutex::new(may_leave);
    let show = move |_: &Payload, _: &mut Page| {
        entered.send(()).map_err(|_| Errno::EPIPE)?;
        may_leave.lock().recv().map_err(|_| Errno::EPIPE)
    };
    let device = Device::new(Attribute::ro("text", show).unwrap());
    let file = device.open(Access::READ).unwrap();
    thread::scope(|scope| {
        let stuck = scope.spawn(|| read(&file, &device, 9));
        has_entered.recv().unwrap();
        assert_eq!(file.seen(), Some(0));
        device.says("on");
        assert!(changed(&file, &device));
        leave.send(()).unwrap();
        assert_eq!(stuck.join().unwrap(), ok(""));
    });
    assert!(changed(&file, &device));
}
