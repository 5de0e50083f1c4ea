//! What the search finds, what it leaves out, and that it leaves out nothing that matters.

use super::*;
use crate::{AtomicU64, Condvar, Mutex, Retry, RwLock, call, reached, replay, thread, violated};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn all(scene: impl Fn() + 'static) -> Verdict {
    let verdict = search(scene, &Search::default());
    assert!(verdict.is_complete || verdict.violation.is_some());
    verdict
}

fn rule(scene: impl Fn() + 'static) -> String {
    all(scene).violation.expect("a rule is broken").rule
}

fn lost_update() {
    let count = Arc::new(AtomicU64::new(0));
    let other = count.clone();
    let adder = thread::spawn(move || other.store(other.load(Relaxed) + 1, Relaxed));
    count.store(count.load(Relaxed) + 1, Relaxed);
    adder.join().unwrap();
    if count.load(Relaxed) != 2 {
        violated("an addition was lost");
    }
}

#[test]
fn a_lost_update_is_found_with_one_preemption_and_plays_again() {
    let how = Search { preemptions: Some(0), ..Search::default() };
    assert!(search(lost_update, &how).violation.is_none(), "{:?}", search(lost_update, &how));
    let how = Search { preemptions: Some(1), ..Search::default() };
    let violation = search(lost_update, &how).violation.unwrap();
    assert_eq!((&*violation.rule, violation.preemptions), ("an addition was lost", 1));
    let text = violation.schedule.to_string();
    let trace = replay(lost_update, &text.parse().unwrap());
    assert_eq!(trace.violation.as_deref(), Some("an addition was lost"));
    assert_eq!((trace.preemptions, trace.threads), (1, 2), "{text} {trace:?}");
}

#[test]
fn a_schedule_that_does_not_fit_is_refused_and_not_played_otherwise() {
    let trace = replay(lost_update, &"0x1.9x4".parse().unwrap());
    assert_eq!(trace.violation.as_deref(), Some(crate::MISFIT));
}

#[test]
fn what_threads_do_apart_is_done_in_one_order() {
    let verdict = all(|| {
        let theirs = thread::spawn(|| {
            let own = AtomicU64::new(0);
            (0..100).for_each(|_| _ = own.fetch_add(1, Relaxed));
        });
        let own = AtomicU64::new(0);
        (0..100).for_each(|_| _ = own.fetch_add(1, Relaxed));
        theirs.join().unwrap();
    });
    assert_eq!((verdict.executions, verdict.states), (1, 0));
}

#[test]
fn a_deadlock_is_found() {
    let said = rule(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let theirs = locks.clone();
        let thread = thread::spawn(move || {
            let _second = theirs.1.lock();
            let _first = theirs.0.lock();
        });
        {
            let _first = locks.0.lock();
            let _second = locks.1.lock();
        }
        thread.join().unwrap();
    });
    assert_eq!(said, "waits for ever: a deadlock");
}

#[test]
fn a_wake_up_that_comes_before_the_sleep_is_lost() {
    let scene = |under_lock: bool| {
        move || {
            let ready = Arc::new((AtomicU64::new(0), Mutex::new(()), Condvar::new()));
            let theirs = ready.clone();
            let thread = thread::spawn(move || {
                let _guard = under_lock.then(|| theirs.1.lock());
                theirs.0.store(1, Relaxed);
                theirs.2.notify_all();
            });
            let mut guard = ready.1.lock();
            while ready.0.load(Relaxed) == 0 {
                reached("sleeps");
                guard = ready.2.wait(guard);
            }
            drop(guard);
            thread.join().unwrap();
        }
    };
    assert_eq!(rule(scene(false)), "waits for ever: a deadlock");
    assert!(all(scene(true)).reached["sleeps"] > 0);
}

#[test]
fn a_loop_that_nobody_ends_is_found_and_one_that_somebody_ends_is_not() {
    let scene = |ends: bool| {
        move || {
            let flag = Arc::new(AtomicU64::new(0));
            let theirs = flag.clone();
            let thread = thread::spawn(move || theirs.store(u64::from(ends), Relaxed));
            let retry = Retry::new();
            while flag.load(Relaxed) == 0 {
                retry.again();
            }
            thread.join().unwrap();
        }
    };
    assert_eq!(rule(scene(false)), "waits for ever: nobody is left to end its loop");
    let verdict = all(scene(true));
    assert!(verdict.violation.is_none() && verdict.executions < 10, "{verdict:?}");
}

#[test]
fn of_a_thread_that_has_ended_counts_what_it_returned() {
    let states = |remembers: bool| {
        let verdict = all(move || {
            let word = Arc::new(AtomicU64::new(0));
            let adder = |word: Arc<AtomicU64>| {
                move || {
                    let saw: Vec<_> = (0..3).map(|_| word.fetch_add(1, Relaxed)).collect();
                    if remembers { saw } else { Vec::new() }
                }
            };
            let threads = [0; 3].map(|_| thread::spawn(adder(word.clone())));
            let _ = threads.map(|thread| thread.join().unwrap());
        });
        assert!(verdict.violation.is_none(), "{verdict:?}");
        verdict.states
    };
    let (all, few) = (states(true), states(false));
    assert!(few * 3 < all * 2, "{few} and {all}");
}

#[test]
fn a_panic_is_a_violation_with_its_own_words() {
    let said = rule(|| {
        let thread = thread::spawn(|| panic!("as {} as this", "bad"));
        thread.join().unwrap();
    });
    assert_eq!(said, "as bad as this");
}

