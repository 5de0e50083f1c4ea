//! The threads that use the pages while they are moved.
//!
//! Readers take no lock and keep no page: most operations are optimistic reads of one 64-byte
//! line, some of a whole page, a few are pins. Each is timed, and then what was read is checked
//! against the journal (see [`journal`](super::journal)). Writers write runs of whole pages in
//! blocks of their own, and journal them.

use std::sync::atomic::{AtomicU64, Ordering, Ordering::SeqCst};
use std::time::{Duration, Instant};

use fastrand::Rng;
use refolio::PAGE_SIZE;

use super::damage::{Damage, Expected, check, not_a_line};
use super::findings::{Findings, Seen};
use super::journal::BLOCK_PAGES;
use super::numbers::Reads;
use super::prepare::{Content, checked_line};
use super::soak::RunQueue;
use super::stamp::{LINE, Stamp};
use super::subjects::Subject;
use super::watchdog::Beat;

/// What the run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Readers and writers run, no page moves.
    Rest,
    /// Pages move.
    Moving,
    /// Everybody ends.
    Over,
}

/// What all threads share.
#[derive(Debug)]
pub struct Crew<'a> {
    /// Everything there is to read and write.
    pub subjects: &'a [Subject],
    /// Seed of patterns and choices.
    pub seed: u64,
    /// Where damage is reported.
    pub findings: &'a Findings,
    phase: AtomicU64,
    longest: AtomicU64,
    longest_own: AtomicU64,
}

/// What one reader has counted.
#[derive(Debug, Default)]
pub struct Read {
    /// While no page moved.
    pub rest: Reads,
    /// While pages moved.
    pub moving: Reads,
}

/// After so many writes a writer sleeps for a moment: it is there to keep pages dirty, not to
/// measure how fast they can be written.
const BURST: u64 = 16;
const PAUSE: Duration = Duration::from_millis(1);

impl<'a> Crew<'a> {
    /// The first phase is rest.
    pub fn new(subjects: &'a [Subject], seed: u64, findings: &'a Findings) -> Self {
        let phase = AtomicU64::new(Phase::Rest as u64);
        let [longest, longest_own] = [0, 0].map(AtomicU64::new);
        Self { subjects, seed, findings, phase, longest, longest_own }
    }

    /// The run is over when the answer is dropped, also by a panic: nobody runs for ever then.
    pub fn over_at_last(&self) -> impl Drop + use<'_, 'a> {
        struct Over<'c, 'a>(&'c Crew<'a>);
        impl Drop for Over<'_, '_> {
            fn drop(&mut self) {
                self.0.enter(Phase::Over);
            }
        }
        Over(self)
    }

