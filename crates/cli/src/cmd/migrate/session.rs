//! Between the files on the disk and the report: the cache is open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use refolio::{Cache, Migrate, PAGE_SIZE};

use super::findings::Findings;
use super::machine::{self, Sizes};
use super::mover::{Moved, Mover};
use super::numbers::{KINDS, slot};
use super::prepare::{CHUNK, Prepared};
use super::progress::Progress;
use super::report::{Figures, Kinds, Phase as Phases, Report, many};
use super::soak;
use super::subjects::Subject;
use super::verify::Verifier;
use super::watchdog::{self, Beat, Watchdog};
use super::workers::{Crew, Phase, Read};
use crate::args;
use crate::exit::{Exit, Failure};
use crate::signal;
use crate::size;

/// How long readers and writers run before pages begin to move.
const REST: Duration = Duration::from_millis(1500);

/// What a session needs to know.
#[derive(Debug)]
pub struct Session<'a> {
    /// What was asked for.
    pub args: &'a args::Migrate,
    /// Of all choices and patterns.
    pub seed: u64,
    /// Of the nodes, and of anonymous memory.
    pub sizes: Sizes,
    /// Files without a byte, for the report.
    pub empty_files: u64,
}

impl Session<'_> {
    /// Opens, loads, works, verifies.
    pub fn run(&self, files: Vec<Prepared>, progress: &mut Progress) -> Result<Report, Failure> {
        let cache = self.sizes.build()?;
        let subjects = self.open(files, &cache, progress)?;
        let pages = subjects.iter().map(Subject::pages).sum::<u64>();
        load(&subjects, pages.min(self.sizes.pages()), progress)?;

        let findings = Findings::new(subjects.iter().map(|it| it.name.clone()).collect());
        let crew = Crew::new(&subjects, self.seed, &findings);
        let (_watchdog, beats) = watch(self.readers(), self.args.writers);
        let how = Migrate::new().mode(self.args.mode.into()).form(self.args.form.into());
        let streams = self.sizes.stream(pages);
        let (rounds, lasts) = (self.args.rounds, self.args.lasts);
        let mover = Mover { how: &how, rounds, lasts, streams, beat: &beats[0] };
        let worked = self.work(&crew, &mover, &beats[1..], progress);

        let beat = &beats[0];
        let mut verifier = Verifier { seed: self.seed, findings: &findings, beat, bytes: [0; 3] };
        verifier.in_cache(&subjects, progress);
        sync(&subjects, &findings, progress);
        verifier.on_disk(&subjects, progress);
        machine::count(&cache, self.sizes.anon, &findings);
        if lasts.is_some() {
            let nodes = self.sizes.fast + self.sizes.slow;
            soak::judge(&worked.moved.memory, nodes, worked.longest_own_stall, &findings);
        }
        Ok(self.report(&cache, &subjects, &worked, verifier.bytes, &findings))
    }

    /// How many reading threads.
    fn readers(&self) -> u64 {
        self.args.readers.unwrap_or_else(|| machine::cores().saturating_sub(1).clamp(1, 16))
    }

    /// Opens everything in the cache.
    fn open(
        &self,
        files: Vec<Prepared>,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<Vec<Subject>, Failure> {
        let Self { args, seed, sizes, .. } = self;
        let bytes: u64 = files.iter().map(|file| file.len).sum();
        progress.step(&format!(
            "{} ({}) and {} of anonymous memory",
            many(files.len() as u64, "file"),
            size::show(bytes),
            size::show(sizes.anon)
        ));
        let mut subjects = Vec::new();
        for (number, file) in (0..).zip(files) {
            subjects.push(Subject::file(number, file, cache, args.order, args.writers)?);
        }
        if sizes.anon > 0 {
            let (number, pages) = (subjects.len() as u32, sizes.anon / PAGE_SIZE as u64);
            let made = Subject::anonymous(number, pages, cache, args.order, args.writers, *seed);
            subjects.push(made.map_err(|error| Failure::unusable(error.to_string()))?);
        }
        Ok(subjects)
    }

    /// Readers and writers run, first at rest, then while the mover moves.
    fn work(
        &self,
        crew: &Crew<'_>,
        mover: &Mover<'_>,
        beats: &[Beat],
        progress: &mut Progress,
    ) -> Worked {
        let (reading, writing) = beats.split_at(self.readers() as usize);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..)
                .zip(reading)
                .map(|(number, beat)| scope.spawn(move || crew.read(number, beat)))
                .collect();
            for (number, beat) in (0..).zip(writing) {
                scope.spawn(move || crew.write(number, beat));
            }
            let over = crew.over_at_last();
            progress.step("at rest: readers and writers run, nothing moves");
            let rest = Instant::now();
            while rest.elapsed() < REST && !signal::stopped() {
                std::thread::sleep(Duration::from_millis(20));
                progress.now(|| "at rest".into());
            }
            let rested = rest.elapsed();
            crew.enter(Phase::Moving);
            let moved = mover.run(crew, progress);
            drop(over);
            let mut read = Read::default();
            for thread in threads {
                let one = thread.join().expect("a reader does not panic");
                read.rest.merge(&one.rest);
                read.moving.merge(&one.moving);
            }
            Worked { read, rested, moved, longest_own_stall: crew.longest_own_stall() }
        })
    }

    /// Puts together what was counted.
    fn report(
        &self,
        cache: &Cache,
        subjects: &[Subject],
        worked: &Worked,
        verified: [u64; 3],
        findings: &Findings,
    ) -> Report {
        let Worked { read, rested, moved, longest_own_stall } = worked;
        let idle = |stall| Phases { stall, lasted: *rested };
        let moving = |stall| Phases { stall, lasted: moved.took };
        let kinds = Kinds::new(|kind| {
            Figures::new(
                moved.tally.of(kind),
                &idle(read.rest.of(kind).clone()),
                &moving(read.moving.of(kind).clone()),
                verified[slot(kind)],
                findings.mismatches(kind),
            )
        });
        let total = Figures::new(
            &moved.tally.total(),
            &idle(read.rest.total()),
            &moving(read.moving.total()),
            verified.iter().sum(),
            KINDS.into_iter().map(|kind| findings.mismatches(kind)).sum(),
        );
        Report {
            version: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
            options: machine::options(self.args, self.sizes, self.readers()),
            machine: machine::facts(cache),
            interrupted: signal::stopped(),
            files: subjects.iter().filter(|subject| subject.is_named()).count() as u64,
            empty_files: self.empty_files,
            rounds: moved.rounds,
            seconds_moving: moved.took.as_secs_f64(),
            not_resident: moved.not_resident,
            pages_written: subjects.iter().map(|subject| subject.journal.writes()).sum(),
            longest_own_stall_ns: longest_own_stall.as_nanos() as u64,
            memory: moved.memory,
            total,
            kinds,
            first_mismatch: findings.first(),
            trouble: findings.trouble(),
        }
    }
}