#[test]
fn a_scene_that_is_not_deterministic_is_found_out() {
    static TURNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let said = rule(|| {
        let word = Arc::new(AtomicU64::new(TURNS.fetch_add(1, Relaxed)));
        word.load(Relaxed);
        let theirs = word.clone();
        let thread = thread::spawn(move || theirs.fetch_add(1, Relaxed));
        word.fetch_add(1, Relaxed);
        thread.join().unwrap();
    });
    assert!(said.starts_with("the scene is not deterministic"), "{said}");
}

#[test]
fn readers_share_a_lock_and_a_writer_does_not() {
    let verdict = all(|| {
        let lock = Arc::new(RwLock::new(0));
        let (reader, writer) = (lock.clone(), lock.clone());
        let reader = thread::spawn(move || {
            let first = lock.read();
            match reader.try_read() {
                Some(second) => assert_eq!(*first, *second),
                None => violated("a reader keeps a reader out"),
            }
        });
        let writer = thread::spawn(move || *writer.write() += 1);
        reader.join().unwrap();
        writer.join().unwrap();
    });
    assert!(verdict.violation.is_none(), "{verdict:?}");
}

/// One operation of a random program.
#[derive(Clone, Copy, Debug)]
enum Act {
    Add(usize),
    Set(usize, u64),
    /// Remembers what it sees.
    See(usize),
    /// Sets the second to what the first has, if it is odd.
    CopyOdd(usize, usize),
    /// Adds to one under the lock of another, in two steps.
    Locked(usize, usize),
    /// Adds to both, and remembers of what it saw only whether the first was odd.
    Forget(usize, usize),
    /// Adds to one twice, and keeps of what it saw only whether it was odd the last time.
    Keep(usize),
}

fn random_program(random: &mut fastrand::Rng) -> Vec<Vec<Act>> {
    let act = |random: &mut fastrand::Rng| {
        let (one, other) = (random.usize(0..2), random.usize(0..2));
        match random.u32(0..8) {
            0 => Act::Add(one),
            1 => Act::Set(one, random.u64(0..3)),
            2 | 3 => Act::See(one),
            4 => Act::CopyOdd(one, other),
            5 => Act::Forget(one, other),
            6 => Act::Keep(one),
            _ => Act::Locked(one, other),
        }
    };
    (0..random.usize(2..4))
        .map(|_| (0..random.usize(1..4)).map(|_| act(random)).collect())
        .collect()
}

type Ends = Arc<std::sync::Mutex<BTreeSet<(Vec<u64>, Vec<Vec<u64>>)>>>;

/// Runs the program, and notes how it ended.
fn play(program: Vec<Vec<Act>>, ends: Ends) -> Rc<dyn Fn()> {
    Rc::new(move || {
        let words = Arc::new([AtomicU64::new(0), AtomicU64::new(1)]);
        let locks = Arc::new([Mutex::new(0), Mutex::new(0)]);
        let threads: Vec<_> = program
            .iter()
            .cloned()
            .map(|acts| {
                let (words, locks) = (words.clone(), locks.clone());
                thread::spawn(move || {
                    let mut saw = Vec::new();
                    for act in acts {
                        match act {
                            Act::Add(word) => _ = words[word].fetch_add(1, Relaxed),
                            Act::Set(word, value) => words[word].store(value, Relaxed),
                            Act::See(word) => saw.push(words[word].load(Relaxed)),
                            Act::CopyOdd(from, to) => {
                                let value = words[from].load(Relaxed);
                                if value % 2 == 1 {
                                    words[to].store(value, Relaxed);
                                }
                            }
                            Act::Forget(one, other) => saw.push(call(|| {
                                let odd = call(|| words[one].fetch_add(1, Relaxed) % 2);
                                words[other].fetch_add(1, Relaxed);
                                odd
                            })),
                            Act::Keep(word) => {
                                let (retry, mut odd) = (Retry::new(), 0);
                                for turn in 0..2 {
                                    retry.keep(&(turn, odd));
                                    odd = words[word].fetch_add(1, Relaxed) % 2;
                                }
                                saw.push(odd);
                            }
                            Act::Locked(lock, word) => {
                                let mut times = locks[lock].lock();
                                *times += 1;
                                saw.push(*times);
                                words[word].store(words[word].load(Relaxed) + 2, Relaxed);
                            }
                        }
                    }
                    saw
                })
            })
            .collect();
        let saw = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let left = words.iter().map(|word| word.load(Relaxed)).collect();
        ends.lock().unwrap().insert((left, saw));
    })
}

#[test]
fn every_end_of_a_random_program_is_found_that_is_found_without_cutting() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..if cfg!(debug_assertions) { 150 } else { 1500 } {
        let program = random_program(&mut random);
        let (whole, cut, bounded) = (Ends::default(), Ends::default(), Ends::default());
        let how = Search { executions: Some(200_000), ..Search::default() };
        let naive = || Tree { is_naive: true, ..Tree::new(None) };
        if !climb(&play(program.clone(), whole.clone()), &how, naive).is_complete {
            continue;
        }
        climb(&play(program.clone(), cut.clone()), &how, || Tree::new(None));
        assert_eq!(*cut.lock().unwrap(), *whole.lock().unwrap(), "{program:?}");
        climb(&play(program.clone(), bounded.clone()), &how, || Tree::new(Some(99)));
        assert_eq!(*bounded.lock().unwrap(), *whole.lock().unwrap(), "{program:?}");
    }
}
