//! Attributes by themselves: what they are, and what their operations do.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enodev_attrs::{Access, Attribute, DefineError, Errno, InvalidName, Mode, Owner, PAGE_SIZE, Page, Result};
use proptest::prelude::*;

/// An owner whose callbacks get a reference to it.
#[derive(Default)]
struct Disk {
    sectors: u64,
    blob: parking_lot::Mutex<Vec<u8>>,
    calls: AtomicUsize,
}

impl Owner for Disk {
    type Ref<'a> = &'a Disk;
}

/// An owner whose callbacks get more than a reference to it.
struct Port;

struct PortRef<'a> {
    bus: &'a str,
    number: u32,
}

impl Owner for Port {
    type Ref<'a> = PortRef<'a>;
}

impl Disk {
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let blob = self.blob.lock();
        let rest = blob.get(offset as usize..).ok_or(Errno::ERANGE)?;
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut blob = self.blob.lock();
        let end = offset as usize + data.len();
        let len = blob.len().max(end);
        blob.resize(len, 0);
        blob[offset as usize..end].copy_from_slice(data);
        Ok(data.len())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// One attribute of each sort, none of which does anything.
fn one_of_each() -> Result<[Attribute<Disk>; 6], DefineError> {
    Ok([
        Attribute::ro("ro", |_, _| Ok(()))?,
        Attribute::wo("wo", |_, _| Ok(()))?,
        Attribute::rw("rw", |_, _| Ok(()), |_, _| Ok(()))?,
        Attribute::bin_ro("bin_ro", 64, |_, _, _| Ok(0))?,
        Attribute::bin_wo("bin_wo", 0, |_, _, _| Ok(0))?,
        Attribute::bin_rw("bin_rw", 8192, |_, _, _| Ok(0), |_, _, _| Ok(0))?,
    ])
}

#[test]
fn each_sort_says_what_it_is() {
    let told = one_of_each().unwrap().map(|attribute| {
        let (name, mode) = (attribute.name().to_string(), attribute.mode().bits());
        (name, mode, attribute.size(), attribute.has_read(), attribute.has_write(), attribute.is_binary())
    });
    assert_eq!(
        told,
        [
            ("ro".into(), 0o444, 4096, true, false, false),
            ("wo".into(), 0o200, 4096, false, true, false),
            ("rw".into(), 0o644, 4096, true, true, false),
            ("bin_ro".into(), 0o444, 64, true, false, true),
            ("bin_wo".into(), 0o200, 0, false, true, true),
            ("bin_rw".into(), 0o644, 8192, true, true, true),
        ]
    );
}

#[test]
fn a_mode_promises_no_more_than_the_callbacks_keep() {
    for bits in 0..=0o777 {
        let mode = Mode::from_bits(bits).unwrap();
        for attribute in one_of_each().unwrap() {
            let kept = bits & 0o111 == 0
                && (bits & 0o444 == 0 || attribute.has_read())
                && (bits & 0o222 == 0 || attribute.has_write());
            let defined = attribute.with_mode(mode);
            assert_eq!(defined.is_ok(), kept, "{mode}");
            if let Ok(attribute) = defined {
                assert_eq!(attribute.mode(), mode);
            }
        }
    }
}

#[test]
fn a_refused_definition_says_why() {
    let define = |name: &str| Attribute::<Disk>::ro(name, |_, _| Ok(()));
    let bad_name = define("a/b").err();
    assert_eq!(bad_name, Some(DefineError::Name(InvalidName::Slash)));
    assert_eq!(bad_name.map(Errno::from), Some(Errno::EINVAL));
    let long = define(&"n".repeat(256)).err();
    assert_eq!(long.map(DefineError::errno), Some(Errno::ENAMETOOLONG));

    let unwritable = define("size").unwrap().with_mode(Mode::RW).err();
    assert_eq!(unwritable, Some(DefineError::Unwritable(Mode::RW)));
    assert_eq!(unwritable.map(Errno::from), Some(Errno::EINVAL));
    assert_eq!(
        unwritable.map(|error| error.to_string()),
        Some("mode 0644 promises writing, and nothing can be written".into())
    );
}

#[test]
fn a_callback_gets_whatever_its_owner_lends() {
    let path = Attribute::<Port>::ro("path", |port, page| {
        page.put(port.bus)?;
        page.line(port.number)
    })
    .unwrap();
    let bus = String::from("usb");
    let mut page = Page::new();
    path.show(PortRef { bus: &bus, number: 3 }, &mut page).unwrap();
    assert_eq!(page.as_bytes(), b"usb3\n");
}

#[test]
fn one_attribute_serves_many_owners() {
    let size = Attribute::<Disk>::ro("size", |disk, page| page.line(disk.sectors)).unwrap();
    let mut page = Page::new();
    for sectors in [1, 22, 333] {
        let disk = Disk { sectors, ..Disk::default() };
        size.show(&disk, &mut page).unwrap();
        assert_eq!(page.as_bytes(), format!("{sectors}\n").as_bytes());
    }
}

/// E-19, F14: an operation for which there is no callback is EIO, and its file does not open.
#[test]
fn what_has_no_callback_is_eio() {
    let disk = Disk::default();
    for attribute in one_of_each().unwrap() {
        let (text, binary) = (!attribute.is_binary(), attribute.is_binary());
        let (read, write) = (attribute.has_read(), attribute.has_write());
        let eio = |has: bool| if has { Ok(()) } else { Err(Errno::EIO) };
        assert_eq!(attribute.show(&disk, &mut Page::new()), eio(text && read));
        assert_eq!(attribute.store(&disk, b"1"), eio(text && write));
        assert_eq!(attribute.read_at(&disk, 0, &mut [0]).map(drop), eio(binary && read));
        assert_eq!(attribute.write_at(&disk, 0, b"1").map(drop), eio(binary && write));

        let eacces = |has: bool| if has { None } else { Some(Errno::EACCES) };
        assert_eq!(attribute.open(Access::READ).err(), eacces(read));
        assert_eq!(attribute.open(Access::WRITE).err(), eacces(write));
    }
}

/// E-16: a show that puts more than a page fails whole, and one that puts exactly a page does not.
#[test]
fn a_show_that_does_not_fit_fails_whole() {
    let text = Attribute::<Disk>::ro("text", |disk, page| {
        for _ in 0..disk.sectors {
            // Deaf to errors.
            page.put("x").ok();
        }
        Ok(())
    })
    .unwrap();
    let mut page = Page::new();
    for (sectors, shown, len) in [(4096, Ok(()), 4096), (4097, Err(Errno::E2BIG), 0), (1, Ok(()), 1)] {
        assert_eq!(text.show(&Disk { sectors, ..Disk::default() }, &mut page), shown);
        assert_eq!(page.len(), len);
    }
}

/// E-15, F13: text longer than a page is E2BIG and no text is no call, where Linux would store a part.
#[test]
fn store_is_called_with_the_whole_of_one_to_page_size_bytes() {
    let text = Attribute::<Disk>::wo("text", |disk, data| disk.write(0, data).map(drop)).unwrap();
    for (len, stored) in [(0, Ok(())), (1, Ok(())), (PAGE_SIZE, Ok(())), (PAGE_SIZE + 1, Err(Errno::E2BIG))] {
        let disk = Disk::default();
        assert_eq!(text.store(&disk, &vec![b'x'; len]), stored);
        let taken = if stored.is_ok() { len } else { 0 };
        assert_eq!((disk.calls(), disk.blob.lock().len()), (taken.min(1), taken));
    }
}

/// E-18, F14: at the end a read gives nothing and a write is EFBIG; before it both stop at the end.
#[test]
fn a_declared_size_bounds_reads_and_writes() {
    let config = Attribute::<Disk>::bin_rw("config", 8, Disk::read, Disk::write).unwrap();
    let disk = Disk { blob: (*b"01234567").to_vec().into(), ..Disk::default() };
    let mut buf = [0; 16];
    assert_eq!(config.read_at(&disk, 6, &mut buf), Ok(2));
    assert_eq!(&buf[..2], b"67");
    assert_eq!(config.write_at(&disk, 5, b"abcdef"), Ok(3));
    assert_eq!(&*disk.blob.lock(), b"01234abc");

    let calls = disk.calls();
    for offset in [8, 9, u64::MAX] {
        assert_eq!(config.read_at(&disk, offset, &mut buf), Ok(0));
        assert_eq!(config.write_at(&disk, offset, b"x"), Err(Errno::EFBIG));
        assert_eq!(config.write_at(&disk, offset, b""), Err(Errno::EFBIG));
    }
    assert_eq!(config.read_at(&disk, 0, &mut []), Ok(0));
    assert_eq!(config.write_at(&disk, 0, b""), Ok(0));
    assert_eq!(disk.calls(), calls);
}

/// E-18, F14: size 0 bounds nothing; one call moves at most a page.
#[test]
fn without_a_declared_size_only_the_page_bounds() {
    let memory = Attribute::<Disk>::bin_rw("memory", 0, Disk::read, Disk::write).unwrap();
    let disk = Disk::default();
    assert_eq!(memory.write_at(&disk, 5000, &[7; PAGE_SIZE + 1]), Ok(PAGE_SIZE));
    assert_eq!(disk.blob.lock().len(), 5000 + PAGE_SIZE);
    let mut buf = [0; 2 * PAGE_SIZE];
    assert_eq!(memory.read_at(&disk, 1, &mut buf), Ok(PAGE_SIZE));
    assert_eq!(memory.read_at(&disk, 9000, &mut buf), Ok(96));
}

#[test]
fn a_count_that_cannot_be_true_is_eio() {
    let liar =
        Attribute::<Disk>::bin_rw("liar", 8, |_, _, buf| Ok(buf.len() + 1), |_, _, data| Ok(data.len() + 1)).unwrap();
    let disk = Disk::default();
    // Inside the caller's buffer, outside what the callback was given.
    assert_eq!(liar.read_at(&disk, 4, &mut [0; 8]), Err(Errno::EIO));
    assert_eq!(liar.write_at(&disk, 4, &[0; 8]), Err(Errno::EIO));
    assert_eq!(liar.panics(), 0);
}

#[test]
fn a_panic_is_eio_and_counted_and_what_it_carried_is_dropped() {
    let carried = Arc::new(());
    let throw = || {
        let carried = Arc::clone(&carried);
        move || -> Errno { panic_any(Arc::clone(&carried)) }
    };
    let (show, store, read, write) = (throw(), throw(), throw(), throw());
    let text = Attribute::<Disk>::rw(
        "text",
        move |_, page| {
            page.put("half")?;
            Err(show())
        },
        move |_, _| Err(store()),
    )
    .unwrap();
    let binary =
        Attribute::<Disk>::bin_rw("binary", 0, move |_, _, _| Err(read()), move |_, _, _| Err(write())).unwrap();
    let held = Arc::strong_count(&carried);

    let disk = Disk::default();
    let mut page = Page::new();
    assert_eq!(text.show(&disk, &mut page), Err(Errno::EIO));
    assert!(page.is_empty());
    assert_eq!(text.store(&disk, b"1"), Err(Errno::EIO));
    assert_eq!(binary.read_at(&disk, 0, &mut [0]), Err(Errno::EIO));
    assert_eq!(binary.write_at(&disk, 0, &[0]), Err(Errno::EIO));
    assert_eq!((text.panics(), binary.panics()), (2, 2));
    assert_eq!(Arc::strong_count(&carried), held);
}

#[test]
fn a_callbacks_own_error_goes_through() {
    let fails = Attribute::<Disk>::rw("fails", |_, _| Err(Errno::ENODATA), |_, _| Err(Errno::ERANGE));
    let fails = fails.unwrap();
    assert_eq!(fails.show(&Disk::default(), &mut Page::new()), Err(Errno::ENODATA));
    assert_eq!(fails.store(&Disk::default(), b"1"), Err(Errno::ERANGE));
    assert_eq!(fails.panics(), 0);
}

#[test]
fn an_attribute_may_be_shared_and_prints_without_its_callbacks() {
    fn check<T: Send + Sync>(_: &T) {}
    let size = Attribute::<Disk>::ro("size", |_, _| Ok(())).unwrap();
    check(&size);
    let printed = format!("{size:?}");
    assert!(printed.contains(r#"name: "size", mode: 0444, binary: false, size: 4096"#), "{printed}");
}

proptest! {
    /// E-18: whatever the declared size, offset and length, the callback sees only what lies inside.
    #[test]
    fn a_callback_never_sees_bytes_past_the_end(size in 1..=9000u64, offset in 0..=9000u64, len in 0..=9000usize) {
        let seen = Arc::new(AtomicUsize::new(0));
        let (read, written) = (Arc::clone(&seen), Arc::clone(&seen));
        let attribute = Attribute::<Disk>::bin_rw(
            "binary",
            size,
            move |_, _, buf| { read.fetch_add(buf.len(), Ordering::Relaxed); Ok(buf.len()) },
            move |_, _, data| { written.fetch_add(data.len(), Ordering::Relaxed); Ok(data.len()) },
        ).unwrap();
        let inside = len.min(PAGE_SIZE).min(size.saturating_sub(offset) as usize);
        let mut buf = vec![0; len];
        prop_assert_eq!(attribute.read_at(&Disk::default(), offset, &mut buf), Ok(inside));
        prop_assert_eq!(seen.swap(0, Ordering::Relaxed), inside);
        let past = if offset >= size { Err(Errno::EFBIG) } else { Ok(inside) };
        prop_assert_eq!(attribute.write_at(&Disk::default(), offset, &buf), past);
        prop_assert_eq!(seen.load(Ordering::Relaxed), inside);
    }
}