    /// Everybody goes on to this phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u64, SeqCst);
    }

    fn is(&self, phase: Phase) -> bool {
        // Relaxed: a reader that learns of a phase a little later counts a few operations wrong.
        self.phase.load(Ordering::Relaxed) == phase as u64
    }

    /// The longest operation of a reader so far while pages moved, in nanoseconds.
    pub fn longest_stall(&self) -> u64 {
        self.longest.load(SeqCst)
    }

    /// The same without the time in which its thread waited for a processor.
    pub fn longest_own_stall(&self) -> Duration {
        Duration::from_nanos(self.longest_own.load(SeqCst))
    }

    /// Reads and checks until the run is over.
    pub fn read(&self, reader: u64, beat: &Beat) -> Read {
        let mut counted = Read::default();
        let work = beat.start();
        let mut reader = Reader::new(self, reader);
        let mut queue = RunQueue::of_this_thread();
        while !self.is(Phase::Over) {
            let Some((subject, page)) = reader.choose() else { break };
            let moving = self.is(Phase::Moving);
            work.goes_on();
            let took = match reader.operate(subject, page) {
                Ok(took) => took,
                Err(error) => {
                    self.findings.failed(&format!("reading {}", subject.name), &error);
                    break;
                }
            };
            let own = took.saturating_sub(queue.share(took));
            if moving {
                counted.moving.add(subject.kind(page), took);
                self.longest.fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
                self.longest_own.fetch_max(own.as_nanos() as u64, Ordering::Relaxed);
            } else {
                counted.rest.add(subject.kind(page), took);
            }
        }
        counted
    }

    /// Writes and journals until the run is over.
    pub fn write(&self, writer: u64, beat: &Beat) {
        let mut rng = Rng::with_seed(self.seed ^ (writer + 1) << 32);
        let blocks: Vec<u64> = self.subjects.iter().map(|s| s.journal.blocks(writer)).collect();
        let all: u64 = blocks.iter().sum();
        let mut bytes = vec![0; BLOCK_PAGES as usize * PAGE_SIZE];
        let mut writes = 0;
        let work = beat.start();
        while all > 0 && !self.is(Phase::Over) {
            let mut nth = rng.u64(..all);
            let mut chosen = 0;
            while nth >= blocks[chosen] {
                nth -= blocks[chosen];
                chosen += 1;
            }
            let subject = &self.subjects[chosen];
            let block = subject.journal.block(writer, nth);
            let first = rng.u64(block.clone());
            let pages = first..block.end.min(first + rng.u64(1..=4));
            work.goes_on();
            if let Err(error) = self.write_pages(subject, pages, &mut bytes) {
                self.findings.failed(&format!("writing {}", subject.name), &error);
                break;
            }
            writes += 1;
            if writes % BURST == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// One write, over the whole pages given, journalled before and after.
    fn write_pages(
        &self,
        subject: &Subject,
        pages: std::ops::Range<u64>,
        bytes: &mut [u8],
    ) -> refolio::Result<()> {
        let start = pages.start * PAGE_SIZE as u64;
        let len = ((pages.end * PAGE_SIZE as u64).min(subject.len) - start) as usize;
        let mut generations = [0; BLOCK_PAGES as usize];
        let chunks = bytes[..len].chunks_mut(PAGE_SIZE);
        for ((page, into), generation) in pages.clone().zip(chunks).zip(&mut generations) {
            *generation = subject.journal.start(page);
            let subject = subject.number;
            Stamp { subject, page, generation: *generation }.fill(self.seed, into);
        }
        subject.write(&bytes[..len], start)?;
        for (page, generation) in pages.zip(generations) {
            subject.journal.acknowledge(page, generation);
        }
        Ok(())
    }
}

/// One reading thread.
struct Reader<'a> {
    crew: &'a Crew<'a>,
    rng: Rng,
    /// The number of pages up to and including each subject.
    ends: Vec<u64>,
    bytes: Box<[u8; PAGE_SIZE]>,
}

impl<'a> Reader<'a> {
    fn new(crew: &'a Crew<'a>, reader: u64) -> Self {
        let ends = crew.subjects.iter().scan(0, |sum, subject| {
            *sum += subject.pages();
            Some(*sum)
        });
        let ends = ends.collect();
        let rng = Rng::with_seed(crew.seed ^ !reader);
        Self { crew, rng, ends, bytes: Box::new([0; PAGE_SIZE]) }
    }

    /// Any page, each as likely as any other. None: there are none.
    fn choose(&mut self) -> Option<(&'a Subject, u64)> {
        let all = *self.ends.last()?;
        let page = self.rng.u64(..all);
        let number = self.ends.partition_point(|end| *end <= page);
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Some((&self.crew.subjects[number], page - start))
    }

    /// Reads one way or another, and checks what was read. The answer is how long it took.
    fn operate(&mut self, subject: &Subject, page: u64) -> refolio::Result<Duration> {
        let whole = subject.page_len(page);
        let oldest = subject.journal.acknowledged(page);
        let way = self.rng.u8(..32);
        if way == 0 {
            let start = Instant::now();
            let pinned = subject.pin(page)?;
            let took = start.elapsed();
            self.check(subject, page, oldest, 0, &pinned);
            return Ok(took);
        }
        let from = match &subject.content {
            _ if way <= 3 => 0,
            Content::Original(_) => checked_line(page, whole),
            Content::Stamped => self.rng.usize(..whole.div_ceil(LINE)) * LINE,
        };
        let len = if way <= 3 { whole } else { (whole - from).min(LINE) };
        let start = Instant::now();
        let offset = page * PAGE_SIZE as u64 + from as u64;
        let found = subject.read(&mut self.bytes[..len], offset)?;
        let took = start.elapsed();
        if found < len {
            let damage = (Damage::Missing, found);
            self.crew.findings.differs(subject, page, from, damage, Seen::ByReader);
        } else {
            self.check(subject, page, oldest, from, &self.bytes[..len]);
        }
        Ok(took)
    }

