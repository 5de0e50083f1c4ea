//! A thread's turns: what the types of this crate call before and after each operation, and what a
//! scene may say of itself.

use std::panic::Location;

use crate::exec::{EXEC, Exec, Need};
use crate::object::{Id, hash, mix};
use crate::trace::Op;

/// Goes on with another thread, and returns when this one's turn has come again.
fn go_on_with(next: Option<usize>) {
    EXEC.with_borrow_mut(|exec| {
        if let Some(exec) = exec {
            exec.next = next;
        }
    });
    crate::thread::pause();
}

/// Runs `act` on the current execution; None outside of one, and while a panic unwinds.
pub(crate) fn with<R>(act: impl FnOnce(&mut Exec) -> R) -> Option<R> {
    if std::thread::panicking() {
        return None;
    }
    EXEC.with_borrow_mut(|exec| exec.as_mut().map(act))
}

/// Before an operation on `id`: lets others go first. False outside of an execution.
pub(crate) fn arrive(id: &Id, need: fn(usize) -> Need) -> bool {
    let arrived = with(|exec| {
        let place = exec.place(id);
        exec.arrive(place, need(place))
    });
    if let Some(Some(next)) = arrived {
        go_on_with(next);
    }
    arrived.is_some()
}

/// One operation: waits for its turn, acts, and notes what it saw (`before`) and left (`after`).
pub(crate) fn operate<R>(
    id: &Id,
    op: Op,
    at: &'static Location<'static>,
    act: impl FnOnce() -> (R, u64, u64),
) -> R {
    let counts = arrive(id, |_| Need::Nothing);
    let (result, before, after) = act();
    if counts {
        noted(id, op, at, before, after, false);
    }
    result
}

/// As [`operate`], without a turn of its own, for what locks protect and for what only counts.
pub(crate) fn quietly<R>(id: &Id, op: Op, act: impl FnOnce() -> (R, u64, u64)) -> R {
    let (result, before, after) = act();
    with(|exec| {
        let place = exec.place(id);
        let key = exec.objects.all[place].key;
        let seen = if op == Op::Store { 0 } else { before };
        let thread = &mut exec.threads[exec.current];
        thread.history = mix(thread.history, mix(key ^ op as u64, seen));
        exec.objects.set(place, before, after);
    });
    result
}

/// Notes an operation that has taken place; the values are addresses, or not.
pub(crate) fn noted(
    id: &Id,
    op: Op,
    at: &'static Location<'static>,
    before: u64,
    after: u64,
    are_addresses: bool,
) {
    with(|exec| {
        let place = exec.place(id);
        if exec.recorder.is_on() {
            let named = exec.objects.all[place].named.clone();
            exec.recorder.operation(exec.current, op, (place, named), before, after, at);
        }
        let (mut before, mut after) = (before, after);
        if are_addresses {
            (before, after) = (exec.canonical(before), exec.canonical(after));
        }
        exec.leave(place, op, before, after);
    });
}

/// A lock is taken, which is free: its turn has come.
pub(crate) fn acquired(id: &Id, shared: bool, at: &'static Location<'static>) {
    with(|exec| {
        let place = exec.place(id);
        let object = &mut exec.objects.all[place];
        match shared {
            true => object.holders.readers += 1,
            false => object.holders.writer = true,
        }
        let content = object.value.unwrap_or_default();
        let named = exec.recorder.is_on().then(|| object.named.clone()).flatten();
        let op = if shared { Op::Share } else { Op::Lock };
        exec.recorder.operation(exec.current, op, (place, named), content, content, at);
        exec.leave(place, op, content, content);
    });
}

/// Sleeps until `condition` is notified and `lock`, which the caller has given back, is free.
pub(crate) fn sleep(condition: &Id, lock: &Id, at: &'static Location<'static>) {
    let next = with(|exec| {
        let (place, lock) = (exec.place(condition), exec.place(lock));
        let named = exec.objects.all[place].named.clone();
        exec.recorder.operation(exec.current, Op::Sleep, (place, named), 0, 0, at);
        exec.leave(place, Op::Sleep, 0, 0);
        exec.thread().need = Some(Need::Notice(place, lock));
        exec.recorder.counted();
        exec.choose()
    });
    if let Some(next) = next {
        go_on_with(next);
    }
}

