//! What an execution did, step by step, for people: recorded when it is played again.

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

use crate::exec::{Choice, Exec, Footprint, Strategy};
use crate::object::{Id, Named, Show};
use crate::schedule::Schedule;
use crate::search::Contended;
use crate::thread::{quiet, run};
use crate::turns::with;
use crate::{AtomicPtr, AtomicU32, AtomicU64, Condvar, Mutex, RwLock};

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Load = 1,
    Store,
    Change,
    Exchange,
    Lock,
    Share,
    Sleep,
    Notify,
    Unlock,
}

impl Op {
    /// Whether two of them on one object never commute.
    pub fn takes_turns(self) -> bool {
        matches!(self, Op::Lock | Op::Sleep | Op::Notify | Op::Unlock)
    }
}

/// What a line of a trace tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An operation on an object that has a name: the name, and what it did.
    Operation(String, String),
    /// What the scene said ([`narrate`]).
    Narration(String),
}

/// A line of a trace.
#[derive(Clone, Debug)]
pub struct Event {
    /// The thread, in the order in which they were spawned.
    pub thread: usize,
    /// What it did.
    pub told: Told,
    /// The object, by a number, and whether it was changed.
    pub used: Option<(usize, bool)>,
    /// Where in the source; for the end of a lock, where it was taken.
    pub at: &'static Location<'static>,
    /// It goes on in place of a thread that could have gone on.
    pub preempts: bool,
}

/// An execution, told.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Line by line, in the order of time.
    pub events: Vec<Event>,
    /// The rule that was broken at its end, if one was.
    pub violation: Option<String>,
    /// Switches away from a thread that could have gone on.
    pub preemptions: u32,
    /// How many threads there were.
    pub threads: usize,
    /// How many of the events came before there was a second thread.
    pub alone: usize,
}

/// Notes runs always, and events when it is on.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    events: Option<Vec<Event>>,
    runs: Vec<(usize, u32)>,
    operations: u32,
    pub preemptions: u32,
    preempts: bool,
    alone: Option<usize>,
    /// Where the locks that are held were taken.
    taken: Vec<(usize, &'static Location<'static>)>,
}

impl Recorder {
    pub fn telling() -> Self {
        Self { events: Some(Vec::new()), ..Self::default() }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.events.is_some()
    }

    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    pub fn operations(&self) -> u32 {
        self.operations
    }

    #[inline]
    pub fn counted(&mut self) {
        self.operations += 1;
    }

    /// There is a new thread.
    pub fn spawns(&mut self) {
        let told = self.events.as_ref().map_or(0, Vec::len);
        self.alone.get_or_insert(told);
    }

    /// Another thread goes on.
    pub fn switch(&mut self, from: usize, preempts: bool) {
        self.runs.push((from, std::mem::take(&mut self.operations)));
        self.preemptions += u32::from(preempts);
        self.preempts = preempts;
    }

    /// The schedule of an execution that ended in a step of `last`.
    pub fn schedule(&self, last: usize) -> Schedule {
        let mut runs = self.runs.clone();
        runs.push((last, self.operations));
        Schedule(runs)
    }

    pub fn operation(
        &mut self,
        thread: usize,
        op: Op,
        (place, named): (usize, Option<Named>),
        before: u64,
        after: u64,
        at: &'static Location<'static>,
    ) {
        if !self.is_on() {
            return;
        }
        let Some(Named { name, show }) = named else { return };
        let what = match op {
            Op::Lock => "lock".into(),
            Op::Share => "lock, shared".into(),
            Op::Unlock => "unlock".into(),
            Op::Sleep => "sleep".into(),
            Op::Notify if before > 0 => "wake the sleepers".into(),
            Op::Notify => "nobody sleeps".into(),
            Op::Exchange if before == after => format!("refused: {}", show(before, after)),
            Op::Store | Op::Change if before == after => format!("still {}", show(before, after)),
            _ => show(before, after),
        };
        if matches!(op, Op::Lock | Op::Share) {
            self.taken.push((place, at));
        }
        let used = Some((place, before != after || op.takes_turns()));
        self.tell(thread, Told::Operation(name, what), used, at);
    }

