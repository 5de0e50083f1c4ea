//! Listens to a machine until it is off, and says how that came about.

use std::time::{Duration, Instant};

use refolio_conformance::event::Event;

use super::klog::{Fault, Log, without_time};
use super::plan::{MARK, Said};
use super::qemu::{Heard, Machine};
use crate::cmd::conform::told::Run;
use crate::signal;

/// How often it is looked whether somebody wants to stop.
const BEAT: Duration = Duration::from_millis(100);

/// A machine that has panicked is off within this time.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How long a machine may say nothing.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before the first line of its kernel.
    pub first: Duration,
    /// From then until it is up.
    pub boot: Duration,
    /// Afterwards.
    pub work: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The job ended, the disks were unmounted, the machine went off.
    Whole,
    /// The kernel has not said a word.
    Mute,
    /// The guest could not do its job.
    Cannot(String),
    /// The machine fell silent for this long.
    Silent(Duration),
    /// The machine went off in the middle.
    Off,
    /// The job was ended by something else than itself: a signal, or a code that it does not have.
    Broken(String),
    /// Somebody wanted it to stop.
    Stopped,
}

/// Something the kernel told of, and the cases that ran then.
#[derive(Clone, Debug)]
pub struct Blamed {
    /// What it told of.
    pub fault: Fault,
    /// Those cases; if none ran, the one before.
    pub cases: Vec<String>,
}

/// All that was heard.
#[derive(Debug)]
pub struct Session {
    /// What the suite told.
    pub told: Run,
    /// The kernel's log.
    pub log: Log,
    /// What the kernel told of.
    pub blamed: Vec<Blamed>,
    /// Whether the guest has come to its job.
    pub up: bool,
    /// What QEMU said.
    pub qemu: Vec<String>,
    /// Whether the job has ended.
    pub ended: bool,
    /// Whether the guest has unmounted its disks.
    pub unmounted: bool,
    /// What in the machine's accounts does not add up: a name, and the figures.
    pub drifts: Vec<(String, String)>,
    /// How it ended.
    pub end: End,
}

/// Listens to the end. `see` is shown each event as it comes.
pub fn watch(
    mut machine: Machine,
    patience: Patience,
    see: &mut dyn FnMut(&Run, &Event),
) -> Session {
    let mut session = Session::new();
    let mut last = Instant::now();
    let mut closed = 0;
    while closed < 3 {
        if signal::stopped() {
            session.end = End::Stopped;
            break;
        }
        let Ok(heard) = machine.heard.recv_timeout(BEAT) else {
            let quiet = last.elapsed();
            if quiet > session.limit(patience) {
                let mute = session.log.lines.is_empty();
                session.end = if mute { End::Mute } else { End::Silent(quiet) };
                break;
            }
            // Without a connection nothing is ever closed.
            if quiet > BEAT * 3 && machine.ended().is_some() {
                break;
            }
            continue;
        };
        if session.hears_life(&heard) {
            last = Instant::now();
        }
        match heard {
            Heard::Console(line) => session.console(&line),
            Heard::Port(line) => session.port(&line, see),
            Heard::Qemu(line) => session.qemu.push(line),
            Heard::Closed => closed += 1,
        }
    }
    session
}

impl Session {
    /// Nothing was heard yet.
    pub fn new() -> Self {
        Self {
            told: Run::default(),
            log: Log::default(),
            blamed: Vec::new(),
            up: false,
            qemu: Vec::new(),
            ended: false,
            unmounted: false,
            drifts: Vec::new(),
            end: End::Off,
        }
    }

    fn limit(&self, patience: Patience) -> Duration {
        let panicked = self.blamed.iter().any(|it| it.fault.name == "kernel panic");
        match (self.up, self.log.lines.is_empty()) {
            _ if panicked => LAST_BREATH,
            (true, _) => patience.work,
            (false, false) => patience.boot,
            (false, true) => patience.first,
        }
    }

    /// Whether that is a sign of life. A kernel that goes on to complain once the job has ended (of
    /// whoever hangs in an unmount, say) gives none.
    fn hears_life(&self, heard: &Heard) -> bool {
        !(self.ended && matches!(heard, Heard::Console(_)))
    }

    /// A line of the kernel's log.
    pub fn console(&mut self, line: &str) {
        if let Some(why) = without_time(line).strip_prefix(MARK) {
            self.end = End::Cannot(why.to_owned());
        }
        if self.log.push(line)
            && let Some(fault) = self.log.faults.last()
        {
            let running: Vec<_> = self.told.running().map(|it| it.case.case.clone()).collect();
            let last = self.told.cases.last().map(|it| it.case.case.clone());
            let cases = if running.is_empty() { last.into_iter().collect() } else { running };
            self.blamed.push(Blamed { fault: fault.clone(), cases });
        }
    }

    fn port(&mut self, line: &str, see: &mut dyn FnMut(&Run, &Event)) {
        let said = Said::of_line(line);
        self.ended |= matches!(said, Some(Said::Ended { .. }));
        match said {
            Some(Said::Up) => self.up = true,
            Some(Said::Cannot { why }) => self.end = End::Cannot(why),
            Some(Said::Ended { code: Some(0 | 1), .. }) => self.end = End::Whole,
            Some(Said::Ended { code, signal }) => self.end = End::Broken(self.how(code, signal)),
            Some(Said::Unmounted { drifts }) => {
                self.unmounted = true;
                self.drifts = drifts;
            }
            None => {}
        }
        let Some(event) = Event::of_line(line) else { return };
        self.told.hear(&event);
        see(&self.told, &event);
    }

    /// How the suite ended, with its own last words.
    fn how(&self, code: Option<i32>, signal: Option<i32>) -> String {
        let words = self.log.lines.iter().rev().find_map(|line| line.strip_prefix("refolio: "));
        match (code, signal, words) {
            (_, Some(signal), _) => format!("the suite was killed by signal {signal}"),
            (Some(_), _, Some(words)) => format!("the suite in the guest: {words}"),
            (code, ..) => format!("the suite ended with exit code {}", code.unwrap_or(-1)),
        }
    }

    /// File systems that were found damaged after the machine was off.
    pub fn end_with(&mut self, damage: Vec<String>) {
        if !damage.is_empty() {
            self.end = End::Broken(damage.join("; "));
        }
    }

    /// What the kernel told of, with all that it said.
    pub fn faults(&self) -> impl Iterator<Item = (&Blamed, &[String])> {
        // A report grows after it has been blamed.
        let pairs = self.blamed.iter().zip(&self.log.faults);
        pairs.map(|(blamed, fault)| (blamed, self.log.report(fault)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_after_the_job_are_no_sign_of_life() {
        let mut session = Session::new();
        let console = Heard::Console("INFO: task umount:1 blocked for more than 30 seconds".into());
        assert!(session.hears_life(&console));
        session.port(&Said::Ended { code: Some(1), signal: None }.line(), &mut |_, _| {});
        assert!(!session.hears_life(&console));
        assert!(session.hears_life(&Heard::Port(String::new())));
    }
}
