//! How near Refolio comes to what the machine can do: each of its speeds beside the physical limit,
//! measured in turn with it, as a ratio.
//!
//! ```text
//! cargo bench -p refolio --bench limits [-- NAME…] [--size MIB] [--reps N] [--json FILE]
//! ```
//! NAME is one or more of `hit`, `moves`, `readers`, `stream`, `others`; without one, all are run.
//! Each figure is the median of several repetitions, and stands between the least and the greatest;
//! a ratio is the median of the ratios of the repetitions. Disturbed ones are thrown away and
//! repeated (see `noise.rs`). Exit status 1: something that must be reached was not.

mod arena;
mod bare;
mod hit;
mod moves;
mod noise;
mod others;
mod readers;
mod resident;
mod stream;
mod table;

use std::process::ExitCode;

use table::Row;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Bytes that are resident.
    pub bytes: usize,
    /// Undisturbed repetitions of each measurement.
    pub reps: usize,
    /// CPUs that this process may use.
    pub cpus: usize,
}

/// A bench of this program.
type Bench = fn(Plan) -> Vec<Row>;

const BENCHES: [(&str, Bench); 5] = [
    ("hit", hit::rows),
    ("moves", moves::rows),
    ("readers", readers::rows),
    ("stream", stream::rows),
    ("others", others::rows),
];

struct Args {
    names: Vec<String>,
    plan: Plan,
    json: Option<String>,
}

fn main() -> ExitCode {
    if stream::is_child() {
        stream::child();
        return ExitCode::SUCCESS;
    }
    let args = match parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("limits: {wrong}");
            return ExitCode::from(2);
        }
    };
    noise::ask_for_priority();
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|n| n == name);
    let mut rows = Vec::new();
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        eprintln!("limits: {name} ...");
        rows.extend(bench(args.plan));
    }
    print!("{}", table::plain(&rows));
    if let Some(path) = args.json
        && let Err(error) = std::fs::write(&path, table::json(&rows))
    {
        eprintln!("limits: cannot write {path}: {error}");
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(rows.iter().any(|row| row.is_met() == Some(false))))
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    let plan = Plan { bytes: 1 << 30, reps: 9, cpus };
    let mut parsed = Args { names: Vec::new(), plan, json: None };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| {
            text.parse::<usize>().ok().filter(|n| *n > 0).ok_or(format!("{text}: not a number"))
        };
        match arg.as_str() {
            "--bench" => {} // What `cargo bench` tells every bench.
            "--size" => parsed.plan.bytes = number(value()?)? << 20,
            "--reps" => parsed.plan.reps = number(value()?)?,
            "--json" => parsed.json = Some(value()?),
            name if BENCHES.iter().any(|(known, _)| *known == name) => parsed.names.push(arg),
            _ => return Err(format!("what is {arg}? see the head of benches/limits/main.rs")),
        }
    }
    if parsed.plan.bytes < 16 << 20 {
        return Err("--size: 16 MiB at least".into());
    }
    Ok(parsed)
}
