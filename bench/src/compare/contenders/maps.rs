//! Concurrent hash maps from an object's number to the object.

use dashmap::DashMap;

use crate::compare::churn::{Churn, filled};
use crate::compare::get::Get;
use crate::compare::object::payloads;
use crate::compare::{Payload, Result};

/// `papaya`, with a pin for each get.
pub(crate) struct Papaya(papaya::HashMap<u64, Payload>);

impl Get for Papaya {
    type Handle = u64;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        let map = papaya::HashMap::with_capacity(objects);
        for payload in payloads(objects) {
            map.pin().insert(payload.number(), payload);
        }
        Ok((Self(map), (0..objects as u64).collect()))
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), number: &u64) -> u64 {
        self.0.pin().get(number).map_or(0, Payload::word)
    }
}

/// `dashmap`, whose guards lock a shard.
pub(crate) struct Dashmap(DashMap<u64, Payload>);

impl Churn for Dashmap {
    type Handle = u64;

    fn empty(objects: usize) -> Result<Self> {
        Ok(Self(DashMap::with_capacity(objects)))
    }

    #[inline]
    fn insert(&self, payload: Payload) -> Option<u64> {
        let number = payload.number();
        self.0.insert(number, payload).is_none().then_some(number)
    }

    #[inline]
    fn remove(&self, number: u64) -> bool {
        self.0.remove(&number).is_some()
    }
}

impl Get for Dashmap {
    type Handle = u64;
    type Thread<'a> = ();

    fn build(objects: usize) -> Result<(Self, Vec<u64>)> {
        filled(objects)
    }

    fn thread(&self) {}

    #[inline]
    fn get(&self, (): &mut (), number: &u64) -> u64 {
        self.0.get(number).map_or(0, |payload| payload.word())
    }
}
