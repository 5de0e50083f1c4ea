//! Each transition, by one thread: what it changes of the word, what it leaves alone, and what it
//! answers. The models show what several threads make of them.

use super::*;

/// A folio in use, unlocked, with so many references, and with these flags.
fn used(references: u32, flags: &[Flag]) -> State {
    let state = State::free();
    state.claim(flags);
    let _ = state.unlock();
    if references > 1 {
        state.get_more(references - 1);
    }
    state
}

fn of(state: &State) -> (u32, Vec<&'static str>) {
    let now = state.load();
    (now.references(), now.flag_names())
}

#[test]
fn a_frame_that_is_taken_into_use_is_locked_and_has_one_reference_and_the_next_version() {
    let state = State::free();
    state.claim(&[Flag::ANON, Flag::UPTODATE]);
    assert_eq!(of(&state), (1, vec!["locked", "uptodate", "anon"]));
    assert_eq!(state.version(), 1);
    assert_eq!(state.flags().references(), 0);
    assert_eq!(state.flags().flag_names(), ["locked", "uptodate", "anon"]);
}

#[test]
fn a_late_sleeper_is_still_announced_when_the_frame_is_taken_into_use_and_a_late_flag_is_not() {
    let state = used(1, &[Flag::DIRTY]);
    assert_eq!(state.put_many(1), Put::Last);
    let _ = state.expect_waiter();
    state.set(Flag::REFERENCED);
    state.claim(&[]);
    assert_eq!(of(&state), (1, vec!["locked", "waiters"]));
}

#[test]
fn a_reference_is_had_of_a_folio_that_has_some_and_has_room_for_more() {
    let state = used(1, &[Flag::UPTODATE]);
    assert_eq!(state.try_get(), Get::Got);
    assert_eq!(of(&state), (2, vec!["uptodate"]));
    assert_eq!(State::free().try_get(), Get::Frozen);
    state.get_more(MAX_REFERENCES - 2);
    assert_eq!(state.try_get(), Get::Saturated);
    assert_eq!(of(&state), (MAX_REFERENCES, vec!["uptodate"]));
}

#[test]
fn the_last_reference_is_told_from_the_others_and_a_sleeper_from_none() {
    for flags in [&[][..], &[Flag::DIRTY, Flag::GUARDED], &[Flag::LOCKED]] {
        let state = used(5, &[]);
        flags.iter().for_each(|flag| _ = state.set(*flag));
        assert_eq!(state.put_many(1), Put::Others { wake: false });
        assert_eq!(state.put_many(2), Put::Others { wake: false });
        let _ = state.expect_waiter();
        assert_eq!(state.put_many(1), Put::Others { wake: true });
        assert_eq!(state.put_many(1), Put::Last);
        let names = state.load().flag_names();
        assert_eq!(names.len(), flags.len() + 1, "the flags stay: {names:?}");
    }
    let state = used(MAX_REFERENCES, &[]);
    assert_eq!(state.put_many(1), Put::Others { wake: false });
    assert_eq!(state.put_many(MAX_REFERENCES - 1), Put::Last);
}

#[test]
fn a_freeze_takes_exactly_the_expected_references_and_a_refusal_changes_nothing() {
    let state = used(3, &[Flag::UPTODATE, Flag::DIRTY]);
    let before = state.load();
    for wrong in [0, 1, 2, 4, MAX_REFERENCES] {
        assert_eq!(state.freeze(wrong), Freeze::Refused { references: 3 });
    }
    assert_eq!(state.load(), before);
    assert_eq!(state.freeze(3), Freeze::Frozen);
    assert_eq!(of(&state), (0, vec!["uptodate", "dirty"]));
    assert_eq!(state.version(), before.version() + 1);
    assert!(!state.is_unchanged(before));
}

