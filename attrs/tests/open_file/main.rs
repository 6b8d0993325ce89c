//! Open files as a program sees them: what a read, a write and a seek do, and what they do once the
//! object is gone.

mod device;
mod poll;
mod sharing;
mod sole;

use std::io::SeekFrom;
use std::sync::atomic::Ordering::SeqCst;

use device::{Device, Payload};
use enodev_attrs::{Access, Attribute, Errno, Mode, OpenFile, PAGE_SIZE, Page, Result};
use proptest::prelude::*;

/// Reads at the position, at most `len` bytes.
fn read(file: &OpenFile, device: &Device, len: usize) -> Result<String> {
    let mut buf = vec![0; len];
    let count = file.read(device, &mut buf)?;
    Ok(String::from_utf8_lossy(&buf[..count]).into_owned())
}

/// Reads at `offset`, at most `len` bytes.
fn pread(file: &OpenFile, device: &Device, offset: u64, len: usize) -> Result<String> {
    let mut buf = vec![0; len];
    let count = file.pread(device, offset, &mut buf)?;
    Ok(String::from_utf8_lossy(&buf[..count]).into_owned())
}

fn position(file: &OpenFile, device: &Device) -> Result<u64> {
    file.seek(device, SeekFrom::Current(0))
}

fn ok(text: &str) -> Result<String> {
    Ok(text.to_owned())
}

/// E-19: a file opens exactly for what both a mode bit and a callback allow, also for root.
#[test]
fn opening_needs_a_mode_bit_and_a_callback() {
    for bits in 0..=0o777 {
        let mode = Mode::from_bits(bits).unwrap();
        for (has_read, has_write) in [(false, false), (false, true), (true, false), (true, true)] {
            let may_read = bits & 0o444 != 0 && has_read;
            let may_write = bits & 0o222 != 0 && has_write;
            for (access, may) in [
                (Access::READ, may_read),
                (Access::WRITE, may_write),
                (Access::READ | Access::WRITE, may_read && may_write),
            ] {
                let opened = OpenFile::new(mode, access, has_read, has_write);
                assert_eq!(opened.as_ref().err(), (!may).then_some(&Errno::EACCES), "{mode} {access:?}");
                assert!(opened.is_err() || opened.unwrap().access() == access);
            }
        }
    }
    assert_eq!(OpenFile::new(Mode::RW, Access::empty(), true, true).err(), Some(Errno::EINVAL));
}

#[test]
fn an_operation_of_the_other_access_is_ebadf() {
    let device = Device::text("on").unwrap();
    let reader = device.open(Access::READ).unwrap();
    let writer = device.open(Access::WRITE).unwrap();
    assert_eq!(reader.write(&device, b"1"), Err(Errno::EBADF));
    assert_eq!(reader.pwrite(&device, 0, b"1"), Err(Errno::EBADF));
    assert_eq!(read(&writer, &device, 1), Err(Errno::EBADF));
    assert_eq!(pread(&writer, &device, 0, 1), Err(Errno::EBADF));
    assert_eq!(writer.seek(&device, SeekFrom::Start(1)), Ok(1));
    assert_eq!((device.shows(), device.stored().len()), (0, 0));
}

/// F11: reads that follow one another share one show, and the end is told without another.
#[test]
fn small_reads_see_one_snapshot() {
    let device = Device::text("abcdef").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 0), ok(""));
    assert_eq!(device.shows(), 0);
    assert_eq!(read(&file, &device, 2), ok("ab"));
    device.says("uvwxyz");
    assert_eq!(read(&file, &device, 3), ok("cde"));
    assert_eq!(read(&file, &device, 9), ok("f"));
    assert_eq!(read(&file, &device, 9), ok(""));
    assert_eq!(device.shows(), 1);
}

