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
pub mod progress;
mod report;
mod session;
mod soak;
mod stamp;
mod subjects;
mod table;
mod verify;
mod watchdog;
mod workers;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::signal::{self, Scratch};
use inputs::Inputs;
use machine::Sizes;
use progress::Progress;
use report::Report;
use session::Session;

/// Runs the command.
pub fn run(args: &args::Migrate) -> Result<Exit, Failure> {
    signal::listen()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let inputs = inputs::gather(&args.paths, args.write)?;
    let copies = !args.write && args.writers > 0 && !inputs.files.is_empty();
    let each = if copies { 2 } else { 1 };
    let bytes = if args.paths.is_empty() { args.sample } else { inputs.bytes() * each };
    let sizes = Sizes::choose(args, bytes)?;
    machine::allow_open_files(inputs.files.len() as u64 * each)?;
    let json = args.json.as_deref().map(|path| open_json(path, &inputs)).transpose()?;
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
    let session = Session { args, seed, sizes, empty_files: inputs.empty };
    let report = session.run(files, &mut progress)?;
    // The folder goes before the report comes: whoever reads the report finds nothing left.
    drop(scratch);
    drop(progress);
    let exit = report.exit();
    tell(&report, json);
    Ok(exit)
}

/// Where the JSON goes, opened before anything starts. None: standard output.
fn open_json(path: &Path, inputs: &Inputs) -> Result<Option<File>, Failure> {
    if path == Path::new("-") {
        return Ok(None);
    }
    if inputs.contain(path) {
        let path = path.display();
        return Err(Failure::unusable(format!("--json {path} would overwrite one of the files")));
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
    let out = |text: &str| std::io::stdout().write_all(text.as_bytes());
    let told = match json {
        None => out(&text),
        Some(None) => {
            signal::tell(&text);
            out(&json_text())
        }
        Some(Some(mut file)) => file.write_all(json_text().as_bytes()).and_then(|()| out(&text)),
    };
    if let Err(error) = told {
        signal::tell(&format!("refolio: the report could not be written: {error}"));
    }
}
