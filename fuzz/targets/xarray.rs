//! The array, against a `BTreeMap`.
#![no_main]

#[path = "../../crates/xarray/src/tests/oracle/map.rs"]
mod map;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    map::play(bytes);
});