    /// Compares what was read with what may be there: nothing older than what was acknowledged
    /// before the read, nothing newer than what had been started after it.
    fn check(&self, subject: &Subject, page: u64, oldest: u64, from: usize, bytes: &[u8]) {
        let newest = subject.journal.started(page);
        let original = subject.content.is_original(page, subject.page_len(page), bytes);
        let found = match (&subject.content, oldest, newest) {
            (_, 0, _) if original => return,
            (_, 1.., _) if original => Err((Damage::Old { found: 0 }, 0)),
            (Content::Original(_), 0, 0) => Err((not_a_line(bytes), 0)),
            _ => {
                let expected =
                    Expected { subject: subject.number, page, generations: oldest..=newest };
                check(self.crew.seed, bytes, from / LINE, &expected)
            }
        };
        if let Err(found) = found {
            self.crew.findings.differs(subject, page, from, found, Seen::ByReader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::migrate::prepare::{PageHash, Prepared};
    use refolio::{Cache, Kind, NodeOptions};

    /// What readers say of a file of one page, read once it has been tampered with.
    fn readers_find(stamped: bool, harm: impl FnOnce(&mut [u8], &Subject)) -> String {
        const SEED: u64 = 3;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![0; PAGE_SIZE];
        Rng::with_seed(1).fill(&mut bytes);
        let mut content = Content::Original([PageHash::of(0, &bytes)].into());
        if stamped {
            Stamp { subject: 0, page: 0, generation: 0 }.fill(SEED, &mut bytes);
            content = Content::Stamped;
        }
        std::fs::write(&path, &bytes).unwrap();
        let node = || NodeOptions::new(8 << 20);
        let cache = Cache::builder().node(node()).node(node()).build().unwrap();
        let (name, twin, modified) = ("it".into(), None, None);
        let prepared = Prepared { name, path, len: 4096, modified, content, twin, every: 1 };
        let subject = [Subject::file(0, prepared, &cache, 0, 1).unwrap()];
        let before = bytes.clone();
        harm(&mut bytes, &subject[0]);
        if bytes != before {
            subject[0].write(&bytes, 0).unwrap();
        }

        let findings = Findings::new(vec!["it".into()]);
        let crew = Crew::new(&subject, SEED, &findings);
        let mut reader = Reader::new(&crew, 0);
        for _ in 0..1000 {
            let (subject, page) = reader.choose().unwrap();
            reader.operate(subject, page).unwrap();
        }
        let found = findings.first().map(|first| first.found);
        // Not every read meets the place of the damage, but many do.
        assert!(found.is_none() || findings.mismatches(Kind::FileDirty) > 10);
        found.unwrap_or_default()
    }

    #[test]
    fn readers_see_what_is_right_and_what_is_not() {
        for stamped in [true, false] {
            assert_eq!(readers_find(stamped, |_, _| {}), "");
            let lost = |_: &mut [u8], subject: &Subject| {
                let generation = subject.journal.start(0);
                subject.journal.acknowledge(0, generation);
            };
            assert_eq!(readers_find(stamped, lost), "a stale page: generation 0");
            let zeroed = |bytes: &mut [u8], _: &Subject| bytes.fill(0);
            assert_eq!(readers_find(stamped, zeroed), "a zeroed page");
            let early = |bytes: &mut [u8], _: &Subject| {
                Stamp { subject: 0, page: 0, generation: 1 }.fill(3, bytes);
            };
            let found = readers_find(stamped, early);
            let wanted = if stamped { "which nobody has written yet" } else { "other bytes" };
            assert!(found.contains(wanted), "{found}");
        }
    }
}
