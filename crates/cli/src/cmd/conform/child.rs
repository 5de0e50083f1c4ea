//! A case that is held against the kernel, in a process of its own: what kills that process, or
//! hangs in it, costs one case and not the run.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use refolio_conformance::event::{Answer, Event, Judged, Wronged};
use refolio_conformance::subjects::linux::{self, LinuxCase, Profile};

use super::here;
use crate::exit::{Exit, Failure};
use crate::signal;

/// How a case's process is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folders of this run, one below each that was named.
    pub dirs: Vec<PathBuf>,
    /// Whether it may do what can disturb others.
    pub disruptive: bool,
    /// How long it is played.
    pub profile: Profile,
}

/// How long a case may wait for its threads.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long a case's process may live, beyond all that it may wait for itself.
const GRACE: Duration = Duration::from_secs(60);

/// How long a process may take to die.
const AGONY: Duration = Duration::from_secs(5);

/// Plays the case in this process, which is its own: the verdict is all that it says.
pub fn play(case: &'static LinuxCase, seed: u64, settings: &Settings) -> Result<Exit, Failure> {
    signal::listen_quietly()?;
    // Whoever started this may be killed.
    let death = rustix::process::Signal::TERM;
    rustix::process::set_parent_process_death_signal(Some(death))
        .map_err(|error| Failure::broken("prctl", error))?;
    let settings = linux::Settings {
        seed,
        length: settings.profile.length(),
        hope: settings.profile.hope(),
        patience: PATIENCE,
        dirs: settings.dirs.clone(),
        disruptive: settings.disruptive,
        stopped: signal::stopped,
    };
    let outcome = linux::run(case, &settings);
    println!("{}", Event::Verdict(here::judged(&outcome)).line());
    Ok(Exit::Well)
}

/// Plays the case in a process of its own; its verdict, and what else it said.
pub fn run(
    case: &'static LinuxCase,
    seed: u64,
    settings: &Settings,
) -> Result<(Judged, Vec<String>), Failure> {
    let start = Instant::now();
    if let Some(need) = linux::lacks(case, &settings.dirs, settings.disruptive) {
        return Ok((skipped(case, seed, need.text()), Vec::new()));
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::broken("finding this program itself", error))?;
    let mut command = Command::new(program);
    command.args(["conform", "--subject", "linux", "--one", "--case", &case.name]);
    command.args(["--seed", &seed.to_string(), "--profile", name(settings.profile)]);
    command.args(settings.dirs.iter().flat_map(|dir| [Path::new("--dir"), dir]));
    command.args(settings.disruptive.then_some("--disruptive"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| Failure::broken("starting a case's process", error))?;
    let (status, hung) = wait(&mut child, limit(settings.profile))?;
    let read = |from: Option<&mut dyn Read>| {
        let mut text = String::new();
        // Of a process that cannot be killed, nothing is read: its end of the pipe stays open.
        if let Some(from) = from.filter(|_| status.is_some()) {
            let _ = from.read_to_string(&mut text);
        }
        text
    };
    let out = read(child.stdout.as_mut().map(|out| out as &mut dyn Read));
    let err = read(child.stderr.as_mut().map(|err| err as &mut dyn Read));
    let notes = err.lines().map(str::to_owned).collect();
    let verdict = out.lines().find_map(|line| match Event::of_line(line) {
        Some(Event::Verdict(judged)) => Some(judged),
        _ => None,
    });
    let judged = verdict.unwrap_or_else(|| {
        if signal::stopped() && hung.is_none() {
            return skipped(case, seed, "an end of its own: it was stopped as it began");
        }
        let (wrong, detail) = hung.map_or_else(|| died(status), |stacks| ("hung", stacks));
        without_a_word(case, seed, wrong, detail, start.elapsed())
    });
    Ok((judged, notes))
}

/// How long a case's process may take.
pub fn limit(profile: Profile) -> Duration {
    profile.length() + profile.hope() * linux::MOST_HOPE + PATIENCE + GRACE
}

fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Quick => "quick",
        Profile::Full => "full",
        Profile::Soak => "soak",
    }
}

/// Waits for the process, and kills it when it takes too long: where it hung.
fn wait(
    child: &mut Child,
    limit: Duration,
) -> Result<(Option<ExitStatus>, Option<String>), Failure> {
    let start = Instant::now();
    let mut asked = false;
    loop {
        let ended = child.try_wait();
        if let Some(status) = ended.map_err(|error| Failure::broken("waiting for a case", error))? {
            return Ok((Some(status), None));
        }
        if signal::stopped() && !asked {
            asked = true;
            ask_to_end(child);
        }
        if start.elapsed() > limit {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let stacks = stacks(child.id());
    // One that has just ended cannot be killed, and need not be.
    let _ = child.kill();
    let dying = Instant::now();
    while dying.elapsed() < AGONY {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok((Some(status), Some(format!("killed after {limit:?}; {stacks}"))));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok((None, Some(format!("not even killed after {limit:?}; {stacks}"))))
}

fn ask_to_end(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // One that has just ended need not be asked.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Where in the kernel the process's threads are, as far as that is shown.
fn stacks(pid: u32) -> String {
    let mut told = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let (name, stack) = (read("comm"), read("stack"));
        let calls: Vec<_> =
            stack.lines().filter_map(|line| line.split_whitespace().last()).collect();
        told.push(format!("{} in {}", name.trim(), calls.join(" < ")));
    }
    told.join("; ")
}

fn died(status: Option<ExitStatus>) -> (&'static str, String) {
    use std::os::unix::process::ExitStatusExt;
    let status = status.map(|status| (status.signal(), status.code()));
    (
        "died",
        match status {
            Some((Some(signal), _)) => format!("the case's process died of signal {signal}"),
            Some((_, Some(code))) => {
                format!("the case's process ended with {code}, without a verdict")
            }
            _ => "the case's process ended without a verdict".into(),
        },
    )
}

fn skipped(case: &LinuxCase, seed: u64, what: &str) -> Judged {
    let nothing = without_a_word(case, seed, "", String::new(), Duration::ZERO);
    let (verdict, reason) = (Answer::Skip, Some(what.into()));
    Judged { verdict, reason, failures: Vec::new(), ..nothing }
}

fn without_a_word(
    case: &LinuxCase,
    seed: u64,
    wrong: &str,
    detail: String,
    elapsed: Duration,
) -> Judged {
    Judged {
        case: case.name.clone(),
        seed,
        verdict: Answer::Fail,
        reason: None,
        failures: vec![Wronged { wrong: wrong.into(), detail }],
        moved: 0,
        busy: 0,
        facts: Vec::new(),
        at_ms: 0,
        elapsed_ms: elapsed.as_millis() as u64,
    }
}
