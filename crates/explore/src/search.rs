//! The search: depth first, by running the scene anew for each path. See the head of the crate.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::exec::{Choice, Exec, Footprint, Strategy};
use crate::random::{Walk, Walker};
use crate::schedule::Schedule;
use crate::thread::{quiet, run};
use crate::trace::Recorder;

/// How to search.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Switches away from a thread that could go on, at most so many in one execution; None: without
    /// bound.
    pub preemptions: Option<u32>,
    /// When to give up; None: never.
    pub limit: Option<Duration>,
    /// How many executions at most; None: as many as it takes.
    pub executions: Option<u64>,
    /// Set by somebody else when the search is to give up.
    pub stop: Option<&'static AtomicBool>,
}

impl Search {
    /// Whether to give up.
    pub(crate) fn is_over(&self, executions: u64, start: Instant) -> bool {
        self.executions.is_some_and(|most| executions >= most)
            || self.limit.is_some_and(|limit| start.elapsed() > limit)
            || self.stop.is_some_and(|stop| stop.load(Relaxed))
    }
}

/// A rule that was broken, and how.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What was said: the message of [`violated`](crate::violated), or of a panic.
    pub rule: String,
    /// The execution, for [`replay`](crate::replay).
    pub schedule: Schedule,
    /// Its switches away from a thread that could have gone on.
    pub preemptions: u32,
}

/// What came of a search.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The first violation; the search ends with it.
    pub violation: Option<Violation>,
    /// Every execution within the bound was seen, or is like one that was.
    pub is_complete: bool,
    /// Executions, those included that ended in a known state.
    pub executions: u64,
    /// Different states in which there was a choice.
    pub states: usize,
    /// Time taken.
    pub elapsed: Duration,
    /// How often the search came to each place of [`reached`](crate::reached).
    pub reached: BTreeMap<&'static str, u64>,
}

/// What several executions of a scene have found out.
#[derive(Debug, Default)]
pub(crate) struct Contended {
    keys: HashSet<u64>,
    has_grown: bool,
    pub reached: BTreeMap<&'static str, u64>,
}

