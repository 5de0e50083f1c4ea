//! `refolio conform`: holds the claims against a subject.

mod child;
mod folders;
mod here;
mod kernel_log;
pub mod outputs;
mod plan;
pub mod report;
pub mod told;

use std::io::Write;
use std::time::Instant;

use refolio_conformance::event::{Answer, Event, Judged, Wronged};
use refolio_conformance::subjects::linux;
use refolio_conformance::{Gaps, Subject};

use crate::args::{Conform, Repeat, SubjectName};
use crate::exit::{Exit, Failure};
use crate::{signal, text};
pub use child::limit;
use kernel_log::KernelLog;
use plan::Planned;
pub use plan::named;
use told::Run;

/// Runs the command.
pub fn run(args: &Conform) -> Result<Exit, Failure> {
    let cases = plan::cases(args)?;
    if args.list {
        list(&cases);
        return Ok(Exit::Well);
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    if args.one {
        let [Planned::Linux(case)] = cases[..] else {
            return Err(Failure::unusable("--one: name one case of --subject linux"));
        };
        let settings = settings(args, args.dir.clone());
        return child::play(case, seed, &settings);
    }
    signal::listen()?;
    let outputs = outputs::Outputs::open(&args.reports, args.stream)?;
    let is_linux = args.subject == SubjectName::Linux;
    let scratch = if is_linux { folders::make(&args.dir)? } else { Vec::new() };
    let dirs = scratch.iter().map(|dir| dir.path().to_owned()).collect();
    let subject = if is_linux { None } else { Some(here::subject(args.subject)?) };
    let mut teller = Teller {
        begun: Instant::now(),
        stream: args.stream,
        run: Run::default(),
        log: KernelLog::open(),
    };
    let start = plan::start(args, seed, cases.len());
    if !args.stream {
        announce(args, &start.about, cases.len(), seed);
    }
    teller.say(Event::Started(start));
    let runner = Runner { subject, settings: settings(args, dirs) };
    rounds(args, &cases, seed, &runner, &mut teller)?;
    let mut finish = teller.run.count();
    finish.at_ms = teller.ms();
    teller.say(Event::Finished(finish.clone()));
    // After the end: a kernel with a mistake may hang in it.
    drop(scratch);
    outputs.tell(&teller.run);
    Ok(match (finish.is_fine(), signal::stopped()) {
        (false, _) => Exit::Differs,
        (true, true) => Exit::Interrupted,
        (true, false) => Exit::Well,
    })
}

fn settings(args: &Conform, dirs: Vec<std::path::PathBuf>) -> child::Settings {
    let (disruptive, profile) = (args.disruptive, args.profile.profile());
    child::Settings { dirs, disruptive, profile }
}

/// Every case, again and again if that is wanted.
fn rounds(
    args: &Conform,
    cases: &[Planned],
    seed: u64,
    runner: &Runner,
    teller: &mut Teller,
) -> Result<(), Failure> {
    for round in 0.. {
        for case in cases {
            if signal::stopped() {
                return Ok(());
            }
            let seed = seed.wrapping_add(round);
            teller.say(Event::Case(case.start(seed, teller.ms())));
            let (judged, notes) = runner.run(case, seed)?;
            teller.judge(judged, notes);
            // After the verdict: a kernel with a mistake may hang in it.
            runner.put_back();
            if args.repeat() == Repeat::UntilFailure && teller.run.bad().next().is_some() {
                return Ok(());
            }
        }
        if matches!(args.repeat(), Repeat::Times(times) if round + 1 >= times) {
            break;
        }
    }
    Ok(())
}

/// Runs cases, wherever they run.
struct Runner {
    /// None: the kernel.
    subject: Option<std::sync::Arc<dyn Subject>>,
    settings: child::Settings,
}

impl Runner {
    fn run(&self, case: &Planned, seed: u64) -> Result<(Judged, Vec<String>), Failure> {
        match (case, &self.subject) {
            (Planned::Linux(case), _) => child::run(case, seed, &self.settings),
            (Planned::Here(case), Some(subject)) => {
                let judged = here::play(case, subject.clone(), seed, self.settings.profile);
                Ok((judged, Vec::new()))
            }
            (Planned::Here(case), None) => {
                Err(Failure::broken("running a case", format!("{} has no subject", case.name)))
            }
        }
    }

    /// Puts back what a case that died or failed has left changed; one that passed leaves nothing.
    fn put_back(&self) {
        self.settings.dirs.first().into_iter().for_each(|dir| linux::undo(dir));
    }
}

/// Says what happens, to whoever listens.
struct Teller {
    begun: Instant,
    stream: bool,
    run: Run,
    log: KernelLog,
}

impl Teller {
    fn ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn say(&mut self, event: Event) {
        self.run.hear(&event);
        if self.stream {
            // Whoever has stopped listening cannot be told.
            let _ = writeln!(std::io::stdout(), "{}", event.line());
        }
    }

    /// A case has ended: what was said meanwhile, and the verdict, which the kernel may spoil.
    fn judge(&mut self, mut judged: Judged, notes: Vec<String>) {
        let warnings = self.log.warnings();
        let told = |line: &String| kernel_log::wrong(line).map(|wrong| (wrong, line.clone()));
        let wrongs: Vec<_> = warnings.iter().filter_map(told).collect();
        let said =
            notes.into_iter().chain(warnings.into_iter().map(|line| format!("kernel: {line}")));
        for text in said {
            let note = Event::Note { case: Some(judged.case.clone()), at_ms: self.ms(), text };
            self.say(note);
        }
        for (wrong, detail) in wrongs {
            spoil(&mut judged, wrong, detail);
        }
        judged.at_ms = self.ms();
        if !self.stream && !judged.verdict.is_fine() {
            let failure = judged.failures.first();
            let detail = failure.map(|f| format!("{}: {}", f.wrong, f.detail)).unwrap_or_default();
            signal::tell(&format!("{}: {} {detail}", judged.case, judged.verdict.name()));
        }
        self.say(Event::Verdict(judged));
    }
}

/// The kernel itself says that something is wrong: a failure, unless it is a known one.
fn spoil(judged: &mut Judged, wrong: &str, detail: String) {
    let gaps = Gaps::of("linux", Some(&linux::release())).unwrap_or_default();
    let known = gaps.reason(&judged.case, wrong).map(String::from);
    judged.failures.push(Wronged { wrong: wrong.into(), detail });
    match known {
        Some(reason) if judged.verdict.is_fine() => {
            judged.verdict = Answer::ExpectedFailure;
            judged.reason = Some(reason);
        }
        _ => judged.verdict = Answer::Fail,
    }
}

/// The cases, one paragraph each.
fn list(cases: &[Planned]) {
    let mut text = String::new();
    for case in cases {
        let start = case.start(0, 0);
        text += &format!("{}\n", start.case);
        let mut lines = text::wrap(&start.claim, 4);
        lines.extend(text::wrap(&start.source, 8));
        let needs = case.needs();
        if !needs.is_empty() {
            lines.extend(text::wrap(&format!("needs {}", needs.join("; ")), 8));
        }
        text.extend(lines.into_iter().map(|line| line + "\n"));
    }
    // A reader that has gone away has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What is going to happen, before it does.
fn announce(args: &Conform, about: &str, cases: usize, seed: u64) {
    signal::tell(&format!("{about}: {cases} cases, profile {}, seed {seed}", args.profile.name()));
    if args.subject != SubjectName::Linux {
        return signal::tell("in this process and its memory; no file is touched");
    }
    let dirs: Vec<_> = args.dir.iter().map(|dir| dir.display().to_string()).collect();
    let place =
        if dirs.is_empty() { "the place for temporary files".into() } else { dirs.join(", ") };
    signal::tell(&format!("files are made below {place}, in a folder that goes afterwards"));
    signal::tell(match (args.disruptive, rustix::process::geteuid().is_root()) {
        (true, true) => {
            "--disruptive: caches are dropped, memory is compacted and taken offline and online, \
             frames are taken offline for good, KSM, swap, huge pages and a cpuset are set up and \
             put back"
        }
        (true, false) => "--disruptive has no effect: only root can disturb the whole machine",
        (false, _) => {
            "nothing is done that disturbs other programs; what would need that is skipped \
             (--disruptive)"
        }
    });
}
