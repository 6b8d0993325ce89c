//! Values that many have in common, each once.

/// So many are looked through for one that is alike: rather one more than a long look.
const TRIED: usize = 16;

/// Values that are used by number. A value that nobody uses any more makes room for another; until then it may be used again.
#[derive(Debug)]
pub(crate) struct Interned<T> {
    values: Vec<Value<T>>,
    /// Those that nobody uses, and some that are used again.
    free: Vec<u32>,
    /// The one that was asked for last.
    last: u32,
}

#[derive(Debug)]
struct Value<T> {
    value: T,
    users: u32,
    is_free: bool,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new(), last: 0 }
    }
}

impl<T> Interned<T> {
    /// Uses a value that is such, if one is at hand.
    pub(crate) fn find(&mut self, is_such: impl Fn(&T) -> bool) -> Option<u32> {
        let is_found = |value: &Value<T>| is_such(&value.value);
        let at = match self.values.get(self.last as usize) {
            Some(last) if is_found(last) => self.last,
            _ => self.values.iter().take(TRIED).position(is_found)? as u32,
        };
        self.last = at;
        self.values.get_mut(at as usize)?.users += 1;
        Some(at)
    }

    /// Uses a new value.
    pub(crate) fn add(&mut self, value: T) -> u32 {
        while let Some(at) = self.free.pop() {
            let Some(old) = self.values.get_mut(at as usize) else { continue };
            old.is_free = false;
            if old.users == 0 {
                *old = Value { value, users: 1, is_free: false };
                self.last = at;
                return at;
            }
        }
        self.values.push(Value { value, users: 1, is_free: false });
        self.last = self.values.len() as u32 - 1;
        self.last
    }

    /// A value, by who uses it.
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.values.get(at as usize).map(|value| &value.value)
    }

    /// Somebody uses a value no more.
    pub(crate) fn forget(&mut self, at: u32) {
        let Some(value) = self.values.get_mut(at as usize) else { return };
        value.users -= 1;
        if value.users == 0 && !value.is_free {
            value.is_free = true;
            self.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However values come and go: who uses one finds it as it was, no more are kept than were used at once, and none is there twice while
        /// few are.
        #[test]
        fn a_value_stays_for_as_long_as_it_is_used(steps in prop::collection::vec((0..40_u32, 0..3_u8), 0..400)) {
            let (mut interned, mut used, mut most) = (Interned::default(), VecDeque::new(), 0);
            for (value, goes) in steps {
                if goes == 0 {
                    used.pop_front().into_iter().for_each(|(at, _)| interned.forget(at));
                } else {
                    let at = interned.find(|other| *other == value).unwrap_or_else(|| interned.add(value));
                    used.push_back((at, value));
                }
                for (at, value) in &used {
                    prop_assert_eq!(interned.get(*at), Some(value));
                    // While there are few of them, all are tried.
                    let is_once = interned.values.len() > TRIED || used.iter().all(|(other, of)| other == at || of != value);
                    prop_assert!(is_once && used.iter().all(|(other, of)| other != at || of == value));
                }
                let distinct = used.iter().map(|(at, _)| at).collect::<std::collections::HashSet<_>>().len();
                most = most.max(distinct);
                prop_assert!(interned.values.len() <= most && interned.free.len() <= interned.values.len());
            }
        }
    }
}
