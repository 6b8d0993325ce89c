use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::Content;
use crate::storm::stamp::Stamped;

const PLACE: usize = 7;

/// What a reader counts for the answers of these payloads, one after the other, through one handle.
fn judged(payloads: &[&Stamped], expect: Result<&[u8], Errno>) -> Seen {
    let place = Place { dir: PLACE, attribute: 0, binary: false, expect: expect.map(Arc::from) };
    let (mut seen, mut incarnation) = (Seen::default(), None);
    for payload in payloads {
        take_stamp();
        judge(&place, &mut incarnation, payload.answer(0), &mut seen);
    }
    seen
}

fn payload(text: &[u8], dir: usize, incarnation: u64) -> Stamped {
    let contents = [Content::Bytes(text.into())].into_iter().collect();
    Stamped::new(&contents, dir, incarnation, &Arc::<AtomicUsize>::default())
}

#[test]
fn the_right_text_of_the_right_incarnation_is_ok() {
    let one = payload(b"x", PLACE, 3);
    let seen = judged(&[&one, &one], Ok(b"x"));
    assert_eq!((seen.ok, seen.reads()), (2, 2));
}

/// S3-1: an answer of the next incarnation through an old handle does not pass as right, though its text is the same.
#[test]
fn another_incarnation_behind_one_handle_is_wrong() {
    let seen = judged(&[&payload(b"x", PLACE, 3), &payload(b"x", PLACE, 4)], Ok(b"x"));
    assert_eq!((seen.ok, seen.wrong), (1, 1));
}

#[test]
fn another_directory_is_wrong_whatever_it_answers() {
    assert_eq!(judged(&[&payload(b"x", PLACE + 1, 3)], Ok(b"x")).wrong, 1);
    let other = Stamped::new(&[].into_iter().collect(), PLACE + 1, 3, &Arc::default());
    assert_eq!(judged(&[&other], Ok(b"x")).wrong, 1);
}

#[test]
fn a_payload_that_has_been_dropped_is_wrong() {
    let mut dropped = payload(b"x", PLACE, 3);
    dropped.poison();
    assert_eq!(judged(&[&dropped], Ok(b"x")).wrong, 1);
}

#[test]
fn another_text_or_error_is_unexpected() {
    assert_eq!(judged(&[&payload(b"y", PLACE, 3)], Ok(b"x")).unexpected, 1);
    assert_eq!(judged(&[&payload(b"y", PLACE, 3)], Err(Errno::EIO)).unexpected, 1);
}

#[test]
fn enodev_counts_as_gone_only_where_no_payload_said_it() {
    let place = Place { dir: PLACE, attribute: 0, binary: false, expect: Ok(b"x".as_slice().into()) };
    let mut seen = Seen::default();
    take_stamp();
    judge(&place, &mut None, Err(Errno::ENODEV), &mut seen);
    assert_eq!(seen.enodev, 1);

    let contents = [Content::Errno(Errno::ENODEV.raw())].into_iter().collect();
    let payload = Stamped::new(&contents, PLACE, 0, &Arc::default());
    assert_eq!(judged(&[&payload], Ok(b"x")).unexpected, 1);
    assert_eq!(judged(&[&payload], Err(Errno::ENODEV)).imported_errno, 1);
}
