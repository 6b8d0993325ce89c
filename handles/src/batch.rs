//! A list of objects of one arena, most often of one object: that one needs no memory.

use crate::version::Version;

#[derive(Debug, Default)]
pub(crate) struct Batch {
    first: Option<(u32, Version)>,
    rest: Vec<(u32, Version)>,
}

impl Batch {
    pub(crate) const fn one(object: (u32, Version)) -> Self {
        Self { first: Some(object), rest: Vec::new() }
    }

    pub(crate) fn push(&mut self, object: (u32, Version)) {
        if self.first.is_none() { self.first = Some(object) } else { self.rest.push(object) }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn get(&self, at: usize) -> Option<(u32, Version)> {
        if at == 0 { self.first } else { self.rest.get(at - 1).copied() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Version)> {
        self.first.iter().chain(&self.rest).copied()
    }
}

impl Extend<(u32, Version)> for Batch {
    fn extend<I: IntoIterator<Item = (u32, Version)>>(&mut self, objects: I) {
        objects.into_iter().for_each(|object| self.push(object));
    }
}
