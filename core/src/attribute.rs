use std::any::Any;
use std::sync::Arc;

use enodev_attrs::{Attribute, Errno, Mode, Name, Page, Result};
use enodev_handles::Label;

use crate::context::Context;
use crate::device_type::Lending;
use crate::handle::{GroupHandle, TypeHandle};
use crate::payload::PayloadRef;
use crate::plain::AnyPlain;

/// What the store keeps of an attribute.
#[derive(Debug)]
pub(crate) struct AttrMeta {
    pub(crate) name: Name,
    pub(crate) group: GroupHandle,
    pub(crate) label: Label,
    /// That of its definition; an object may show it with another.
    pub(crate) mode: Mode,
    pub(crate) size: u64,
    pub(crate) is_binary: bool,
    pub(crate) has_read: bool,
    pub(crate) has_write: bool,
}

impl AttrMeta {
    pub(crate) fn of<O: Lending>(attribute: &Attribute<O>, group: GroupHandle, label: Label) -> Self {
        Self {
            name: attribute.name().clone(),
            group,
            label,
            mode: attribute.mode(),
            size: attribute.size(),
            is_binary: attribute.is_binary(),
            has_read: attribute.has_read(),
            has_write: attribute.has_write(),
        }
    }
}

/// What the driver gave of an attribute.
pub(crate) struct AttrCode {
    /// The type all of whose objects have it, or the store's type of no object.
    pub(crate) ty: TypeHandle,
    pub(crate) group: GroupHandle,
    /// Under which objects are entered for it: who takes it away from one object waits for those.
    pub(crate) label: Label,
    /// Whether it needs an exclusive payload's lock.
    pub(crate) locks: bool,
    pub(crate) code: Box<dyn AnyAttribute>,
    /// Where the store keeps its values, if it does.
    pub(crate) plain: Option<Arc<dyn AnyPlain>>,
}

/// An attribute whose type of owner is not known. `EINVAL` where the owner is of another type.
pub(crate) trait AnyAttribute: Any + Send + Sync {
    fn show(&self, owner: Context<'_, PayloadRef<'_>>, page: &mut Page) -> Result;
    fn store(&self, owner: Context<'_, PayloadRef<'_>>, data: &[u8]) -> Result;
    fn read_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, buf: &mut [u8]) -> Result<usize>;
    fn write_at(&self, owner: Context<'_, PayloadRef<'_>>, offset: u64, data: &[u8]) -> Result<usize>;
    fn panics(&self) -> u64;
    fn as_any(&self) -> &dyn Any;
}

impl<O: Lending> AnyAttribute for Attribute<O> {
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

    fn panics(&self) -> u64 {
        Attribute::panics(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(crate) fn lend<'a, O: Lending>(owner: Context<'a, PayloadRef<'a>>) -> Result<O::Ref<'a>> {
    O::lend(owner).ok_or(Errno::EINVAL)
}
