//! `refolio check`: the protocol under the model checker. Every scene of every meeting in every form
//! of the check before the freeze; then what each form would be without one of the things it relies
//! on; and for each protection that is taken away, the execution that misses it.

pub mod args;
mod breaks;
mod forms;
mod output;
mod play;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use refolio_check::judge::{Job, Judged, Plan, judge};
use refolio_check::scene::{self, Named};

use crate::cmd::migrate::progress::Progress;
use crate::exit::{Exit, Failure};
use crate::{signal, size};
use args::Check;

/// Set when the command is to end early.
static STOP: AtomicBool = AtomicBool::new(false);

/// Runs the command.
pub fn run(args: &Check) -> Result<Exit, Failure> {
    signal::listen()?;
    if args.list {
        return Ok(output::list());
    }
    let scenes = scenes(args)?;
    if let Some(schedule) = &args.replay {
        return play::replay(args, &scenes, schedule);
    }
    match args.broken.as_deref() {
        None => forms::run(args, &scenes),
        Some("all") => breaks::all(args),
        Some(name) => breaks::one(args, name),
    }
}

/// The scenes that are asked for.
fn scenes(args: &Check) -> Result<Vec<Named>, Failure> {
    let mut scenes = match &args.scene {
        None => scene::all(),
        Some(name) => scene::find(name),
    };
    if scenes.is_empty() {
        let name = args.scene.as_deref().unwrap_or_default();
        return Err(Failure::unusable(format!("--scene {name}: there is none; see --list")));
    }
    scenes.retain(|scene| args.threads.is_none_or(|threads| threads == scene.threads as u64));
    if scenes.is_empty() {
        let threads = args.threads.unwrap_or_default();
        let line = format!("--threads {threads}: no such scene has so many; see --list");
        return Err(Failure::unusable(line));
    }
    Ok(scenes)
}

/// How to judge what is asked for.
fn plan(args: &Check) -> Plan {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let budget = match args.budget {
        0 => Duration::from_secs(365 * 24 * 3600),
        seconds => Duration::from_secs(seconds),
    };
    let (preemptions, walk) = (args.preemptions, args.walk);
    Plan { budget, preemptions, walk, side_by_side: cores, stop: &STOP }
}

/// Searches with progress on standard error.
fn searched(jobs: &[Job], plan: &Plan) -> Vec<Judged> {
    let progress = std::sync::Mutex::new(Progress::new());
    let ended = |done: usize, judged: &Judged| {
        if signal::stopped() {
            STOP.store(true, Relaxed);
        }
        let Ok(mut progress) = progress.lock() else { return };
        let name = &judged.job.scene.name;
        progress.tick(|| format!("searching, {name} was last"), done as u64, jobs.len() as u64);
    };
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        // Ctrl-C ends the searches that run, not only those that have not begun.
        scope.spawn(move || {
            while !over.load(Relaxed) {
                if signal::stopped() {
                    STOP.store(true, Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let judged = judge(jobs, plan, ended);
        over.store(true, Relaxed);
        judged
    })
}

/// How many executions, in few characters: `817`, `5,197`, `63k`, `1.2M`.
fn brief(executions: u64) -> String {
    match executions {
        0..10_000 => size::count(executions),
        10_000..1_000_000 => format!("{}k", executions / 1_000),
        _ => format!("{:.1}M", executions as f64 / 1e6),
    }
}
