use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::Content;
use crate::storm::stamp::Stamped;

const PLACE: usize = 7;

fn place(expect: Result<&[u8], Errno>) -> Place {
    Place { dir: PLACE, attribute: 0, unit: 0, binary: false, expect: expect.map(Arc::from) }
}

/// What is said of the answers of these payloads, one after the other, through one handle that was opened while nobody knew
/// which incarnation is in.
fn judged(payloads: &[&Stamped], expect: Result<&[u8], Errno>) -> Vec<Verdict> {
    let (place, mut incarnation) = (place(expect), None);
    let before = Eras::new(1).of(0);
    let answer = |payload: &&Stamped| {
        take_stamp();
        judge(&place, &mut incarnation, payload.answer(0), before, || before)
    };
    payloads.iter().map(answer).collect()
}

fn payload_of(content: Content, dir: usize, incarnation: u64) -> Stamped {
    Stamped::new(&[content].into_iter().collect(), dir, incarnation, &Arc::<AtomicUsize>::default())
}

fn payload(text: &[u8], dir: usize, incarnation: u64) -> Stamped {
    payload_of(Content::Bytes(text.into()), dir, incarnation)
}

#[test]
fn the_right_text_of_the_right_incarnation_is_right() {
    let one = payload(b"x", PLACE, 3);
    assert_eq!(judged(&[&one, &one], Ok(b"x")), [Verdict::Right, Verdict::Right]);
}

/// S3-1: an answer of the next incarnation through an old handle does not pass as right, though its text is the same.
#[test]
fn another_incarnation_behind_one_handle_is_wrong() {
    let seen = judged(&[&payload(b"x", PLACE, 3), &payload(b"x", PLACE, 4)], Ok(b"x"));
    assert_eq!(seen, [Verdict::Right, Verdict::Wrong]);
}

/// Nor does it pass where it is the first that the handle ever gives.
#[test]
fn another_incarnation_than_was_opened_is_wrong_at_once() {
    let (eras, next) = (Eras::new(1), payload(b"x", PLACE, 1));
    let mut opened = eras.of(0).incarnation();
    assert_eq!(opened, Some(0));
    let before = eras.of(0);
    take_stamp();
    let verdict = judge(&place(Ok(b"x")), &mut opened, next.answer(0), before, || before);
    assert_eq!(verdict, Verdict::Wrong);
}

#[test]
fn another_directory_is_wrong_whatever_it_answers() {
    assert_eq!(judged(&[&payload(b"x", PLACE + 1, 3)], Ok(b"x")), [Verdict::Wrong]);
    let other = Stamped::new(&[].into_iter().collect(), PLACE + 1, 3, &Arc::default());
    assert_eq!(judged(&[&other], Ok(b"x")), [Verdict::Wrong]);
}

#[test]
fn a_payload_that_has_been_dropped_is_wrong() {
    let mut dropped = payload(b"x", PLACE, 3);
    dropped.poison();
    assert_eq!(judged(&[&dropped], Ok(b"x")), [Verdict::Wrong]);
}

/// An answer of a payload whose removal had returned before it was asked is told from one that was under way.
#[test]
fn an_answer_that_was_asked_for_after_the_removal_is_late() {
    let (eras, one, place) = (Eras::new(1), payload(b"x", PLACE, 0), place(Ok(b"x")));
    let answer = |before: Era| {
        take_stamp();
        judge(&place, &mut Some(0), one.answer(0), before, || before)
    };
    assert_eq!(answer(eras.of(0)), Verdict::Right);
    assert_eq!(answer(eras.advance(0)), Verdict::Right);
    assert_eq!(answer(eras.advance(0)), Verdict::Late);
    assert_eq!(answer(eras.advance(0)), Verdict::Late);
}

#[test]
fn another_text_or_error_is_unexpected() {
    assert_eq!(judged(&[&payload(b"y", PLACE, 3)], Ok(b"x")), [Verdict::Unexpected]);
    assert_eq!(judged(&[&payload(b"y", PLACE, 3)], Err(Errno::EIO)), [Verdict::Unexpected]);
}

/// E-14: ENODEV of the store and ENODEV of a driver are told apart.
#[test]
fn enodev_counts_as_gone_only_where_no_payload_said_it() {
    let before = Eras::new(1).of(0);
    take_stamp();
    let verdict = judge(&place(Ok(b"x")), &mut None, Err(Errno::ENODEV), before, || before);
    assert_eq!(verdict, Verdict::Gone);

    let payload = payload_of(Content::Errno(Errno::ENODEV.raw()), PLACE, 0);
    assert_eq!(judged(&[&payload], Ok(b"x")), [Verdict::Unexpected]);
    assert_eq!(judged(&[&payload], Err(Errno::ENODEV)), [Verdict::ImportedErrno]);
}

#[test]
fn enodev_of_what_was_there_all_the_time_is_unexpected() {
    let (eras, place) = (Eras::new(1), place(Ok(b"x")));
    let before = eras.of(0);
    let answer = |after: Era| {
        take_stamp();
        judge(&place, &mut Some(0), Err(Errno::ENODEV), before, || after)
    };
    assert_eq!(answer(eras.of(0)), Verdict::Unexpected);
    for _ in ["leaving", "out", "in again"] {
        assert_eq!(answer(eras.advance(0)), Verdict::Gone);
    }
}

#[test]
fn another_error_of_the_store_is_unexpected() {
    let before = Eras::new(1).of(0);
    take_stamp();
    let verdict = judge(&place(Err(Errno::EIO)), &mut None, Err(Errno::EIO), before, || before);
    assert_eq!(verdict, Verdict::Unexpected);
}
