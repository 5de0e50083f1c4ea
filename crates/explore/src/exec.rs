//! One execution: its threads, who of them can go on, and who does.
//!
//! A thread *arrives* at an operation with what it needs (a free lock, the end of another thread).
//! If the operation is at a crossroads, or cannot be done now, the scheduler chooses who goes on;
//! the operation takes place when its thread is chosen, at once and whole. What a thread does
//! between two arrivals is one *step*, and its footprint the objects that the step used.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use crate::object::{Clock, Id, MAX_THREADS, Named, Objects, mix};
use crate::search::Contended;
use crate::thread::Job;
use crate::trace::{Op, Recorder};

/// What a thread needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Nobody else has the lock.
    Exclusive(usize),
    /// Nobody has the lock exclusively.
    Shared(usize),
    /// To be notified through this condition variable, and then to have this lock.
    Notice(usize, usize),
    /// The end of this thread.
    End(usize),
}

#[derive(Default)]
pub(crate) struct Thread {
    pub need: Option<Need>,
    is_started: bool,
    pub is_finished: bool,
    pub history: u64,
    pub clock: Clock,
    /// Objects and addresses that it was the first to use.
    first_uses: u64,
    /// The object that stands for its end.
    pub end: usize,
    pub locals: Vec<(usize, Rc<dyn Any>)>,
    /// How often it has looked in vain since anything changed.
    pub looks: u32,
}

/// The objects that a step used, and whether it changed them.
pub(crate) type Footprint = Vec<(u64, bool)>;

/// Where one of several threads is to be chosen.
pub(crate) struct Choice<'e> {
    /// Those that can go on.
    pub ready: &'e [usize],
    /// Whose step has just ended, and whether it could go on.
    pub current: usize,
    pub current_is_ready: bool,
    /// The thread has just looked in vain.
    pub current_spins: bool,
    pub state: u64,
    /// Runs of one thread so far, the current one not counted, and the operations of that.
    pub runs: usize,
    pub operations: u32,
}

/// Decides who goes on.
pub(crate) trait Strategy {
    /// Whether it wants to be asked before every operation, not only where threads meet.
    fn wants_all(&self) -> bool {
        false
    }

    /// A step of `thread` has ended.
    fn stepped(&mut self, thread: usize, footprint: &Footprint);

