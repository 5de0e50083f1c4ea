//! A store that fails, at every moment at which it can.
//!
//! One script (reads, writes, extensions, reclaim under pressure, moves, holes, truncation, syncs)
//! is played once without failures, which counts the calls it makes of its store. Then it is played
//! again for every n: the n-th call fails, or all from the n-th on until the store heals, or the
//! n-th transfer is short. Each time:
//!
//! - what an operation answers is true: a read gives bytes that the file can have, and one that
//!   failed has left the file as its documentation says ([`play`], [`holds`]);
//! - what `sync` acknowledged is in the store then, and stays there;
//! - an operation fails only when the store has failed under it, and works when it is done again;
//! - every failure of a write is told once by `sync`, and no failure is told twice;
//! - nothing leaks: no frame, no reference, no mark.
//!
//! [`claims`] takes one claim at a time, and checks it to the page; [`waiters`] has those who wait
//! for a store; [`limit`] has a real file, and several handles.

mod claims;
mod holds;
mod limit;
mod play;
#[path = "../support/rest.rs"]
mod rest;
mod script;
mod waiters;

use refolio::PAGE_SIZE;
use refolio::testing::Call;

use play::{Finished, Play};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// How many of these calls the script makes when nothing fails.
fn calls(order: u32, kinds: &[Call]) -> u64 {
    let mut play = Play::new(order);
    let count = |play: &Play| kinds.iter().map(|call| play.store.calls(*call)).sum::<u64>();
    let opened = count(&play);
    play.script();
    let count = count(&play) - opened;
    assert_eq!(play.finish(), Finished::WELL);
    assert!(count > 0, "the script makes none of {kinds:?}");
    count
}

/// Plays the script for every n, with the calls that fail together: each kind, and all. `fail`
/// pulls the strings, and says afterwards whether it went as it must.
fn sweep(order: u32, fail: impl Fn(&mut Play, &[Call], u64), judge: impl Fn(&[Call], Finished)) {
    let kinds = Call::ALL.into_iter().filter(|call| *call != Call::Len);
    for kinds in kinds.clone().map(|call| vec![call]).chain([kinds.collect()]) {
        let count = calls(order, &kinds);
        for nth in 1..=count {
            let mut play = Play::new(order);
            play.name = format!("order {order}, {kinds:?} number {nth} of {count}");
            fail(&mut play, &kinds, nth);
            play.script();
            let name = play.name.clone();
            let finished = play.finish();
            assert!(finished.failures > 0, "{name}: it never failed");
            assert!(finished.failed > 0, "{name}: nobody was told");
            judge(&kinds, finished);
        }
        println!("order {order}: {kinds:?} failed at each of {count} calls");
    }
}

/// Either, in turn: what the store says makes no difference to what is done about it.
fn errno(nth: u64) -> i32 {
    if nth.is_multiple_of(2) { EIO } else { ENOSPC }
}

#[test]
fn what_failed_once_works_when_it_is_done_again() {
    for order in [0, 2] {
        let fail = |play: &mut Play, kinds: &[Call], nth| {
            play.again = true;
            play.store.fail_nth(kinds, nth, errno(nth));
        };
        sweep(order, fail, |_, _| {});
    }
}

#[test]
fn a_call_that_failed_once_is_told_once() {
    for order in [0, 2] {
        let fail = |play: &mut Play, kinds: &[Call], nth| {
            play.store.fail_nth(kinds, nth, errno(nth));
        };
        sweep(order, fail, |kinds, finished| match kinds {
            [Call::Write | Call::Sync] => assert_eq!(finished.failed_syncs, 1, "{kinds:?}"),
            [_] => assert_eq!((finished.failed, finished.failed_syncs), (1, 0), "{kinds:?}"),
            _ => {}
        });
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_store_fails_for_a_while() {
    for (order, patience) in [(0, 1), (0, 5), (0, u32::MAX), (2, u32::MAX)] {
        let fail = |play: &mut Play, kinds: &[Call], nth| {
            play.heal_after = patience;
            play.store.fail_from(kinds, nth, errno(nth));
        };
        sweep(order, fail, |_, _| {});
    }
}

#[test]
fn a_short_transfer_at_any_moment_changes_nothing() {
    const TRANSFERS: [Call; 2] = [Call::Read, Call::Write];
    for order in [0, 2] {
        let count = calls(order, &TRANSFERS);
        for nth in 1..=count {
            let at_most = [1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1][nth as usize % 4];
            for at_most in [at_most, PAGE_SIZE - 1] {
                let mut play = Play::new(order);
                play.name = format!("order {order}, transfer {nth}: at most {at_most} bytes");
                play.store.shorten_nth(&TRANSFERS, nth, at_most);
                play.script();
                let name = play.name.clone();
                assert_eq!(play.finish(), Finished::WELL, "{name}");
            }
        }
        println!("order {order}: each of {count} transfers was short");
    }
}

#[test]
fn transfers_that_are_all_short_change_nothing() {
    for at_most in [1, 511, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE] {
        let mut play = Play::new(0);
        play.name = format!("{at_most} bytes at a time");
        play.store.shorten(&[Call::Read, Call::Write], at_most);
        play.script();
        let name = play.name.clone();
        assert_eq!(play.finish(), Finished::WELL, "{name}");
    }
}
