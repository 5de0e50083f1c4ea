//! Where a case is played: the files, the actors on their threads, the prompter who watches them.
//!
//! ```text
//! set      make the files, every page of which says whose it is
//! play     every actor on a thread of its own, turn after turn, until the time is over *and* all
//!          has happened that the case is about (or patience is over: then that is the verdict)
//! rest     nobody acts: look at everything once more, and close the files
//! ```
//! Every thread is watched, and left behind when it does not come back: a subject that waits for
//! ever fails its case and not the run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::actors::{Actor, Me};
use crate::content::mix;
use crate::ledger::Ledger;
use crate::rest;
use crate::subject::{About, Counters, Kind, Refusal, Subject};
use crate::tally::{Fact, Tally};
use crate::verdict::{Failure, Verdict, Wrong};
use crate::{Limit, Settings};

/// What a case is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    /// The files, by kind.
    pub files: &'static [Kind],
    /// Parts of a page that are written on their own.
    pub parts: usize,
    /// Who acts; an actor may appear several times.
    pub cast: &'static [Actor],
    /// What must have happened.
    pub reach: &'static [Fact],
}

/// What the actors of a case share.
pub(crate) struct Play {
    pub subject: Arc<dyn Subject>,
    pub seed: u64,
    pub ledgers: Vec<Ledger>,
    pub kinds: &'static [Kind],
    pub tally: Tally,
    /// The counters before anything happened.
    pub start: Counters,
    failures: Mutex<Vec<Failure>>,
    over: AtomicBool,
}

impl Play {
    /// Notes what went wrong, and ends the play.
    pub fn fail(&self, failure: Failure) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        self.over.store(true, SeqCst);
    }

    fn set(&self) -> Result<(), Failure> {
        (0..).zip(self.kinds).zip(&self.ledgers).try_for_each(|((file, kind), ledger)| {
            let made = self.subject.create(file, *kind, &ledger.first_bytes());
            made.map_err(|refusal| refused("making a file", &refusal))
        })
    }
}

/// Runs cases.
pub struct Stage {
    subject: Arc<dyn Subject>,
    about: About,
    settings: Settings,
    failures: Vec<Failure>,
    facts: Vec<(&'static str, u64)>,
}

/// How often the prompter looks at the clock.
const TICK: Duration = Duration::from_millis(2);

impl Stage {
    pub(crate) fn new(subject: Arc<dyn Subject>, settings: Settings) -> Self {
        let about = subject.about();
        Self { subject, about, settings, failures: Vec::new(), facts: Vec::new() }
    }

