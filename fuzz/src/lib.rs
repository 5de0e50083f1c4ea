//! The rounds of the test `oracle`, for the fuzzer: the same code, with what it needs beside it.

#[path = "../../crates/refolio/tests/support/bytes.rs"]
mod bytes;
#[path = "../../crates/refolio/tests/support/rest.rs"]
mod rest;
#[path = "../../crates/refolio/tests/support/round/mod.rs"]
pub mod round;

/// The test counts what all rounds have done; libFuzzer's rounds are too many, and it sees what
/// they reach.
mod done {
    pub fn count(_: &refolio::Cache) {}
}

/// The test says what it was about when it hangs; libFuzzer keeps the input.
mod seed {
    pub fn about_to(_: impl FnOnce() -> String) {}
}
