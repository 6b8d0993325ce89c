//! What the worlds share.

use crate::names::Names;
use crate::pool::Pool;
use crate::refs::Refs;

#[derive(Debug, Default)]
pub(crate) struct Common {
    pub(crate) pool: Pool,
    pub(crate) refs: Refs,
    pub(crate) names: Names,
}
