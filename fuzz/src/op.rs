/// One operation, in one of the two worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// In the second world, or else in the first.
    pub second: bool,
    /// What is done.
    pub action: Action,
}

/// What an operation does.
///
/// The numbers choose among what there is at that moment: `handle` and `victim` a handle of the pool (even numbers one that is
/// alive, if there is any); the others one of the things held, counted round. Where nothing is held that could be chosen,
/// nothing happens, unless the variant says what does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Adds an object; unless `victim` is below 128, its payload's `Drop` removes that one, of either world.
    Insert {
        /// What the payload removes as it is dropped.
        victim: u8,
    },
    /// Adds several objects.
    InsertMany {
        /// How many.
        count: u8,
    },
    /// Adds an object and removes it, several times.
    Churn {
        /// How often.
        count: u8,
    },
    /// Takes slots and gives them back, one after the other: wears them out.
    Wear {
        /// How many, in eights.
        count: u8,
    },
    /// Takes a slot.
    Reserve,
    /// Makes the object of a reservation.
    Publish {
        /// Which reservation.
        reservation: u8,
        /// As in `Insert`.
        victim: u8,
    },
    /// Drops a reservation.
    Cancel {
        /// Which one.
        reservation: u8,
    },
    /// Forgets a reservation.
    ForgetReservation {
        /// Which one.
        reservation: u8,
    },
    /// Removes an object.
    Remove {
        /// Which one.
        handle: u8,
    },
    /// Removes several objects in one batch.
    RemoveMany {
        /// How many.
        count: u8,
        /// So many payloads are taken, the others dropped.
        take: u8,
    },
    /// Marks an object in an open batch; opens one if there is none.
    Mark {
        /// Which batch.
        batch: u8,
        /// Which object.
        handle: u8,
    },
    /// Opens another batch.
    Begin,
    /// Drains a batch.
    Drain {
        /// Which one.
        batch: u8,
        /// Odd: with a deadline.
        by_deadline: u8,
    },
    /// Gives up a batch that was not drained.
    Abandon {
        /// Which one.
        batch: u8,
    },
    /// Has a batch finished as the thread leaves the last of its objects; at once if it is in none.
    Defer {
        /// Which one.
        batch: u8,
        /// So many payloads are taken then, the others dropped.
        take: u8,
    },
    /// Asks who is in the way of a batch.
    Blockers {
        /// Which one.
        batch: u8,
    },
    /// Finishes what was given up and has nobody in its way.
    Reap,
    /// Takes over all that was given up; what is not finished or kept is given up again.
    GivenUp {
        /// Which batch is not simply given up again.
        batch: u8,
        /// It is given up all the same, drained by a deadline, or kept open.
        how: u8,
    },
    /// Takes a payload of a drained batch.
    Take {
        /// Which batch.
        batch: u8,
    },
    /// Drops the payloads that are left in a drained batch.
    DropPayloads {
        /// Which batch.
        batch: u8,
    },
    /// Drops a drained batch.
    Finish {
        /// Which one.
        batch: u8,
    },
    /// Drops a drained batch while its store parts are being read.
    FinishPinned {
        /// Which one.
        batch: u8,
    },
    /// Enters an object and stays.
    Enter {
        /// Which one.
        handle: u8,
        /// Odd: the guard is then mapped to a part.
        part: u8,
    },
    /// Enters an object several times and stays.
    EnterMany {
        /// Which one.
        handle: u8,
        /// How often.
        count: u8,
    },
    /// Enters an object, says what for, and stays.
    EnterLabelled {
        /// Which one.
        handle: u8,
        /// What for.
        label: u8,
    },
    /// Enters three objects at once, or none, and stays.
    EnterAll {
        /// One of them.
        first: u8,
        /// Another; the third is between the two.
        second: u8,
    },
    /// Enters an object with an owned reference, which may outlive the world.
    EnterOwned {
        /// Which one.
        handle: u8,
        /// What for.
        label: u8,
    },
    /// Drops an owned reference, of either world or of one that has ended.
    LeaveOwned {
        /// Which one.
        reference: u8,
    },
    /// Opens a session.
    Session,
    /// Visits an object in a session; opens one if there is none.
    Visit {
        /// Which session.
        session: u8,
        /// Which object.
        handle: u8,
        /// Odd: the visit is forgotten, and lasts until the session's next.
        how: u8,
    },
    /// Ends a session.
    EndSession {
        /// Which one.
        session: u8,
    },
    /// Enters an object, takes its lock and stays; what is asked for in a wrong way is refused.
    Lock {
        /// Which one.
        handle: u8,
        /// By trying, by waiting outside, or wrongly: with a lock that is not held, or with another one.
        how: u8,
    },
    /// Drops a guard.
    Leave {
        /// Which one.
        guard: u8,
    },
    /// Drops several guards.
    LeaveMany {
        /// How many.
        count: u8,
        /// The first one.
        guard: u8,
    },
    /// Forgets a guard.
    Forget {
        /// Which one.
        guard: u8,
    },
    /// Pins the thread and stays pinned.
    Pin,
    /// Reads a store part; pins for the time if nothing is pinned.
    Get {
        /// Which pin.
        pin: u8,
        /// Which object.
        handle: u8,
    },
    /// Reads all store parts; pins for the time if nothing is pinned.
    Iterate {
        /// Which pin.
        pin: u8,
    },
    /// Pins anew, until all is reclaimed that this pin was in the way of.
    Repin {
        /// Which pin.
        pin: u8,
    },
    /// Drops a pin.
    Unpin {
        /// Which one.
        pin: u8,
    },
    /// Drops all pins.
    UnpinAll,
    /// Tries all look-ups.
    LookUp {
        /// Which object.
        handle: u8,
    },
    /// Waits until an object has left.
    Join {
        /// Which one.
        handle: u8,
    },
    /// Reclaims what can be reclaimed.
    Flush,
    /// Reclaims what the collector has, and asks who holds it up.
    Collect,
    /// Puts a forged handle into the pool.
    Forge {
        /// The handle that is forged.
        handle: u8,
        /// What is changed.
        how: u8,
        /// By how much.
        by: u8,
    },
    /// Ends the world and begins another. The end of the first is the end of the second too.
    Reset {
        /// In which order things are dropped, and whether the garbage is reclaimed first.
        how: u8,
    },
}

