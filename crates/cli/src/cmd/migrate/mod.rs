//! `refolio migrate`: the main job.
//!
//! 1. *open*: refuse what cannot be used, make or copy files, build the cache, load the pages;
//! 2. *rest*: readers and writers run for a moment, and nothing moves;
//! 3. *moving*: the same readers and writers run while every page goes to the other node and back;
//! 4. *end*: stop, compare everything in the cache, sync, and compare everything again through the
//!    ordinary file system.
//!
//! What readers read is checked at once; see [`stamp`] for how bytes say where they belong, and
//! [`journal`] for how it is known which bytes are right.

mod damage;
mod findings;
pub mod inputs;
mod journal;
mod machine;
mod mover;
mod numbers;
mod prepare;
mod progress;
mod report;
mod stamp;
mod subjects;
mod table;
mod verify;
mod watchdog;
mod workers;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use refolio::{Cache, PAGE_SIZE, PageIndex};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::signal::{self, Scratch};
use crate::size;
use findings::Findings;
use inputs::Inputs;
use machine::Sizes;
use mover::{Moved, Mover};
use numbers::{KINDS, slot};
use prepare::Prepared;
use progress::Progress;
use report::{Figures, Kinds, Phase as Phases, Report};
use subjects::Subject;
use verify::Verifier;
use watchdog::{Beat, Watchdog};
use workers::{Crew, Phase, Read};

/// How long readers and writers run before pages begin to move.
const REST: Duration = Duration::from_millis(1500);

/// Runs the command.
pub fn run(args: &args::Migrate) -> Result<Exit, Failure> {
    signal::listen()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let inputs = inputs::gather(&args.paths, args.write)?;
    let copies = !args.write && args.writers > 0 && !inputs.files.is_empty();
    let file_bytes = match copies {
        _ if args.paths.is_empty() => args.sample,
        true => inputs.bytes() * 2,
        false => inputs.bytes(),
    };
    let sizes = Sizes::choose(args, file_bytes)?;
    machine::allow_open_files(inputs.files.len() as u64 * if copies { 2 } else { 1 })?;
    let json = args.json.as_deref().map(open_json).transpose()?;
    let mut progress = Progress::new();
    progress.step(&format!("refolio {}, seed {seed}", env!("CARGO_PKG_VERSION")));

    let scratch = (args.paths.is_empty() || copies).then(Scratch::new).transpose()?;
    let files = match &scratch {
        Some(folder) if args.paths.is_empty() => {
            vec![prepare::sample(args.sample, seed, folder, &mut progress)?]
        }
        scratch => prepare::originals(
            &inputs,
            scratch.as_ref().filter(|_| copies),
            args.write,
            &mut progress,
        )?,
    };
    let report = session(args, seed, &inputs, files, sizes, &mut progress)?;
    // The folder goes before the report comes: whoever reads the report finds nothing left.
    drop(scratch);
    drop(progress);
    let exit = report.exit();
    tell(&report, json);
    Ok(exit)
}

/// Everything between the files on the disk and the report.
fn session(
    args: &args::Migrate,
    seed: u64,
    inputs: &Inputs,
    files: Vec<Prepared>,
    sizes: Sizes,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let anon_pages = sizes.anon / PAGE_SIZE as u64;
    let pages = files.iter().map(|file| PageIndex::count(file.len)).sum::<u64>() + anon_pages;
    let cache = sizes.build()?;
    let subjects = open(args, seed, files, anon_pages, &cache, progress)?;
    load(&subjects, pages.min((sizes.fast + sizes.slow) / PAGE_SIZE as u64), progress)?;

    let findings = Findings::new(subjects.iter().map(|subject| subject.name.clone()).collect());
    let crew = Crew::new(&subjects, seed, &findings);
    let readers = readers(args);
    let (_watchdog, beats) = watch(readers, args.writers);
    let how = refolio::Migrate::default().mode(args.mode.into()).form(args.form.into());
    let streams = sizes.stream(pages);
    let mover = Mover { how: &how, rounds: args.rounds, streams, beat: &beats[0] };
    let (read, rested, moved) = work(&crew, &mover, &beats[1..], readers, progress);

    let mut verifier = Verifier { seed, findings: &findings, beat: &beats[0], bytes: [0; 3] };
    verifier.in_cache(&subjects, progress);
    sync(&subjects, &findings, progress);
    verifier.on_disk(&subjects, progress);
    machine::count(&cache, sizes.anon, &findings);

    let idle = |stall| Phases { stall, lasted: rested };
    let moving = |stall| Phases { stall, lasted: moved.took };
    let kinds = Kinds::new(|kind| {
        Figures::new(
            moved.tally.of(kind),
            &idle(read.rest.of(kind).clone()),
            &moving(read.moving.of(kind).clone()),
            verifier.bytes[slot(kind)],
            findings.mismatches(kind),
        )
    });
    let total = Figures::new(
        &moved.tally.total(),
        &idle(read.rest.total()),
        &moving(read.moving.total()),
        verifier.bytes.iter().sum(),
        KINDS.into_iter().map(|kind| findings.mismatches(kind)).sum(),
    );
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        seed,
        options: machine::options(args, sizes, readers),
        machine: machine::facts(&cache),
        interrupted: signal::stopped(),
        files: subjects.iter().filter(|subject| subject.is_named()).count() as u64,
        empty_files: inputs.empty,
        rounds: moved.rounds,
        seconds_moving: moved.took.as_secs_f64(),
        not_resident: moved.not_resident,
        pages_written: subjects.iter().map(|subject| subject.journal.writes()).sum(),
        total,
        kinds,
        first_mismatch: findings.first(),
        trouble: findings.trouble(),
    })
}

