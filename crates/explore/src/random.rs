//! Random walks, for scenes with too many threads, or too long ones, for a search.
//!
//! Two ways of being random, since each is poor where the other is good: **PCT** (Burckhardt and
//! others, ASPLOS 2010) gives the threads random priorities and changes one at d - 1 random moments,
//! which finds a bug that needs d orderings with a known probability; **URW** chooses each thread as
//! likely as it has operations left, which makes all interleavings about equally likely.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use crate::exec::{Choice, Exec, Footprint, Strategy};
use crate::search::{Contended, Search, Verdict, Violation, next_execution};
use crate::thread::{quiet, run};
use crate::trace::Recorder;

/// A way of walking at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Random priorities, which change at so many random moments less one.
    Pct(u32),
    /// Each thread as likely as it has operations left.
    Urw,
}

/// Runs the scene in random orders, until one of them breaks a rule, or the limit of `how` is
/// reached (one must be set).
pub fn walk(scene: impl Fn() + 'static, walk: Walk, seed: u64, how: &Search) -> Verdict {
    let scene: Rc<dyn Fn()> = Rc::new(scene);
    let start = Instant::now();
    let contended = Rc::new(RefCell::new(Contended::default()));
    let walker = Rc::new(RefCell::new(Walker::new(walk, seed)));
    let mut verdict = Verdict::default();
    quiet(|| {
        loop {
            walker.borrow_mut().begin();
            let exec =
                Exec::new(next_execution(), walker.clone(), contended.clone(), Recorder::default());
            let exec = run(&scene, exec);
            verdict.executions += 1;
            if let Some(rule) = exec.violation {
                verdict.violation = Some(Violation {
                    rule,
                    schedule: exec.recorder.schedule(exec.current),
                    preemptions: exec.recorder.preemptions,
                });
                return;
            }
            if how.is_over(verdict.executions, start) {
                return;
            }
        }
    });
    verdict.elapsed = start.elapsed();
    verdict.reached = std::mem::take(&mut contended.borrow_mut().reached);
    verdict
}

pub(crate) struct Walker {
    walk: Walk,
    random: fastrand::Rng,
    /// PCT: the higher goes first. Later changes are lower than everything before them.
    priorities: Vec<u64>,
    changes: Vec<u64>,
    lowest: u64,
    choices: u64,
    /// The most choices an execution had.
    longest: u64,
    /// URW: steps of each thread, in this execution and in the longest one.
    steps: Vec<u64>,
    expected: Vec<u64>,
}

impl Walker {
    pub fn new(walk: Walk, seed: u64) -> Self {
        Self {
            walk,
            random: fastrand::Rng::with_seed(seed),
            priorities: Vec::new(),
            changes: Vec::new(),
            lowest: 0,
            choices: 0,
            longest: 1,
            steps: Vec::new(),
            expected: Vec::new(),
        }
    }

    pub fn begin(&mut self) {
        self.longest = self.longest.max(self.choices);
        for (thread, steps) in self.steps.drain(..).enumerate() {
            match self.expected.get_mut(thread) {
                Some(expected) => *expected = steps.max(*expected),
                None => self.expected.push(steps),
            }
        }
        self.choices = 0;
        self.lowest = u64::from(u32::MAX);
        self.priorities.clear();
        let changes = if let Walk::Pct(depth) = self.walk { depth.saturating_sub(1) } else { 0 };
        self.changes = (0..changes).map(|_| self.random.u64(1..=self.longest)).collect();
    }

    fn priority(&mut self, thread: usize) -> u64 {
        while self.priorities.len() <= thread {
            self.priorities.push(self.random.u64(u64::from(u32::MAX)..u64::MAX));
        }
        self.priorities[thread]
    }

    fn lower(&mut self, thread: usize) {
        self.priority(thread);
        self.lowest -= 1;
        self.priorities[thread] = self.lowest;
    }

    fn left(&self, thread: usize) -> u64 {
        let expected = self.expected.get(thread).copied().unwrap_or(1);
        let done = self.steps.get(thread).copied().unwrap_or_default();
        expected.saturating_sub(done).max(1)
    }
}

impl Strategy for Walker {
    fn stepped(&mut self, thread: usize, _footprint: &Footprint) {
        if self.steps.len() <= thread {
            self.steps.resize(thread + 1, 0);
        }
        self.steps[thread] += 1;
    }

    fn choose(&mut self, choice: &Choice<'_>) -> usize {
        self.choices += 1;
        if self.walk == Walk::Urw {
            let all: u64 = choice.ready.iter().map(|thread| self.left(*thread)).sum();
            let mut at = self.random.u64(0..all);
            for thread in choice.ready {
                let left = self.left(*thread);
                if at < left {
                    return *thread;
                }
                at -= left;
            }
        }
        if self.changes.contains(&self.choices) || choice.current_spins {
            self.lower(choice.current);
        }
        let highest = choice.ready.iter().copied().max_by_key(|thread| self.priority(*thread));
        highest.unwrap_or(choice.ready[0])
    }
}
