//! Which types may be sent to other threads and shared by them. Those of guards are in the tests of `handles`.

use enodev::{
    Changed, DeviceHandle, DeviceType, Entry, Error, Event, Exclusive, File, Group, PlainAttr, Removal, Shared, Sole,
    Store, Type,
};

const fn goes_anywhere<T: Send + Sync>() {}
const fn refers_to_nothing<T: 'static>() {}

/// Payloads that are bound to one thread at a time do not bind what is said of them.
type Local = std::cell::Cell<u8>;

const _: () = {
    goes_anywhere::<Store>();
    goes_anywhere::<DeviceType<Shared<u8>>>();
    goes_anywhere::<DeviceType<Exclusive<Local>>>();
    goes_anywhere::<Group<Exclusive<Local>>>();
    goes_anywhere::<Type<Exclusive<Local>>>();
    goes_anywhere::<DeviceHandle>();
    goes_anywhere::<PlainAttr<u8>>();
    goes_anywhere::<(Entry, Error, Event, Removal)>();
    goes_anywhere::<File>();
    refers_to_nothing::<File>();
    goes_anywhere::<Sole<'_>>();
    goes_anywhere::<Changed<'_>>();
};
