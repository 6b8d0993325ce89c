//! Handles of all sorts, good and bad, against a model. See `enodev_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    enodev_fuzz::run(bytes);
});