impl Contended {
    pub fn has(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    pub fn add(&mut self, key: u64) {
        self.has_grown |= self.keys.insert(key);
    }

    pub fn has_grown(&mut self) -> bool {
        std::mem::take(&mut self.has_grown)
    }
}

/// Tells the objects of one execution from those of another; each thread of the machine has its
/// scenes to itself, but statics of a scene are shared.
pub(crate) fn next_execution() -> u32 {
    static EXECUTIONS: AtomicU32 = AtomicU32::new(0);
    EXECUTIONS.fetch_add(1, Relaxed).wrapping_add(1).max(1)
}

/// Runs the scene in every order that makes a difference, until one of them breaks a rule.
pub fn search(scene: impl Fn() + 'static, how: &Search) -> Verdict {
    climb(&(Rc::new(scene) as Rc<dyn Fn()>), how, || Tree::new(how.preemptions))
}

fn climb(scene: &Rc<dyn Fn()>, how: &Search, new: impl Fn() -> Tree) -> Verdict {
    let start = Instant::now();
    let contended = Rc::new(RefCell::new(Contended::default()));
    let mut tree = Rc::new(RefCell::new(new()));
    let mut verdict = Verdict::default();
    quiet(|| {
        loop {
            tree.borrow_mut().begin();
            let exec =
                Exec::new(next_execution(), tree.clone(), contended.clone(), Recorder::default());
            let exec = run(scene, exec);
            verdict.executions += 1;
            verdict.states = tree.borrow().seen.len();
            if let Some(rule) = exec.violation {
                verdict.violation = Some(Violation {
                    rule,
                    schedule: exec.recorder.schedule(exec.current),
                    preemptions: exec.recorder.preemptions,
                });
                return;
            }
            if verdict.executions == LOOK_AHEAD && how.preemptions.is_none() {
                look_ahead(scene, &contended);
            }
            if contended.borrow_mut().has_grown() {
                // What was searched so far was searched with too few crossroads.
                tree = Rc::new(RefCell::new(new()));
            } else if !tree.borrow_mut().turn() {
                verdict.is_complete = true;
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

/// A search that has not ended after so many executions looks ahead, with as many.
const LOOK_AHEAD: u64 = 256;

/// Walks at random to find crossroads, since the search begins anew with each that it comes to: the
/// later, the more is searched twice. What else a walk finds, the search finds by itself.
fn look_ahead(scene: &Rc<dyn Fn()>, contended: &Rc<RefCell<Contended>>) {
    let walker = Rc::new(RefCell::new(Walker::new(Walk::Pct(3), LOOK_AHEAD)));
    for _ in 0..LOOK_AHEAD {
        walker.borrow_mut().begin();
        let (walker, contended) = (walker.clone(), contended.clone());
        let exec = Exec::new(next_execution(), walker, contended, Recorder::default());
        if run(scene, exec).violation.is_some() {
            return;
        }
    }
}

/// A step that need not be tried here: it was tried before, and what happened since has nothing to
/// do with it.
type Asleep = (usize, Footprint);

/// A place on the path at which there was a choice.
struct Node {
    /// The threads to try, and where the path goes.
    choices: Vec<usize>,
    at: usize,
    /// Steps asleep on arrival.
    asleep: Vec<Asleep>,
    /// What the steps used that were tried here, the one on the path not counted.
    tried: Vec<Asleep>,
    preemptions: u32,
    /// The same whenever the path is taken.
    state: u64,
}

/// What is known of a state.
#[derive(Clone, Copy)]
struct Known {
    /// Threads that were asleep whenever the state was visited, a bit each.
    asleep: u32,
    /// With a bound: the most preemptions that were left.
    left: u32,
}

/// The tree of all executions, of which one path is followed at a time.
struct Tree {
    bound: Option<u32>,
    path: Vec<Node>,
    depth: usize,
    preemptions: u32,
    asleep: Vec<Asleep>,
    /// The step that was chosen last at a node of the path, until its footprint is known.
    pending: Option<usize>,
    seen: HashMap<u64, Known>,
    /// The execution runs to its end, and is not followed.
    is_cut: bool,
    /// Every path is followed to its end: what the tests compare with.
    is_naive: bool,
}

impl Tree {
    fn new(bound: Option<u32>) -> Self {
        Self {
            bound,
            path: Vec::new(),
            depth: 0,
            preemptions: 0,
            asleep: Vec::new(),
            pending: None,
            seen: HashMap::new(),
            is_cut: false,
            is_naive: false,
        }
    }

    /// Another execution begins.
    fn begin(&mut self) {
        self.depth = 0;
        self.preemptions = 0;
        self.asleep.clear();
        self.pending = None;
        self.is_cut = false;
    }

    /// Turns to the next path; whether there is one.
    fn turn(&mut self) -> bool {
        while let Some(node) = self.path.last_mut() {
            node.at += 1;
            if node.at < node.choices.len() {
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// The threads to try in a state, the current one first.
    fn choices(&mut self, choice: &Choice<'_>) -> Vec<usize> {
        if self.is_naive {
            return choice.ready.to_vec();
        }
        let stays = choice.current_is_ready && !choice.current_spins;
        let mut all = choice.ready.to_vec();
        if let Some(at) = all.iter().position(|thread| stays && *thread == choice.current) {
            all[..=at].rotate_right(1);
        }
        match self.bound {
            Some(bound) => {
                let left = bound - self.preemptions;
                let key = crate::object::mix(choice.state, choice.current as u64);
                let known = self.seen.entry(key).or_insert(Known { asleep: 0, left: 0 });
                // (`left + 1`, so that a new entry is one with nothing left.)
                if known.left > left {
                    return Vec::new();
                }
                known.left = left + 1;
                all.truncate(if stays && left == 0 { 1 } else { all.len() });
            }
            None => {
                let asleep = self.asleep.iter().fold(0, |all, (thread, _)| all | 1u32 << thread);
                let known = self.seen.get(&choice.state).copied();
                let before = known.map_or(u32::MAX, |known| known.asleep);
                self.asleep.retain(|(thread, _)| before & 1 << thread != 0);
                self.seen.insert(choice.state, Known { asleep: asleep & before, left: 0 });
                all.retain(|thread| before & !asleep & 1 << thread != 0);
            }
        }
        all
    }

    /// Where the execution is not followed: each thread goes on for as long as it can.
    fn any(&mut self, choice: &Choice<'_>) -> usize {
        if choice.current_is_ready && !choice.current_spins {
            return choice.current;
        }
        let next = choice.ready.iter().find(|thread| **thread > choice.current);
        *next.unwrap_or(&choice.ready[0])
    }
}

fn is_independent(one: &Footprint, other: &Footprint) -> bool {
    !one.iter().any(|(key, changes)| {
        other.iter().any(|(other, changed)| key == other && (*changes || *changed))
    })
}

impl Strategy for Tree {
    fn stepped(&mut self, thread: usize, footprint: &Footprint) {
        if self.bound.is_some() || self.is_cut || self.is_naive {
            return;
        }
        if let Some(node) = self.pending.take().and_then(|depth| self.path.get_mut(depth))
            && node.tried.len() == node.at
        {
            node.tried.push((thread, footprint.clone()));
        }
        self.asleep.retain(|(asleep, step)| *asleep != thread && is_independent(step, footprint));
    }

    fn choose(&mut self, choice: &Choice<'_>) -> usize {
        if self.is_cut {
            return self.any(choice);
        }
        let depth = self.depth;
        if depth == self.path.len() {
            let choices = self.choices(choice);
            if choices.is_empty() {
                self.is_cut = true;
                return self.any(choice);
            }
            self.path.push(Node {
                choices,
                at: 0,
                asleep: self.asleep.clone(),
                tried: Vec::new(),
                preemptions: self.preemptions,
                state: choice.state,
            });
        }
        self.depth += 1;
        let node = &self.path[depth];
        let next = node.choices[node.at];
        if self.bound.is_some() {
            let stays = choice.current_is_ready && !choice.current_spins;
            self.preemptions = node.preemptions + u32::from(stays && next != choice.current);
        } else {
            self.asleep.clone_from(&node.asleep);
            self.asleep.extend(node.tried.iter().take(node.at).cloned());
            self.asleep.retain(|(thread, _)| *thread != next);
            self.pending = Some(depth);
        }
        let same = node.state == choice.state && choice.ready.contains(&next);
        assert!(same, "the scene is not deterministic: the same path led to another state");
        next
    }
}

#[cfg(test)]
mod tests;