#[test]
fn a_thaw_gives_the_references_back_and_says_whether_somebody_sleeps() {
    for sleeps in [false, true] {
        let state = used(2, &[Flag::UPTODATE]);
        assert_eq!(state.freeze(2), Freeze::Frozen);
        if sleeps {
            let _ = state.expect_waiter();
        }
        let version = state.version();
        assert_eq!(state.unfreeze(2), Wake(sleeps));
        assert_eq!((state.load().references(), state.version()), (2, version));
    }
}

#[test]
fn a_word_is_unchanged_while_its_version_is() {
    let state = used(1, &[]);
    let before = state.load();
    assert!(state.is_unchanged(before));
    state.set(Flag::DIRTY);
    state.get_more(1);
    assert!(state.is_unchanged(before), "flags and references do not count");
    state.bump_version();
    assert!(!state.is_unchanged(before));
    assert_eq!(state.version(), before.version() + 1);
    assert_eq!(of(&state), (2, vec!["dirty"]));
}

#[test]
fn a_lock_is_had_once_and_giving_it_back_says_whether_somebody_sleeps() {
    let state = used(1, &[Flag::UPTODATE]);
    assert!(state.try_lock());
    assert!(!state.try_lock());
    assert_eq!(state.unlock(), Wake(false));
    assert!(state.try_lock());
    let announced = state.expect_waiter();
    assert!(announced.has(Flag::WAITERS) && announced.has(Flag::LOCKED));
    assert_eq!(announced, state.load());
    assert_eq!(state.unlock(), Wake(true));
    state.no_waiters();
    assert_eq!(of(&state), (1, vec!["uptodate"]));
}

#[test]
fn the_end_of_a_writeback_says_whether_somebody_sleeps() {
    for sleeps in [false, true] {
        let state = used(1, &[]);
        assert!(!state.set(Flag::WRITEBACK));
        assert!(state.set(Flag::WRITEBACK), "set before");
        if sleeps {
            let _ = state.expect_waiter();
        }
        assert_eq!(state.end_writeback(), Wake(sleeps));
        assert!(!state.has(Flag::WRITEBACK));
        assert!(!state.test_and_clear(Flag::WRITEBACK), "clear before");
    }
}

#[test]
fn a_use_is_noted_when_it_was_not() {
    let state = used(1, &[]);
    state.mark_referenced(state.load());
    assert!(state.has(Flag::REFERENCED));
    let seen = state.load();
    assert!(state.test_and_clear(Flag::REFERENCED));
    state.mark_referenced(seen);
    assert!(!state.has(Flag::REFERENCED), "it was noted: nothing is written");
}

#[test]
fn isolation_takes_what_is_on_a_list_and_can_be_held() {
    let state = used(1, &[]);
    assert!(!state.try_isolate(), "on no list");
    state.set(Flag::ON_LRU);
    assert!(state.try_isolate());
    assert_eq!(of(&state), (2, vec![]));
    assert!(!state.try_isolate(), "isolated already");
    state.set(Flag::ON_LRU);
    assert_eq!(state.freeze(2), Freeze::Frozen);
    assert!(!state.try_isolate(), "frozen");
    let _ = state.unfreeze(MAX_REFERENCES);
    assert!(!state.try_isolate(), "no room for the isolator");
    assert_eq!(of(&state), (MAX_REFERENCES, vec!["lru"]));
}

#[test]
fn what_moves_with_the_bytes_goes_to_the_destination_and_the_rest_stays() {
    let moves = [Flag::DIRTY, Flag::REFERENCED, Flag::ACTIVE, Flag::PRIVATE];
    let source = used(1, &[&moves[..], &[Flag::UPTODATE, Flag::LOCKED]].concat());
    source.set(Flag::LOCKED);
    let _ = source.expect_waiter();
    assert_eq!(source.freeze(1), Freeze::Frozen);
    let destination = State::free();
    destination.claim(&[]);
    destination.set(Flag::REFERENCED); // By somebody who is late.
    destination.inherit(&source, 2);
    let moved = vec!["locked", "uptodate", "dirty", "referenced", "active", "private"];
    assert_eq!(of(&destination), (3, moved));
    assert_eq!(source.unfreeze_moved(1), Wake(true));
    assert_eq!(of(&source), (1, vec!["locked", "waiters", "uptodate"]));
}