/// E-17: a seek back to 0 and a pread at 0 show again; a seek to where the pass stands does not.
#[test]
fn a_read_at_offset_0_shows_again() {
    let device = Device::text("abcdef").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 4), ok("abcd"));
    device.says("uvwxyz");
    assert_eq!(file.seek(&device, SeekFrom::Start(4)), Ok(4));
    assert_eq!(read(&file, &device, 1), ok("e"));
    assert_eq!(file.seek(&device, SeekFrom::Start(0)), Ok(0));
    assert_eq!(read(&file, &device, 4), ok("uvwx"));
    device.says("123456");
    assert_eq!(pread(&file, &device, 0, 4), ok("1234"));
    assert_eq!(device.shows(), 3);
}

#[test]
fn an_empty_text_is_shown_at_every_read() {
    let device = Device::text("").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 9), ok(""));
    assert_eq!(read(&file, &device, 9), ok(""));
    device.says("on");
    assert_eq!(read(&file, &device, 9), ok("on"));
    assert_eq!(device.shows(), 3);
}

/// E-17: a pread where the pass stands continues it; elsewhere it shows anew, so two may mix two states.
#[test]
fn a_pread_elsewhere_shows_anew_and_skips() {
    let device = Device::text("abcdef").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(pread(&file, &device, 0, 2), ok("ab"));
    device.says("uvwxyz");
    assert_eq!(pread(&file, &device, 2, 2), ok("cd"));
    assert_eq!(device.shows(), 1);
    assert_eq!(pread(&file, &device, 2, 2), ok("wx"));
    assert_eq!(device.shows(), 2);
    // The position has stayed; the pass has not.
    device.says("123456");
    assert_eq!(position(&file, &device), Ok(0));
    assert_eq!(pread(&file, &device, 4, 9), ok("yz"));
    assert_eq!(pread(&file, &device, 100, 9), ok(""));
    assert_eq!(device.shows(), 3);
    assert_eq!(file.seek(&device, SeekFrom::Start(3)), Ok(3));
    assert_eq!(read(&file, &device, 9), ok("456"));
    assert_eq!(device.shows(), 4);
}

#[test]
fn a_failed_show_leaves_position_and_snapshot() {
    let device = Device::text("abcdef").unwrap();
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 2), ok("ab"));
    *device.payload.text.lock() = Err(Errno::ENODATA);
    assert_eq!(pread(&file, &device, 0, 4), Err(Errno::ENODATA));
    assert_eq!(pread(&file, &device, 5, 4), Err(Errno::ENODATA));
    assert_eq!(read(&file, &device, 2), ok("cd"));

    file.seek(&device, SeekFrom::Start(0)).unwrap();
    assert_eq!(read(&file, &device, 2), Err(Errno::ENODATA));
    assert_eq!(position(&file, &device), Ok(0));
    assert_eq!(pread(&file, &device, 4, 9), ok("ef"));
}

/// F13, E-15: a write is one store, whatever its offset; no text is no store, too much is E2BIG.
#[test]
fn a_text_write_is_one_store() {
    let device = Device::text("on").unwrap();
    let file = device.open(Access::READ | Access::WRITE).unwrap();
    let page = vec![b'x'; PAGE_SIZE];
    assert_eq!(file.write(&device, b"first"), Ok(5));
    assert_eq!(file.write(&device, b"second"), Ok(6));
    assert_eq!(file.pwrite(&device, 1 << 40, b"third"), Ok(5));
    assert_eq!(position(&file, &device), Ok(11));
    assert_eq!(file.write(&device, b""), Ok(0));
    assert_eq!(file.write(&device, &vec![b'x'; PAGE_SIZE + 1]), Err(Errno::E2BIG));
    assert_eq!(position(&file, &device), Ok(11));
    assert_eq!(file.write(&device, &page), Ok(PAGE_SIZE));
    assert_eq!(device.stored(), [&b"first"[..], b"second", b"third", &page]);
    // The write has moved the position past the text.
    assert_eq!(read(&file, &device, 9), ok(""));
    assert_eq!(pread(&file, &device, 0, 9), ok("on"));
}

