//! Files that somebody has to himself, against those that he shares.

use std::io::SeekFrom;

use enodev_attrs::{Access, Errno, OpenFile, Result};
use proptest::prelude::*;

use crate::device::Device;

/// What is done with a file, and with its device.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Pread(u64, usize),
    Write(Vec<u8>),
    Pwrite(u64, Vec<u8>),
    Seek(SeekFrom),
    Says(String),
    Unplug,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = prop_oneof![4 => 0..12_u64, 1 => Just(i64::MAX as u64), 1 => Just(u64::MAX)];
    let data = prop_oneof![9 => proptest::collection::vec(any::<u8>(), 0..12), 1 => Just(vec![b'x'; 5000])];
    let step = prop_oneof![
        8 => (0..9_usize).prop_map(Step::Read),
        4 => (offset.clone(), 0..9_usize).prop_map(|(offset, len)| Step::Pread(offset, len)),
        4 => data.clone().prop_map(Step::Write),
        4 => (offset.clone(), data).prop_map(|(offset, data)| Step::Pwrite(offset, data)),
        2 => offset.prop_map(|offset| Step::Seek(SeekFrom::Start(offset))),
        2 => (-9..9_i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
        4 => "[a-z]{0,12}".prop_map(Step::Says),
        1 => Just(Step::Unplug),
    ];
    proptest::collection::vec(step, 0..40)
}

/// What an operation has returned, and has put into the buffer.
type Told = (Result<u64>, Vec<u8>);

macro_rules! operate {
    ($file:expr, $device:expr, $step:expr) => {{
        let mut buf = vec![0; 9];
        let told = match $step {
            Step::Read(len) => $file.read($device, &mut buf[..*len]).map(|count| count as u64),
            Step::Pread(offset, len) => $file.pread($device, *offset, &mut buf[..*len]).map(|count| count as u64),
            Step::Write(data) => $file.write($device, data).map(|count| count as u64),
            Step::Pwrite(offset, data) => $file.pwrite($device, *offset, data).map(|count| count as u64),
            Step::Seek(to) => $file.seek($device, *to),
            Step::Says(text) => Ok($device.says(text)).map(|()| 0),
            Step::Unplug => Ok($device.unplug()).map(|()| 0),
        };
        (told, buf)
    }};
}

fn shared(file: &OpenFile, device: &Device, step: &Step) -> Told {
    operate!(file, device, step)
}

fn sole(file: &mut OpenFile, device: &Device, step: &Step) -> Told {
    operate!(file.sole(), device, step)
}

#[test]
fn an_operation_of_the_other_access_is_ebadf_without_the_lock_too() {
    let device = Device::text("on").unwrap();
    let mut reader = device.open(Access::READ).unwrap();
    assert_eq!(reader.sole().write(&device, b"1"), Err(Errno::EBADF));
    assert_eq!(reader.sole().pwrite(&device, 0, b"1"), Err(Errno::EBADF));
    let mut writer = device.open(Access::WRITE).unwrap();
    assert_eq!(writer.sole().read(&device, &mut [0]), Err(Errno::EBADF));
    assert_eq!(writer.sole().pread(&device, 0, &mut [0]), Err(Errno::EBADF));
    assert_eq!((device.shows(), device.stored().len()), (0, 0));
}

proptest! {
    /// Whatever is done with a file, it makes no difference whether that takes the lock.
    #[test]
    fn the_lock_makes_no_difference(steps in steps(), is_binary: bool) {
        let device = || if is_binary { Device::binary(*b"01234567") } else { Device::text("abcdef") };
        let [one, other] = [device().unwrap(), device().unwrap()];
        let both = Access::READ | Access::WRITE;
        let (file, mut own) = (one.open(both).unwrap(), other.open(both).unwrap());
        for (index, step) in steps.iter().enumerate() {
            // Both on one file, in turns.
            let told = if index % 3 == 0 { shared(&own, &other, step) } else { sole(&mut own, &other, step) };
            prop_assert_eq!(shared(&file, &one, step), told, "{:?}", step);
            prop_assert_eq!(file.seen(), own.seen());
        }
        prop_assert_eq!((one.shows(), one.stored()), (other.shows(), other.stored()));
    }
}