/// What came of the work.
#[derive(Debug)]
struct Worked {
    /// What the readers counted.
    read: Read,
    /// How long nothing moved.
    rested: Duration,
    /// What was moved.
    moved: Moved,
    /// Of a reader while pages moved, without waits for a processor.
    longest_own_stall: Duration,
}

/// Reads pages in until there is no `room` for more.
fn load(subjects: &[Subject], room: u64, progress: &mut Progress) -> Result<(), Failure> {
    let batch = CHUNK / PAGE_SIZE;
    let mut loaded = 0;
    for subject in subjects {
        for first in (0..subject.pages()).step_by(batch) {
            if signal::stopped() {
                return Err(Failure::interrupted());
            }
            if loaded >= room {
                return Ok(());
            }
            let pages = first..(first + batch as u64).min(subject.pages());
            loaded += pages.end - pages.start;
            subject
                .load(pages)
                .map_err(|error| Failure::unusable(format!("{}: {error}", subject.name)))?;
            progress.tick(|| "reading pages into the cache".into(), loaded, room);
        }
    }
    Ok(())
}

/// Watches the main thread, the readers and the writers.
fn watch(readers: u64, writers: u64) -> (Watchdog, Arc<[Beat]>) {
    let numbered = |what: &'static str| move |number| format!("{what} {number}");
    let names = std::iter::once("the thread that moves pages".to_owned())
        .chain((0..readers).map(numbered("reader")))
        .chain((0..writers).map(numbered("writer")));
    Watchdog::new(names, watchdog::LIMIT, |name| {
        signal::tell(&format!(
            "refolio: NOT WELL: {name} has been waiting in the engine for more than {} s; a page \
             is lost, or a wake-up. Nothing can be verified any more.",
            watchdog::LIMIT.as_secs()
        ));
        signal::quit(Exit::Differs)
    })
}

/// Syncs every file that was written.
fn sync(subjects: &[Subject], findings: &Findings, progress: &mut Progress) {
    for (number, subject) in (0..).zip(subjects) {
        if subject.journal.writes() > 0
            && let Err(error) = subject.sync()
        {
            findings.failed(&format!("the last sync of {}", subject.name), &error);
        }
        progress.tick(|| "syncing".into(), number, subjects.len() as u64);
    }
}