/// T1: garbage written in pieces before a value has no effect; the value alone has, also in a full page.
#[test]
fn text_is_not_put_together_from_several_writes() {
    let store = |payload: &Payload, data: &[u8]| {
        let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        let value: u32 = text.trim_end().parse().map_err(|_| Errno::EINVAL)?;
        *payload.text.lock() = Ok(value.to_string());
        Ok(())
    };
    let show = |payload: &Payload, page: &mut Page| page.line(payload.text.lock().clone()?);
    let device = Device::new(Attribute::rw("x", show, store).unwrap());
    let file = device.open(Access::READ | Access::WRITE).unwrap();

    assert_eq!(file.write(&device, b"0\n"), Ok(2));
    assert_eq!(pread(&file, &device, 0, 9), ok("0\n"));
    assert_eq!(file.write(&device, b"7\n"), Ok(2));
    assert_eq!(pread(&file, &device, 0, 9), ok("7\n"));
    assert_eq!(file.write(&device, format!("{:4095}\n", 12).trim_start().as_bytes()), Ok(3));

    assert_eq!(file.write(&device, &[b'g'; 50]), Err(Errno::EINVAL));
    assert_eq!(file.write(&device, format!("{}9\n", "g".repeat(48)).as_bytes()), Err(Errno::EINVAL));
    assert_eq!(pread(&file, &device, 0, 9), ok("12\n"));
    let whole_page = format!("{:<4095}\n", 34);
    assert_eq!((whole_page.len(), file.write(&device, whole_page.as_bytes())), (4096, Ok(4096)));
    assert_eq!(pread(&file, &device, 0, 9), ok("34\n"));
}

/// E-18, F14: binary data is read and written at the position or the offset, up to the declared size.
#[test]
fn a_binary_file_goes_by_offsets() {
    let device = Device::binary(*b"01234567").unwrap();
    let file = device.open(Access::READ | Access::WRITE).unwrap();
    assert_eq!(read(&file, &device, 3), ok("012"));
    assert_eq!(file.write(&device, b"ab"), Ok(2));
    assert_eq!(file.pwrite(&device, 7, b"cd"), Ok(1));
    assert_eq!(pread(&file, &device, 2, 3), ok("2ab"));
    assert_eq!(read(&file, &device, 9), ok("56c"));
    assert_eq!(read(&file, &device, 9), ok(""));
    assert_eq!(file.write(&device, b"x"), Err(Errno::EFBIG));
    assert_eq!(position(&file, &device), Ok(8));
    assert_eq!(file.seek(&device, SeekFrom::End(-2)), Ok(6));
    assert_eq!(read(&file, &device, 9), ok("6c"));
}

#[test]
fn a_seek_stays_in_the_range_of_offsets() {
    let device = Device::text("on").unwrap();
    let file = device.open(Access::READ).unwrap();
    let max = i64::MAX as u64;
    assert_eq!(file.seek(&device, SeekFrom::Start(10)), Ok(10));
    for to in [
        SeekFrom::Start(max + 1),
        SeekFrom::Current(-11),
        SeekFrom::Current(i64::MAX),
        SeekFrom::End(-4097),
        SeekFrom::End(i64::MAX),
    ] {
        assert_eq!(file.seek(&device, to), Err(Errno::EINVAL), "{to:?}");
    }
    assert_eq!(file.seek(&device, SeekFrom::Current(-10)), Ok(0));
    assert_eq!(file.seek(&device, SeekFrom::End(-96)), Ok(4000));
    assert_eq!(file.seek(&device, SeekFrom::Start(max)), Ok(max));
    assert_eq!(read(&file, &device, 1), ok(""));
    assert_eq!(pread(&file, &device, max + 1, 1), Err(Errno::EINVAL));
}

