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
    /// Drops a batch that was not drained.
    Abandon {
        /// Which one.
        batch: u8,
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
            0..=11 => Action::Insert { victim: a },
            12..=14 => Action::InsertMany { count: a },
            15 => Action::Churn { count: a },
            16..=18 => Action::Reserve,
            19..=21 => Action::Publish { reservation: a, victim: b },
            22..=23 => Action::Cancel { reservation: a },
            24 => Action::ForgetReservation { reservation: a },
            25..=34 => Action::Remove { handle: a },
            35..=37 => Action::RemoveMany { count: a, take: b },
            38..=46 => Action::Mark { batch: a, handle: b },
            47..=48 => Action::Begin,
            49..=53 => Action::Drain { batch: a, by_deadline: b },
            54 => Action::Abandon { batch: a },
            55..=57 => Action::Take { batch: a },
            58 => Action::DropPayloads { batch: a },
            59..=61 => Action::Finish { batch: a },
            62..=63 => Action::FinishPinned { batch: a },
            64..=71 => Action::Enter { handle: a, part: b },
            72..=73 => Action::EnterMany { handle: a, count: b },
            74..=76 => Action::Lock { handle: a, how: b },
            77..=84 => Action::Leave { guard: a },
            85..=86 => Action::LeaveMany { count: a, guard: b },
            87 => Action::Forget { guard: a },
            88..=89 => Action::Pin,
            90..=94 => Action::Get { pin: a, handle: b },
            95..=96 => Action::Iterate { pin: a },
            97 => Action::Repin { pin: a },
            98..=101 => Action::Unpin { pin: a },
            102..=104 => Action::UnpinAll,
            105..=109 => Action::LookUp { handle: a },
            110..=112 => Action::Join { handle: a },
            113..=115 => Action::Flush,
            116..=124 => Action::Forge { handle: a, how: b, by: c },
            _ => Action::Reset { how: a },
        };
        Self { second: code & 0x80 != 0, action }
    }
}
