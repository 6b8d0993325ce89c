//! What enodev is measured against, and the measuring.
//!
//! - [`baseline`]: a device store made of `Arc`, `Weak` and one `RwLock`, with the operations of
//!   enodev's store. It is what a careful programmer writes without enodev, as fast as that gets.
//! - [`bus`]: the address buses of two virtual machine monitors, in their shapes.
//! - [`contest`]: the seam through which a benchmark drives any store, and the threads that do it.
//! - `compare`, with the feature `peers`: enodev beside its peers, the program of that name.
//!
//! ```
//! use enodev_bench::baseline::{ArcStore, Attribute, Attributes, Error};
//!
//! let table = Attributes::new(vec![Attribute::ro("size", |size: &u64, page| {
//!     page.extend_from_slice(size.to_string().as_bytes());
//!     Ok(())
//! })])?;
//! let store = ArcStore::new();
//! store.register("/", "disk0", 2048, &table)?;
//!
//! let file = store.open("/disk0", "size")?;
//! let mut bytes = [0; 16];
//! assert_eq!(file.read(&mut bytes)?, 4);
//! assert_eq!(&bytes[..4], b"2048");
//!
//! store.unregister("/disk0")?;
//! assert_eq!(file.read(&mut bytes), Err(Error::Gone));
//! # Ok::<(), Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod baseline;
pub mod bus;
#[cfg(feature = "peers")]
pub mod compare;
pub mod contest;