    /// What came of it, and how often what happened.
    pub(crate) fn end(self) -> (Verdict, Vec<(&'static str, u64)>) {
        let Self { failures, facts, .. } = self;
        (if failures.is_empty() { Verdict::Pass } else { Verdict::Fail(failures) }, facts)
    }

    /// Plays a scene.
    pub(crate) fn play(&mut self, scene: Scene) {
        let Settings { seed, .. } = self.settings;
        let ledger = |file| Ledger::new(file, seed, scene.parts);
        let play = Arc::new(Play {
            subject: self.subject.clone(),
            seed,
            ledgers: (0..scene.files.len() as u32).map(ledger).collect(),
            kinds: scene.files,
            tally: Tally::default(),
            start: self.subject.counters(),
            failures: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let _ = self.one_thread(&play, "making the files", Play::set)
            && self.actors(&play, &scene)
            && self.one_thread(&play, "looking at what is left", rest::look);
        self.facts = play.tally.counts(&play.start, &self.subject.counters());
        let failures =
            std::mem::take(&mut *play.failures.lock().unwrap_or_else(PoisonError::into_inner));
        self.failures.extend(failures);
    }

    /// Lets the actors act; whether all came back.
    fn actors(&self, play: &Arc<Play>, scene: &Scene) -> bool {
        let start = Instant::now();
        let writers = scene.cast.iter().filter(|actor| actor.writes).count();
        let tired = Arc::new(AtomicUsize::new(0));
        let enough = match self.settings.limit {
            Limit::Turns(turns) => turns,
            Limit::Time(_) => u64::MAX,
        };
        let mut threads = Watched::new(play);
        let mut rank = 0;
        for (number, actor) in (0..).zip(scene.cast) {
            let rng = fastrand::Rng::with_seed(mix(play.seed ^ mix(number)));
            let mut me = Me::new(number as u32 + 1, rng, rank, writers);
            rank += usize::from(actor.writes);
            let (act, tired) = (actor.act, tired.clone());
            threads.spawn(actor.name, move |play| {
                let mut turns = 0;
                while !play.over.load(SeqCst) {
                    act(play, &mut me)?;
                    turns += 1;
                    if turns == enough {
                        tired.fetch_add(1, SeqCst);
                    }
                }
                Ok(())
            });
        }
        let limit_reached = || match self.settings.limit {
            Limit::Turns(_) => tired.load(SeqCst) == scene.cast.len(),
            Limit::Time(limit) => start.elapsed() >= limit,
        };
        let mut hopeless = start + self.settings.patience;
        if let Limit::Time(limit) = self.settings.limit {
            hopeless += limit;
        }
        while !play.over.load(SeqCst) && Instant::now() < hopeless {
            if limit_reached() && self.unreached(play, scene).is_none() {
                break;
            }
            std::thread::sleep(TICK);
        }
        // What went wrong may have ended the play before its time.
        let early = play.over.swap(true, SeqCst);
        let unreached = self.unreached(play, scene).filter(|_| !early);
        let lived = threads.join(self.settings.patience);
        if let Some(missing) = unreached.filter(|_| lived) {
            let detail = format!("{} in {:.1?}", missing.absence(), start.elapsed());
            play.fail(Failure { wrong: Wrong::Unreached, detail });
        }
        lived
    }

    /// What the case is about, and has not happened.
    fn unreached(&self, play: &Play, scene: &Scene) -> Option<Fact> {
        let counters = play.subject.counters();
        scene.reach.iter().copied().find(|fact| {
            let possible = fact.needs().is_none_or(|need| self.about.has.contains(&need));
            possible && play.tally.count(*fact, &play.start, &counters) == 0
        })
    }

    fn one_thread(
        &self,
        play: &Arc<Play>,
        name: &'static str,
        act: impl FnOnce(&Play) -> Result<(), Failure> + Send + 'static,
    ) -> bool {
        let mut threads = Watched::new(play);
        threads.spawn(name, act);
        threads.join(self.settings.patience)
    }
}

/// A call that failed and must not.
pub(crate) fn refused(doing: &str, refusal: &Refusal) -> Failure {
    Failure { wrong: Wrong::Refused, detail: format!("{doing}: {refusal}") }
}

/// Threads that are waited for, and given up.
struct Watched {
    play: Arc<Play>,
    names: Vec<Option<&'static str>>,
    sender: mpsc::Sender<usize>,
    ended: mpsc::Receiver<usize>,
}

impl Watched {
    fn new(play: &Arc<Play>) -> Self {
        let (sender, ended) = mpsc::channel();
        Self { play: play.clone(), names: Vec::new(), sender, ended }
    }

    fn spawn(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&Play) -> Result<(), Failure> + Send + 'static,
    ) {
        let number = self.names.len();
        self.names.push(Some(name));
        let (play, ended) = (self.play.clone(), self.sender.clone());
        let body = move || {
            let acted = catch_unwind(AssertUnwindSafe(|| act(&play)));
            let failure = match acted {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => {
                    Some(Failure { detail: format!("{name}: {}", failure.detail), ..failure })
                }
                Err(panic) => Some(Failure { wrong: Wrong::Panicked, detail: said(name, &*panic) }),
            };
            if let Some(failure) = failure {
                play.fail(failure);
            }
            drop(play);
            // Nobody listens to a thread that was given up.
            let _ = ended.send(number);
        };
        let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
        if let Err(error) = spawned {
            self.names[number] = None;
            let detail = format!("starting the thread '{name}': {error}");
            self.play.fail(Failure { wrong: Wrong::Refused, detail });
        }
    }

    /// Waits for all; whether they came.
    fn join(mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.names.iter().any(Option::is_some) {
            let left = until.saturating_duration_since(Instant::now());
            match self.ended.recv_timeout(left) {
                Ok(number) => self.names[number] = None,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let names: Vec<_> = self.names.iter().flatten().copied().collect();
                    let detail = format!("waiting since {patience:?}: {}", names.join(", "));
                    self.play.fail(Failure { wrong: Wrong::Hung, detail });
                    return false;
                }
            }
        }
        true
    }
}

fn said(name: &str, panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("{name}: {}", said.unwrap_or("without a word"))
}