/// How many reading threads.
fn readers(args: &args::Migrate) -> u64 {
    args.readers.unwrap_or_else(|| machine::cores().saturating_sub(1).clamp(1, 16))
}

/// Opens everything in the cache.
fn open(
    args: &args::Migrate,
    seed: u64,
    files: Vec<Prepared>,
    anon_pages: u64,
    cache: &Cache,
    progress: &Progress,
) -> Result<Vec<Subject>, Failure> {
    let bytes: u64 = files.iter().map(|file| file.len).sum();
    progress.step(&format!(
        "{} ({}) and {} of anonymous memory",
        report::many(files.len() as u64, "file"),
        size::show(bytes),
        size::show(anon_pages * PAGE_SIZE as u64)
    ));
    let mut subjects = Vec::new();
    for (number, file) in (0..).zip(files) {
        subjects.push(Subject::file(number, file, cache, args.order, args.writers)?);
    }
    if anon_pages > 0 {
        let number = subjects.len() as u32;
        let anonymous =
            Subject::anonymous(number, anon_pages, cache, args.order, args.writers, seed);
        subjects.push(anonymous.map_err(|error| Failure::unusable(error.to_string()))?);
    }
    Ok(subjects)
}

/// Reads pages in until there is no `room` for more.
fn load(subjects: &[Subject], room: u64, progress: &mut Progress) -> Result<(), Failure> {
    let batch = prepare::CHUNK / PAGE_SIZE;
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
fn watch(readers: u64, writers: u64) -> (Watchdog, std::sync::Arc<[Beat]>) {
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

/// Readers and writers run, first at rest, then while the mover moves. The answer is what the
/// readers counted, how long the rest was, and what was moved.
fn work(
    crew: &Crew<'_>,
    mover: &Mover<'_>,
    beats: &[Beat],
    readers: u64,
    progress: &mut Progress,
) -> (Read, Duration, Moved) {
    std::thread::scope(|scope| {
        let (reading, writing) = beats.split_at(readers as usize);
        let threads: Vec<_> = (0..)
            .zip(reading)
            .map(|(number, beat)| scope.spawn(move || crew.read(number, beat)))
            .collect();
        for (number, beat) in (0..).zip(writing) {
            scope.spawn(move || crew.write(number, beat));
        }
        let over = crew.over_at_last();
        let rest = Instant::now();
        while rest.elapsed() < REST && !signal::stopped() {
            std::thread::sleep(Duration::from_millis(20));
            progress.now(|| "at rest: readers and writers run, nothing moves".into());
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
        (read, rested, moved)
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

/// Where the JSON goes, opened before anything starts. None: standard output.
fn open_json(path: &Path) -> Result<Option<File>, Failure> {
    if path == Path::new("-") {
        return Ok(None);
    }
    File::create(path).map(Some).map_err(|error| {
        Failure::unusable(format!("{}: {error}: --json needs a writable place", path.display()))
    })
}

/// Prints the report; a reader of it that has gone away is nobody's problem.
fn tell(report: &Report, json: Option<Option<File>>) {
    let lines = machine::lines(report).into_iter().chain(table::lines(report));
    let text = lines.map(|line| line + "\n").collect::<String>();
    let json_text = || serde_json::to_string_pretty(report).expect("numbers and strings") + "\n";
    let told = match json {
        None => std::io::stdout().write_all(text.as_bytes()),
        Some(None) => {
            signal::tell(&text);
            std::io::stdout().write_all(json_text().as_bytes())
        }
        Some(Some(mut file)) => std::io::stdout()
            .write_all(text.as_bytes())
            .and_then(|()| file.write_all(json_text().as_bytes())),
    };
    if let Err(error) = told {
        signal::tell(&format!("refolio: the report could not be written: {error}"));
    }
}
