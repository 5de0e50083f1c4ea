//! From a round that fails to the shortest one that still does.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

use crate::round::{Op, Setup, play};

/// Plays a round. If it fails, leaves operations out as long as it still does, and says what is
/// left; then it fails.
pub fn play_or_shrink(setup: &Setup, ops: &[Op]) {
    let Err(failure) = panic::catch_unwind(|| play(setup, ops)) else { return };
    if setup.background && std::env::var_os("REFOLIO_SHRINK").is_none() {
        panic::resume_unwind(failure);
    }
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|panic| {
        *PLACE.lock().unwrap() = panic.location().map(|at| at.to_string()).unwrap_or_default();
    }));
    let place = |ops: &[Op]| {
        let played = panic::catch_unwind(AssertUnwindSafe(|| play(setup, ops)));
        played.is_err().then(|| PLACE.lock().unwrap().clone())
    };
    let first = place(ops);
    // Another failure is another story.
    let fails = |ops: &[Op]| place(ops).is_some_and(|at| Some(at) == first);
    let mut ops = ops.to_vec();
    let mut size = ops.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + size).min(ops.len()));
            if fails(&fewer) {
                ops = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    panic::set_hook(hook);
    eprintln!("\nthe shortest round that fails:\n{setup:#?}");
    ops.iter().for_each(|op| eprintln!("{op:?},"));
    play(setup, &ops);
    panic::resume_unwind(failure);
}

/// Where the last panic came from.
static PLACE: Mutex<String> = Mutex::new(String::new());