    /// One of `choice.ready`, of which there are several.
    fn choose(&mut self, choice: &Choice<'_>) -> usize;
}

pub(crate) struct Exec {
    pub threads: Vec<Thread>,
    pub current: usize,
    pub objects: Objects,
    strategy: Rc<RefCell<dyn Strategy>>,
    pub contended: Rc<RefCell<Contended>>,
    footprint: Footprint,
    pub violation: Option<String>,
    /// Who goes on; nobody when the execution is over.
    pub next: Option<usize>,
    /// Operations done: all of them, and those of this run of the current thread.
    pub operations: u64,
    pub recorder: Recorder,
    ready: Vec<usize>,
    pub spawned: Vec<Job>,
    /// Variables of threads that have ended, until they are dropped.
    pub ended: Vec<Vec<(usize, Rc<dyn Any>)>>,
}

thread_local!(pub(crate) static EXEC: RefCell<Option<Exec>> = const { RefCell::new(None) });

/// More operations than any scene has: the execution goes in circles.
const ENDLESS: u64 = 200_000;

impl Exec {
    pub fn new(
        number: u32,
        strategy: Rc<RefCell<dyn Strategy>>,
        contended: Rc<RefCell<Contended>>,
        recorder: Recorder,
    ) -> Self {
        Self {
            threads: Vec::new(),
            current: 0,
            objects: Objects::new(number),
            strategy,
            contended,
            footprint: Footprint::new(),
            violation: None,
            next: Some(0),
            operations: 0,
            recorder,
            ready: Vec::new(),
            spawned: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// A new thread, which begins as soon as its maker's step ends.
    pub fn add_thread(&mut self) -> usize {
        let number = self.threads.len();
        assert!(number < MAX_THREADS, "a scene has at most {MAX_THREADS} threads");
        let clock = self.threads.get(self.current).map_or(Clock::default(), |maker| maker.clock);
        let history = mix(0x7468_7265_6164, number as u64);
        let end = self.objects.add(mix(history, 1));
        let need = Some(Need::Nothing);
        // (The scene's own thread runs from the beginning.)
        let is_started = number == 0;
        let thread = Thread { history, clock, end, need, is_started, ..Thread::default() };
        self.threads.push(thread);
        number
    }

    pub fn thread(&mut self) -> &mut Thread {
        &mut self.threads[self.current]
    }

    pub fn place(&mut self, id: &Id) -> usize {
        let thread = &mut self.threads[self.current];
        let (number, contended) = (self.current as u64, &self.contended);
        let mut is_new = None;
        let place = self.objects.place(id, || {
            thread.first_uses += 1;
            let key = mix(mix(number, 0x006f_626a), thread.first_uses);
            is_new = Some(key);
            key
        });
        if let Some(key) = is_new {
            self.objects.all[place].is_crossroads = contended.borrow().has(key);
        }
        place
    }

    fn several_live(&self) -> bool {
        self.threads.iter().filter(|thread| !thread.is_finished).count() > 1
    }

    fn is_ready(&self, thread: usize) -> bool {
        let thread = &self.threads[thread];
        !thread.is_finished
            && match thread.need {
                None | Some(Need::Nothing) => true,
                Some(Need::Exclusive(lock)) => self.objects.all[lock].holders == Default::default(),
                Some(Need::Shared(lock)) => !self.objects.all[lock].holders.writer,
                Some(Need::Notice(..)) => false,
                Some(Need::End(of)) => self.threads[of].is_finished,
            }
    }

    /// The hash of the state.
    fn state(&self) -> u64 {
        let threads = self.threads.iter().enumerate();
        threads.fold(self.objects.memory, |state, (number, thread)| {
            // (That it is woken is not of its own doing: its history does not say.)
            let is_asleep = matches!(thread.need, Some(Need::Notice(..)));
            let of = number as u64 | u64::from(thread.is_finished) << 8 | u64::from(is_asleep) << 9;
            state ^ mix(thread.history, of)
        })
    }

    /// The current thread's step has ended: who goes on?
    pub fn choose(&mut self) -> Option<usize> {
        let strategy = self.strategy.clone();
        strategy.borrow_mut().stepped(self.current, &self.footprint);
        self.footprint.clear();
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        ready.extend((0..self.threads.len()).filter(|thread| self.is_ready(*thread)));
        // A new thread's first step uses nothing: it takes place at once.
        let new = ready.iter().copied().find(|thread| !self.threads[*thread].is_started);
        let next = match (&ready[..], new) {
            (_, Some(new)) => Some(new),
            ([], None) => self.nobody_is_ready(),
            (ready, None) if ready.iter().all(|thread| self.threads[*thread].looks > 1) => {
                self.violation = Some("waits for ever: nobody is left to end its loop".into());
                None
            }
            ([only], None) => Some(*only),
            (ready, None) => {
                let current_is_ready = ready.contains(&self.current);
                let choice = Choice {
                    ready,
                    current: self.current,
                    current_is_ready,
                    current_spins: self.threads[self.current].looks > 0,
                    state: self.state(),
                    runs: self.recorder.runs(),
                    operations: self.recorder.operations(),
                };
                Some(strategy.borrow_mut().choose(&choice))
            }
        };
        self.ready = ready;
        if let Some(next) = next {
            self.threads[next].is_started = true;
            if next != self.current {
                let thread = &self.threads[self.current];
                let preempts = self.is_ready(self.current) && thread.looks == 0 && new.is_none();
                self.recorder.switch(self.current, preempts);
            }
        }
        next
    }

    fn nobody_is_ready(&mut self) -> Option<usize> {
        if self.threads.iter().any(|thread| !thread.is_finished) {
            self.violation = Some("waits for ever: a deadlock".into());
        }
        None
    }

    /// The current thread is before an operation on the object at `place`. The thread to go on with
    /// first, if it is another one, or none at all.
    pub fn arrive(&mut self, place: usize, need: Need) -> Option<Option<usize>> {
        self.thread().need = Some(need);
        self.operations += 1;
        self.recorder.counted();
        if self.operations > ENDLESS {
            self.violation = Some("goes on for ever".into());
            return Some(None);
        }
        let is_choice = self.objects.all[place].is_crossroads
            || self.strategy.borrow().wants_all()
            || self.thread().looks > 0
            || self.threads.iter().any(|thread| !thread.is_started);
        let is_choice = is_choice && self.several_live() || self.thread().looks > 1;
        if is_choice || !self.is_ready(self.current) {
            let next = self.choose();
            return (next != Some(self.current)).then_some(next);
        }
        None
    }

    /// The current thread has seen this of the object at `place`, and left it with another value.
    pub fn leave(&mut self, place: usize, op: Op, before: u64, after: u64) {
        let key = self.objects.all[place].key;
        let seen = if op == Op::Store { 0 } else { before };
        let thread = &mut self.threads[self.current];
        thread.history = mix(thread.history, mix(key ^ op as u64, seen));
        let changed = self.objects.set(place, before, after) || op.takes_turns();
        self.touched(place, changed);
    }

    /// The step uses the object.
    fn touched(&mut self, place: usize, changed: bool) {
        if changed {
            self.threads.iter_mut().for_each(|thread| thread.looks = 0);
        }
        let key = self.objects.all[place].key;
        let clock = &mut self.threads[self.current].clock;
        if self.objects.used(place, self.current, clock, changed) {
            self.contended.borrow_mut().add(key);
        }
        if self.objects.all[place].is_crossroads {
            self.uses(key, changed);
        }
    }

    pub fn uses(&mut self, key: u64, changed: bool) {
        match self.footprint.iter_mut().find(|(used, _)| *used == key) {
            Some((_, changes)) => *changes |= changed,
            None => self.footprint.push((key, changed)),
        }
    }

    /// A lock is given back. What it protects has this hash now, if it may have been changed.
    pub fn release(&mut self, id: &Id, was_shared: bool, content: Option<u64>) {
        let place = self.place(id);
        let holders = &mut self.objects.all[place].holders;
        match was_shared {
            true => holders.readers -= 1,
            false => holders.writer = false,
        }
        if let Some(content) = content {
            self.changes_content(id, content);
        }
        self.touched(place, !was_shared);
        if self.recorder.is_on() {
            let named = self.objects.all[place].named.clone();
            self.recorder.unlock(self.current, place, named);
        }
    }

    pub fn key(&mut self, id: &Id) -> u64 {
        let place = self.place(id);
        self.objects.all[place].key
    }

    /// Gives an object its name.
    pub fn christen(&mut self, id: &Id, named: Named) {
        let place = self.place(id);
        self.objects.all[place].named = Some(named);
    }

    /// What the lock protects is seen.
    pub fn sees_content(&mut self, id: &Id) {
        let place = self.place(id);
        let content = self.objects.all[place].value.unwrap_or_default();
        let thread = &mut self.threads[self.current];
        thread.history = mix(thread.history, mix(self.objects.all[place].key, content));
        self.objects.set(place, content, content);
    }

    /// What the lock protects has this hash now.
    pub fn changes_content(&mut self, id: &Id, content: u64) {
        let place = self.place(id);
        let before = self.objects.all[place].value.unwrap_or_default();
        self.objects.set(place, before, content);
    }

    /// The current thread has seen this address, which nobody may change meanwhile.
    pub fn sees_address(&mut self, id: &Id, address: u64) {
        let place = self.place(id);
        let seen = self.canonical(address);
        let thread = &mut self.threads[self.current];
        thread.history = mix(thread.history, mix(self.objects.all[place].key, seen));
        self.objects.set(place, seen, seen);
    }

    /// Whether the lock is held exclusively, which is noted as seen.
    pub fn has_writer(&mut self, id: &Id) -> bool {
        let place = self.place(id);
        let writer = self.objects.all[place].holders.writer;
        let content = self.objects.all[place].value.unwrap_or_default();
        let thread = &mut self.threads[self.current];
        thread.history = mix(thread.history, u64::from(writer));
        self.leave(place, Op::Load, content, content);
        writer
    }

    /// Ends the current thread.
    pub fn finish(&mut self, result: u64) {
        let end = self.objects.all[self.threads[self.current].end].key;
        // What it returned is all that matters of it now.
        self.thread().history = result;
        self.uses(end, true);
        self.threads.iter_mut().for_each(|thread| thread.looks = 0);
        self.thread().is_finished = true;
        self.recorder.counted();
        self.next = if self.violation.is_some() { None } else { self.choose() };
    }

    pub fn canonical(&mut self, bits: u64) -> u64 {
        let (number, thread) = (self.current as u64, &mut self.threads[self.current]);
        self.objects.canonical(bits, || {
            thread.first_uses += 1;
            mix(mix(number, 0x6164_6472), thread.first_uses)
        })
    }
}
