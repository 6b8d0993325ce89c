//! What attributes say and take, against oracles. See `enodev_fuzz::text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    enodev_fuzz::text::run(bytes);
});