/// F4: of several things that are wrong with a write the first of a fixed order is told: the access, the object that
/// is gone, the offset, the length, and last what the callback finds.
#[test]
fn the_first_of_several_faults_is_told() {
    let store = |_: &Payload, _: &[u8]| Err(Errno::ENODATA);
    let write_at = |_: &Payload, _: u64, _: &[u8]| Err(Errno::ENODATA);
    let text = || Device::new(Attribute::rw("text", |_: &Payload, _: &mut Page| Ok(()), store).unwrap());
    let read_at = |_: &Payload, _: u64, _: &mut [u8]| Ok(0);
    let binary = || Device::new(Attribute::bin_rw("binary", 8, read_at, write_at).unwrap());
    let too_long = vec![b'x'; PAGE_SIZE + 1];
    for (device, offset, too_much) in [(text(), 0, Errno::E2BIG), (binary(), 8, Errno::EFBIG)] {
        let reader = device.open(Access::READ).unwrap();
        let writer = device.open(Access::WRITE).unwrap();
        assert_eq!(writer.pwrite(&device, 0, b"x"), Err(Errno::ENODATA));
        assert_eq!(writer.pwrite(&device, offset, &too_long), Err(too_much));
        assert_eq!(writer.pwrite(&device, u64::MAX, &too_long), Err(Errno::EINVAL));
        device.unplug();
        assert_eq!(writer.pwrite(&device, u64::MAX, &too_long), Err(Errno::ENODEV));
        assert_eq!(reader.pwrite(&device, u64::MAX, &too_long), Err(Errno::EBADF));
    }
}

/// F3, F4: once the object is gone every operation is ENODEV, whatever else is wrong with it or is left
/// of the snapshot; the file can still be closed.
#[test]
fn every_operation_on_a_dead_target_is_enodev() {
    let enodev = Err(Errno::ENODEV);
    for device in [Device::text("abcdef").unwrap(), Device::binary(*b"abcdefgh").unwrap()] {
        let file = device.open(Access::READ | Access::WRITE).unwrap();
        assert_eq!(read(&file, &device, 2), ok("ab"));
        device.unplug();
        for len in [0, 1, 9] {
            assert_eq!(read(&file, &device, len), Err(Errno::ENODEV));
            for offset in [0, 2, 9, u64::MAX] {
                assert_eq!(pread(&file, &device, offset, len), Err(Errno::ENODEV));
            }
        }
        for len in [0, 1, PAGE_SIZE + 1] {
            assert_eq!(file.write(&device, &vec![b'x'; len]), enodev);
            for offset in [0, 9, u64::MAX] {
                assert_eq!(file.pwrite(&device, offset, &vec![b'x'; len]), enodev);
            }
        }
        for to in [SeekFrom::Start(0), SeekFrom::Current(-9), SeekFrom::End(0)] {
            assert_eq!(file.seek(&device, to), Err(Errno::ENODEV));
        }
        assert_eq!(device.stored().len(), 0);
        drop(device);
        drop(file);
    }
}

#[test]
fn a_panic_leaves_the_file_usable() {
    let show = |payload: &Payload, page: &mut Page| {
        assert!(payload.shows.fetch_add(1, SeqCst) > 0, "the first show");
        page.put("on")
    };
    let device = Device::new(Attribute::ro("text", show).unwrap());
    let file = device.open(Access::READ).unwrap();
    assert_eq!(read(&file, &device, 9), Err(Errno::EIO));
    assert_eq!(read(&file, &device, 9), ok("on"));
}

proptest! {
    /// E-17: whatever the lengths of the reads and however the text changes between them, reads from the
    /// start to the end give exactly the text that the first of them found.
    #[test]
    fn a_pass_is_one_state_of_the_text(
        texts in proptest::collection::vec("[a-z]{1,40}", 1..20),
        len in 1..12usize,
    ) {
        let device = Device::text("").unwrap();
        let file = device.open(Access::READ).unwrap();
        let mut states = texts.iter().cycle();
        for first in &texts {
            device.says(first);
            file.seek(&device, SeekFrom::Start(0)).unwrap();
            let mut whole = String::new();
            loop {
                let piece = read(&file, &device, len).unwrap();
                if piece.is_empty() {
                    break;
                }
                whole += &piece;
                device.says(states.next().unwrap());
            }
            prop_assert_eq!(&whole, first);
        }
    }
}
