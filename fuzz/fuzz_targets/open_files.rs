//! Open files in a store that changes, against a model. See `enodev_fuzz::files`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    enodev_fuzz::files::run(bytes);
});
