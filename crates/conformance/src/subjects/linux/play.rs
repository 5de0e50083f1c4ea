//! How a case is played: its actors on threads of their own, over its ground, until the time is
//! over and everything has happened that it is about.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use refolio::PAGE_SIZE;

use super::ground::{Backing, Ground};
use super::machine::{Cpuset, Machine, Stop};
use super::proof::{self, Pagemap};
use super::sys::Map;
use super::{MOST_HOPE, Settings};
use crate::content::mix;
use crate::subject::Counters;
use crate::tally::{Fact, Tally};
use crate::verdict::{Failure, Wrong};

/// What the actors of a case share.
#[derive(Debug)]
pub(crate) struct Play {
    pub machine: Machine,
    pub ground: Ground,
    pub tally: Tally,
    /// Direct I/O, where the case has some.
    pub direct: Option<Direct>,
    /// Which frames pages are in, where that is shown.
    pub frames: Option<Pagemap>,
    /// A cpuset of this process's own, where the case has one.
    pub cpuset: Option<Cpuset>,
    /// Whether pages may be beyond the end of their file at any moment: then a load or store
    /// could end the process, and copies by the kernel take their place.
    pub cuts: bool,
    pub seed: u64,
    pub over: AtomicBool,
    stops: Mutex<Vec<Stop>>,
}

/// A file that is read and written past the page cache, and memory for that.
#[derive(Debug)]
pub(crate) struct Direct {
    pub fd: OwnedFd,
    pub bounce: Map,
    /// Its name, which goes with it.
    pub _backing: Backing,
}

/// A part to be played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    pub name: &'static str,
    /// Whether it writes pages: then it gets some for itself.
    pub writes: bool,
    /// One turn.
    pub act: fn(&Play, &mut Me) -> Result<(), Stop>,
}

/// What an actor knows of itself.
#[derive(Debug)]
pub(crate) struct Me {
    pub number: u32,
    pub rng: Rng,
    /// Which of the writers it is, if it is one.
    pub rank: usize,
    pub writers: usize,
    /// Whether it rests after each turn.
    pub calm: bool,
    /// Room for a part of a page.
    pub bytes: Box<[u8]>,
}

impl Me {
    /// Some pages, as the dice fall.
    pub fn range(&mut self, play: &Play) -> std::ops::Range<u64> {
        let pages = play.ground.pages();
        let start = self.rng.u64(0..pages);
        start..start + self.rng.u64(1..=(pages - start).min(64))
    }

    /// Lets others go first, now and then. One reference to one of its pages holds a whole large
    /// folio: those who never rest would never let it go.
    pub fn pause(&mut self) {
        if self.calm {
            return std::thread::sleep(Duration::from_micros(self.rng.u64(100..3000)));
        }
        match self.rng.u32(0..8) {
            0 => std::thread::sleep(Duration::from_micros(self.rng.u64(1..500))),
            1 | 2 => std::thread::yield_now(),
            _ => {}
        }
    }
}

/// Who has asked so often has had its chance.
const ENOUGH: u64 = 20;

/// How much longer than its time a case is played until all has happened that it is about. Where
/// those who move pages have had few turns, each takes long, and more time is given.
fn hope(hope: Duration, asked: u64) -> Duration {
    hope * if asked < ENOUGH { MOST_HOPE } else { 1 }
}

impl Play {
    pub fn new(machine: Machine, ground: Ground, seed: u64) -> Self {
        let (tally, stops) = Default::default();
        let (direct, cpuset, frames) = (None, None, Pagemap::open());
        let (cuts, over) = (false, AtomicBool::new(false));
        Self { machine, ground, tally, direct, frames, cpuset, cuts, seed, over, stops }
    }

    fn stop(&self, stop: Stop) {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner).push(stop);
        self.over.store(true, SeqCst);
    }

    /// Whether actors must come to their end.
    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Plays; what stopped it before its time, if anything did.
    pub fn play(
        self: &Arc<Self>,
        cast: &[Actor],
        reach: &[Fact],
        settings: &Settings,
    ) -> Vec<Stop> {
        let start = Instant::now();
        let writers = cast.iter().filter(|actor| actor.writes).count().max(1);
        let mut rank = 0;
        let mut threads = Vec::new();
        for (number, actor) in (0..).zip(cast) {
            let me = Me {
                number: number as u32 + 1,
                rng: Rng::with_seed(mix(self.seed ^ mix(number))),
                rank,
                writers,
                calm: self.ground.kind.is_huge(),
                bytes: vec![0; PAGE_SIZE].into(),
            };
            rank += usize::from(actor.writes);
            match self.thread(*actor, me) {
                Ok(thread) => threads.push((actor.name, thread)),
                Err(error) => self.stop(Stop::fails(Wrong::Refused, format!("a thread: {error}"))),
            }
        }
        let missing = || reach.iter().copied().find(|fact| self.tally.so_far(*fact) == 0);
        let hopeful = || {
            let asked = self.tally.so_far(Fact::Asked);
            start.elapsed() < settings.length + hope(settings.hope, asked)
        };
        while !self.is_over() && hopeful() {
            if start.elapsed() >= settings.length && missing().is_none() {
                break;
            }
            if settings.is_stopped() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let early = self.over.swap(true, SeqCst) || settings.is_stopped();
        if let Some(fact) = missing().filter(|_| !early) {
            let none = Counters::default();
            let counts = self.tally.counts(&none, &none);
            let counts: Vec<_> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
            let (absence, counts) = (fact.absence(), counts.join(", "));
            let detail = format!("{absence} in {:.1?}; there were {counts}", start.elapsed());
            self.stop(Stop::fails(Wrong::Unreached, detail));
        }
        self.join(threads, settings.patience);
        std::mem::take(&mut *self.stops.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn thread(
        self: &Arc<Self>,
        actor: Actor,
        mut me: Me,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        let play = self.clone();
        let Actor { name, act, .. } = actor;
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let acted = catch_unwind(AssertUnwindSafe(|| {
                while !play.is_over() {
                    act(&play, &mut me)?;
                }
                Ok(())
            }));
            match acted {
                Ok(Ok(())) => {}
                Ok(Err(Stop::Fails(Failure { wrong, detail }))) => {
                    play.stop(Stop::fails(wrong, format!("{name}: {detail}")));
                }
                Ok(Err(lacks)) => play.stop(lacks),
                Err(_) => play.stop(Stop::fails(Wrong::Panicked, name)),
            }
        })
    }

    /// Waits for all; those that do not come are named.
    fn join(
        &self,
        mut threads: Vec<(&'static str, std::thread::JoinHandle<()>)>,
        patience: Duration,
    ) {
        let until = Instant::now() + patience;
        while !threads.is_empty() && Instant::now() < until {
            threads.retain(|(_, thread)| !thread.is_finished());
            std::thread::sleep(Duration::from_millis(1));
        }
        if !threads.is_empty() {
            let names: Vec<_> = threads.iter().map(|(name, _)| *name).collect();
            let detail =
                format!("waiting since {patience:?}: {}; {}", names.join(", "), proof::stacks());
            self.stop(Stop::fails(Wrong::Hung, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_seldom_gets_more_time() {
        let second = Duration::from_secs(1);
        assert_eq!(hope(second, 0), second * MOST_HOPE);
        assert_eq!(hope(second, ENOUGH - 1), second * MOST_HOPE);
        assert_eq!(hope(second, ENOUGH), second);
    }
}