#[test]
fn a_lock_and_a_reference_go_together_as_they_would_one_after_the_other() {
    for sleeps in [false, true] {
        let state = used(2, &[Flag::DIRTY]);
        assert!(state.try_lock());
        if sleeps {
            let _ = state.expect_waiter();
        }
        assert_eq!(state.unlock_and_put(), Put::Others { wake: sleeps });
        assert_eq!(of(&state).0, 1);
        assert!(state.try_lock());
        assert_eq!(state.unlock_and_put(), Put::Last);
        assert!(!state.has(Flag::LOCKED) && state.has(Flag::DIRTY));
    }
}

#[test]
fn a_pin_by_a_hint_is_had_of_what_is_meant_and_readable() {
    let state = used(1, &[Flag::UPTODATE]);
    assert!(!state.try_get_readable(|| false));
    assert_eq!(of(&state), (1, vec!["uptodate"]));
    assert!(state.try_get_readable(|| true));
    assert_eq!(of(&state), (2, vec!["uptodate", "referenced"]));
    state.poison();
    assert!(!state.try_get_readable(|| true), "not to be trusted");
    state.heal();
    assert_eq!(state.freeze(2), Freeze::Frozen);
    assert!(!state.try_get_readable(|| true), "frozen");
    assert!(!used(1, &[]).try_get_readable(|| true), "not up to date");
}

#[test]
fn poison_takes_the_place_of_uptodate_until_all_is_overwritten() {
    let state = used(1, &[Flag::UPTODATE, Flag::DIRTY]);
    state.heal();
    assert_eq!(of(&state), (1, vec!["uptodate", "dirty"]), "there was nothing to heal");
    state.poison();
    assert_eq!(of(&state), (1, vec!["dirty", "poisoned"]));
    assert!(!state.load().is_readable() && !state.load().is_pinnable());
    assert!(!state.used(Use::Counts).has(Flag::UPTODATE));
    assert!(!state.has(Flag::REFERENCED), "what is not to be trusted is not in use");
    state.heal();
    assert_eq!(of(&state), (1, vec!["uptodate", "dirty"]));
    let filling = used(1, &[]);
    filling.heal();
    assert_eq!(of(&filling), (1, vec![]), "what is being filled is not up to date yet");
}

#[test]
fn bytes_are_the_files_once_that_is_said() {
    let state = used(2, &[Flag::DIRTY]);
    assert!(!state.load().is_pinnable());
    state.mark_uptodate();
    assert_eq!(of(&state), (2, vec!["uptodate", "dirty"]));
    assert!(state.load().is_pinnable());
}

#[test]
#[cfg(debug_assertions)] // Rules are asserted in debug builds.
#[should_panic(expected = "a reference was put twice")]
fn nobody_puts_more_references_than_there_are() {
    let _ = used(2, &[Flag::UPTODATE]).put_many(3);
}

#[test]
#[cfg(debug_assertions)] // Rules are asserted in debug builds.
#[should_panic(expected = "only what was set is cleared")]
fn nobody_unlocks_what_is_not_locked() {
    let _ = used(1, &[Flag::UPTODATE]).unlock();
}

#[test]
fn a_word_is_readable_when_it_is_held_valid_and_to_be_trusted_and_pinnable_with_room_besides() {
    let half = MAX_REFERENCES / 2 + 1;
    for references in [1, half - 1, half, MAX_REFERENCES] {
        let state = used(references, &[Flag::UPTODATE, Flag::LOCKED]);
        let now = state.load();
        assert!(now.is_readable(), "{references}");
        assert_eq!(now.is_pinnable(), references < half, "{references}");
        state.test_and_clear(Flag::UPTODATE);
        assert!(!state.load().is_readable() && !state.load().is_pinnable());
        state.mark_uptodate();
        assert_eq!(state.freeze(references), Freeze::Frozen);
        assert!(!state.load().is_readable() && !state.load().is_pinnable());
    }
}
