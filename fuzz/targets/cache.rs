//! The whole cache, against plain vectors of bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (setup, ops) = refolio_fuzz::round::of_cache(bytes);
    refolio_fuzz::round::play(&setup.quiet(), &ops);
});