    /// A lock is given back.
    pub fn unlock(&mut self, thread: usize, place: usize, named: Option<Named>) {
        let taken = self.taken.iter().rposition(|(lock, _)| *lock == place);
        if let Some(taken) = taken {
            let (_, at) = self.taken.remove(taken);
            self.operation(thread, Op::Unlock, (place, named), 0, 0, at);
        }
    }

    /// Words of the scene's own.
    pub fn narration(&mut self, thread: usize, what: String, at: &'static Location<'static>) {
        self.tell(thread, Told::Narration(what), None, at);
    }

    fn tell(
        &mut self,
        thread: usize,
        told: Told,
        used: Option<(usize, bool)>,
        at: &'static Location<'static>,
    ) {
        if let Some(events) = &mut self.events {
            let preempts = std::mem::take(&mut self.preempts);
            events.push(Event { thread, told, used, at, preempts });
        }
    }
}

/// Says what the thread does, in the trace; `what` is called only where there is one.
#[track_caller]
pub fn narrate(what: impl FnOnce() -> String) {
    if with(|exec| exec.recorder.is_on()) == Some(true) {
        let (what, at) = (what(), Location::caller());
        with(|exec| exec.recorder.narration(exec.current, what, at));
    }
}

/// What can be given a name.
pub trait Nameable {
    #[doc(hidden)]
    fn id(&self) -> &Id;
}

macro_rules! nameable {
    ($($name:ty $(, $t:ident)?;)*) => {
        $(impl $(<$t>)? Nameable for $name {
            fn id(&self) -> &Id {
                &self.id
            }
        })*
    };
}

nameable! { AtomicU32; AtomicU64; Condvar; AtomicPtr<T>, T; Mutex<T>, T; RwLock<T>, T; }

/// Gives an object its name in the trace, where there is one; operations on objects without a name
/// are not told. That counts as its first use: a scene that names its objects as it makes them has
/// fewer states, since it does not matter then which of its threads comes to an object first.
pub fn name(object: &impl Nameable, name: impl FnOnce() -> String, show: Show) {
    with(|exec| {
        let place = exec.place(object.id());
        if exec.recorder.is_on() {
            exec.objects.all[place].named = Some(Named { name: name(), show });
        }
    });
}

/// A number that stands for an object, and is the same whenever the same thread was the first to
/// use it, at the same place of its history; 0 outside of an execution.
pub fn key(object: &impl Nameable) -> u64 {
    with(|exec| exec.key(object.id())).unwrap_or_default()
}

/// Plays an execution of the scene again, and tells it. A schedule that does not fit the scene breaks
/// the rule [`MISFIT`].
pub fn replay(scene: impl Fn() + 'static, schedule: &Schedule) -> Trace {
    let scene: Rc<dyn Fn()> = Rc::new(scene);
    let strategy = Rc::new(RefCell::new(Replay(schedule.clone())));
    let contended = Rc::new(RefCell::new(Contended::default()));
    let number = crate::search::next_execution();
    let exec = Exec::new(number, strategy, contended, Recorder::telling());
    let mut exec = quiet(|| run(&scene, exec));
    let events = exec.recorder.events.take().unwrap_or_default();
    Trace {
        alone: exec.recorder.alone.unwrap_or(events.len()),
        events,
        violation: exec.violation,
        preemptions: exec.recorder.preemptions,
        threads: exec.threads.len(),
    }
}

/// The rule that a replay breaks whose schedule names a thread that does not run then, or cannot.
pub const MISFIT: &str = "the schedule is of another scene, or of another version of it";

/// Follows a schedule; after its end, without preemption.
struct Replay(Schedule);

impl Strategy for Replay {
    fn wants_all(&self) -> bool {
        true
    }

    fn stepped(&mut self, _thread: usize, _footprint: &Footprint) {}

    fn choose(&mut self, choice: &Choice<'_>) -> usize {
        let runs = &self.0.0;
        let fits = runs.get(choice.runs).is_none_or(|(thread, _)| *thread == choice.current);
        assert!(fits, "{MISFIT}");
        let run_is_over = runs.get(choice.runs).is_none_or(|run| choice.operations >= run.1);
        let next = runs.get(choice.runs + 1).map(|(thread, _)| *thread);
        let stays = choice.current_is_ready && (!run_is_over || next.is_none());
        match next {
            _ if stays => choice.current,
            Some(next) => {
                assert!(choice.ready.contains(&next), "{MISFIT}");
                next
            }
            None => choice.ready[0],
        }
    }
}
