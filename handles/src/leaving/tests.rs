//! The notes of departures. A slot may be used again before the note of its former object is taken away.

use super::*;

const INDEX: u32 = 7;

fn incarnations() -> [Version; 2] {
    [Version::live(1, 4), Version::live(1, 5)]
}

/// The notes of an arena in which the second incarnation of a slot leaves, while the note of the first is still to be taken
/// away.
fn second_leaves() -> Departures {
    let departures = Departures::default();
    for version in incarnations() {
        departures.begin(INDEX, version, || true).unwrap();
    }
    departures
}

/// What a second remover is told.
fn answer(departures: &Departures, version: Version) -> RemoveError {
    departures.begin(INDEX, version, || false).unwrap_err()
}

/// E-6: the late end of one removal does not take the note of the next one away, for which others wait.
#[test]
fn the_end_of_one_incarnation_leaves_the_note_of_the_next() {
    let [first, second] = incarnations();
    let departures = second_leaves();
    assert_eq!(answer(&departures, first), RemoveError::Stale(Stale));
    departures.end(&[(INDEX, first)]);
    assert_eq!(answer(&departures, second), RemoveError::Leaving);
    assert_eq!(departures.join(INDEX, second), Err(RemoveError::Leaving), "the caller removes it");
    assert_eq!(departures.join(INDEX, first), Ok(()));
    departures.end(&[(INDEX, second)]);
    assert_eq!(answer(&departures, second), RemoveError::Stale(Stale));
    assert_eq!(departures.join(INDEX, second), Ok(()));
}

#[test]
fn giving_one_incarnation_up_does_not_give_the_next_up() {
    let [first, second] = incarnations();
    let departures = second_leaves();
    departures.abandon(&[(INDEX, first)]);
    assert_eq!(departures.abandoned(), []);
    departures.abandon(&[(INDEX, second)]);
    assert_eq!(departures.abandoned(), [(INDEX, second)]);
}

#[test]
fn who_goes_on_with_one_incarnation_is_not_taken_for_the_remover_of_the_next() {
    let [first, second] = incarnations();
    let departures = second_leaves();
    let may_join = |version| departures.may_join(INDEX, version);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            departures.adopt(&[(INDEX, first)]);
            may_join(second)
        });
        assert!(other.join().unwrap(), "another thread can wait");
    });
    assert!(!may_join(second), "the one that removes cannot");
    assert!(may_join(first), "this one has gone");
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            departures.adopt(&[(INDEX, second)]);
            may_join(second)
        });
        assert!(!other.join().unwrap());
    });
    assert!(may_join(second), "another goes on with it");
}
