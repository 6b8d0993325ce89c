//! The kinds of objects in a store, and their handles.

use enodev_handles::Handle;

/// The kinds themselves. Nobody makes a value of one: they tell handle types apart.
pub mod kind {
    use enodev_handles::Kind;

    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident)*) => {$(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}

            impl Kind for $name {
                const NAME: &'static str = stringify!($name);
            }
        )*};
    }

    kinds! {
        /// An object in the tree: a directory with attributes, links and children.
        Kobject
        /// A kobject that is a device.
        Device
        /// What devices of one type have in common.
        Type
        /// An attribute of a group.
        Attr
        /// Attributes that objects get and lose together.
        Group
        /// Where devices and drivers meet.
        Bus
        /// Code that serves devices of a bus.
        Driver
        /// One device's being served by one driver.
        Binding
        /// Devices that do the same thing, whatever they hang on.
        Class
        /// One who is told what becomes of devices.
        Observer
        /// An address space.
        Space
    }
}

/// Names an object in the tree.
pub type KobjectHandle = Handle<kind::Kobject>;
/// Names a device. Its bits are those of its kobject's handle.
pub type DeviceHandle = Handle<kind::Device>;
/// Names a type.
pub type TypeHandle = Handle<kind::Type>;
/// Names an attribute as it was defined. On an object it is addressed as (object, attribute).
pub type AttrHandle = Handle<kind::Attr>;
/// Names a group of attributes as it was defined. On an object it is addressed as (object, group).
pub type GroupHandle = Handle<kind::Group>;
/// Names a bus.
pub type BusHandle = Handle<kind::Bus>;
/// Names a driver.
pub type DriverHandle = Handle<kind::Driver>;
/// Names a device's being bound to a driver: each time it is bound is another one.
pub(crate) type BindingHandle = Handle<kind::Binding>;
/// Names a class.
pub type ClassHandle = Handle<kind::Class>;
/// Names an observer.
pub type ObserverHandle = Handle<kind::Observer>;
/// Names an address space.
pub type SpaceHandle = Handle<kind::Space>;

/// A handle of something that has a place in the tree.
pub trait AsKobject: Copy {
    /// The handle of its kobject.
    fn kobject(self) -> KobjectHandle;
}

impl AsKobject for KobjectHandle {
    #[inline]
    fn kobject(self) -> KobjectHandle {
        self
    }
}

impl AsKobject for DeviceHandle {
    #[inline]
    fn kobject(self) -> KobjectHandle {
        self.cast()
    }
}

pub(crate) fn device(kobject: KobjectHandle) -> DeviceHandle {
    kobject.cast()
}