impl Op {
    /// The operation of four bytes. All bytes mean something; what occurs often has more codes.
    pub fn decode([code, a, b, c]: [u8; 4]) -> Self {
        let action = match code & 0x7f {
            0..=10 => Action::Insert { victim: a },
            11..=12 => Action::InsertMany { count: a },
            13 => Action::Churn { count: a },
            14..=16 => Action::Wear { count: a },
            17..=18 => Action::Reserve,
            19..=20 => Action::Publish { reservation: a, victim: b },
            21 => Action::Cancel { reservation: a },
            22 => Action::ForgetReservation { reservation: a },
            23..=30 => Action::Remove { handle: a },
            31..=32 => Action::RemoveMany { count: a, take: b },
            33..=41 => Action::Mark { batch: a, handle: b },
            42..=43 => Action::Begin,
            44..=48 => Action::Drain { batch: a, by_deadline: b },
            49..=50 => Action::Abandon { batch: a },
            51..=54 => Action::Defer { batch: a, take: b },
            55 => Action::Blockers { batch: a },
            56 => Action::Reap,
            57..=58 => Action::GivenUp { batch: a, how: b },
            59..=60 => Action::Take { batch: a },
            61 => Action::DropPayloads { batch: a },
            62..=63 => Action::Finish { batch: a },
            64..=66 => Action::FinishPinned { batch: a },
            67..=73 => Action::Enter { handle: a, part: b },
            74 => Action::EnterMany { handle: a, count: b },
            75..=76 => Action::EnterLabelled { handle: a, label: b },
            77..=78 => Action::EnterAll { first: a, second: b },
            79..=81 => Action::EnterOwned { handle: a, label: b },
            82..=84 => Action::LeaveOwned { reference: a },
            85 => Action::Session,
            86..=88 => Action::Visit { session: a, handle: b, how: c },
            89 => Action::EndSession { session: a },
            90..=91 => Action::Lock { handle: a, how: b },
            92..=98 => Action::Leave { guard: a },
            99..=100 => Action::LeaveMany { count: a, guard: b },
            101 => Action::Forget { guard: a },
            102..=103 => Action::Pin,
            104..=107 => Action::Get { pin: a, handle: b },
            108 => Action::Iterate { pin: a },
            109 => Action::Repin { pin: a },
            110..=112 => Action::Unpin { pin: a },
            113..=115 => Action::UnpinAll,
            116..=118 => Action::LookUp { handle: a },
            119..=120 => Action::Join { handle: a },
            121 => Action::Flush,
            122 => Action::Collect,
            123..=125 => Action::Forge { handle: a, how: b, by: c },
            _ => Action::Reset { how: a },
        };
        Self { second: code & 0x80 != 0, action }
    }

    /// Four bytes that mean the operation.
    pub fn encode(self) -> Option<[u8; 4]> {
        let side = if self.second { 0x80 } else { 0 };
        let same = |op: &Self| std::mem::discriminant(&op.action) == std::mem::discriminant(&self.action);
        let code = (0..0x80).find(|code| same(&Self::decode([*code, 0, 0, 0])))?;
        // Few operations say anything with the last number, so the first ones change the most often.
        (0..1 << 24)
            .map(u32::to_le_bytes)
            .map(|[a, b, c, _]| [code | side, a, b, c])
            .find(|op| Self::decode(*op) == self)
    }
}