/// Wakes whoever sleeps on `condition`.
pub(crate) fn notify(condition: &Id, at: &'static Location<'static>) {
    if !arrive(condition, |_| Need::Nothing) {
        return;
    }
    with(|exec| {
        let place = exec.place(condition);
        let mut woken = 0;
        for thread in &mut exec.threads {
            if let Some(Need::Notice(condition, lock)) = thread.need
                && condition == place
            {
                thread.need = Some(Need::Exclusive(lock));
                woken += 1;
            }
        }
        let named = exec.objects.all[place].named.clone();
        exec.recorder.operation(exec.current, Op::Notify, (place, named), woken, woken, at);
        let op = if woken > 0 { Op::Notify } else { Op::Load };
        exec.leave(place, op, 0, 0);
    });
}

/// Waits for the end of a thread.
pub(crate) fn join(thread: usize) {
    let next = with(|exec| {
        let end = exec.objects.all[exec.threads[thread].end].key;
        exec.uses(end, false);
        exec.thread().need = Some(Need::End(thread));
        exec.recorder.counted();
        if exec.threads[thread].is_finished { None } else { Some(exec.choose()) }
    });
    if let Some(Some(next)) = next {
        go_on_with(next);
    }
    with(|exec| {
        let clock = exec.threads[thread].clock;
        exec.thread().clock.join(&clock);
    });
}

/// A rule is broken: the execution ends here, and the search with it.
///
/// Unlike a panic it does not unwind: nothing that the scene's threads own is dropped. Outside of
/// an execution it panics.
pub fn violated(rule: impl Into<String>) -> ! {
    let rule = rule.into();
    if std::thread::panicking() || with(|exec| exec.violation = Some(rule.clone())).is_none() {
        panic!("{rule}");
    }
    loop {
        go_on_with(None);
    }
}

/// Notes that the search came here: see [`Verdict::reached`](crate::Verdict::reached). A trace
/// tells it, too.
#[inline]
#[track_caller]
pub fn reached(place: &'static str) {
    let at = Location::caller();
    with(|exec| {
        *exec.contended.borrow_mut().reached.entry(place).or_default() += 1;
        if exec.recorder.is_on() {
            exec.recorder.narration(exec.current, place.into(), at);
        }
    });
}

/// Runs `act`, of which nothing but its result matters afterwards: what the thread has done and
/// seen in it is forgotten, so that more states are the same.
///
/// `act` must leave nothing behind in the thread's local variables but its result.
pub fn call<R: std::hash::Hash>(act: impl FnOnce() -> R) -> R {
    // That it is within is part of what it has done: a call within that ends with the same result
    // has not ended this one.
    let entered = with(|exec| {
        let thread = exec.thread();
        let before = thread.history;
        thread.history = mix(before, 0x656e_7465_7200);
        before
    });
    let Some(before) = entered else { return act() };
    let result = act();
    let hash = hash(&result);
    with(|exec| exec.thread().history = mix(mix(before, 0x6361_6c6c), hash));
    result
}

/// The head of a loop that waits for another thread.
#[derive(Debug)]
pub struct Retry {
    history: Option<u64>,
}

impl Retry {
    /// Before the loop.
    #[inline]
    #[allow(clippy::new_without_default)] // It stands for a place in the code, not for a value.
    pub fn new() -> Self {
        Self { history: with(|exec| exec.thread().history) }
    }

    /// The loop begins again, and has learned nothing; another thread has moved on meanwhile.
    pub fn anew(&self) {
        let Some(history) = self.history else { return };
        with(|exec| exec.thread().history = history);
    }

    /// As [`anew`](Self::anew), where the loop has learned something: that is `kept`.
    pub fn keep(&self, kept: &impl std::hash::Hash) {
        let Some(history) = self.history else { return };
        let kept = mix(mix(history, 0x6b65_6570), hash(kept));
        with(|exec| exec.thread().history = kept);
    }

    /// As [`anew`](Self::anew), where no other thread may have moved on: the loop spins. It
    /// has learned nothing: its variables are what they were at its
    /// head.
    pub fn again(&self) {
        let Some(history) = self.history else { return };
        with(|exec| {
            let thread = exec.thread();
            thread.history = history;
            thread.looks += 1;
        });
    }
}
