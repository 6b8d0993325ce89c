use enodev_attrs::{Attribute, Errno, Mode, Page, Result};

use crate::context::Context;
use crate::device_type::Sharing;
use crate::payload::PayloadRef;

/// What the store keeps of an attribute.
#[derive(Debug)]
pub(crate) struct AttrMeta {
    pub(crate) mode: Mode,
    pub(crate) size: u64,
    pub(crate) is_binary: bool,
    pub(crate) has_read: bool,
    pub(crate) has_write: bool,
}

impl AttrMeta {
    pub(crate) fn of<O: Sharing>(attribute: &Attribute<O>) -> Self {
        Self {
            mode: attribute.mode(),
            size: attribute.size(),
            is_binary: attribute.is_binary(),
            has_read: attribute.has_read(),
            has_write: attribute.has_write(),
        }
    }
}

/// An attribute whose type of owner is not known. `EINVAL` where the owner is of another type.
pub(crate) trait AnyAttribute: Send + Sync {
    fn show(&self, owner: Context<'_, PayloadRef<'_>>, page: &mut Page) -> Result;
    fn store(&self, owner: Context<'_, PayloadRef<'_>>, data: &[u8]) -> Result;
    fn read_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, buf: &mut [u8]) -> Result<usize>;
    fn write_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, data: &[u8]) -> Result<usize>;
}

impl<O: Sharing> AnyAttribute for Attribute<O> {
    fn show(&self, owner: Context<'_, PayloadRef<'_>>, page: &mut Page) -> Result {
        Attribute::show(self, lend::<O>(owner)?, page)
    }

    fn store(&self, owner: Context<'_, PayloadRef<'_>>, data: &[u8]) -> Result {
        Attribute::store(self, lend::<O>(owner)?, data)
    }

    fn read_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, buf: &mut [u8]) -> Result<usize> {
        Attribute::read_at(self, lend::<O>(owner)?, offset, buf)
    }

    fn write_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, data: &[u8]) -> Result<usize> {
        Attribute::write_at(self, lend::<O>(owner)?, offset, data)
    }
}

fn lend<'a, O: Sharing>(owner: Context<'a, PayloadRef<'a>>) -> Result<O::Ref<'a>> {
    O::lend(owner).ok_or(Errno::EINVAL)
}
