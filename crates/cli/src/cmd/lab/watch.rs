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
    /// How long it may take to go off once the suite has ended, whatever it says meanwhile.
    pub end: Duration,
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
    /// The suite has ended, and the machine did not go off: for so long, and the last that was heard.
    Lingers(Duration, String),
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
    /// Those cases; if none ran, the one before; none once the suite has ended.
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
    /// When the job had ended, and how many lines the log had then.
    pub ended: Option<(Instant, usize)>,
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
        if session.lingers(patience.end) {
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
            ended: None,
            unmounted: false,
            drifts: Vec::new(),
            end: End::Off,
        }
    }

    fn limit(&self, patience: Patience) -> Duration {
        let panicked = self.blamed.iter().any(|it| it.fault.name == "kernel panic");
        match (self.up, self.log.lines.is_empty()) {
            _ if panicked => LAST_BREATH,
            // It lingers, then, whether it says anything or not.
            (true, _) if self.ended.is_some() => Duration::MAX,
            (true, _) => patience.work,
            (false, false) => patience.boot,
            (false, true) => patience.first,
        }
    }

    /// Whether that is a sign of life. A kernel that complains (of whoever hangs between two cases,
    /// say) gives none: once the guest is up, verdicts do.
    fn hears_life(&self, heard: &Heard) -> bool {
        !(self.up && matches!(heard, Heard::Console(_)))
    }

    /// Whether the machine should have been off by now, so long after the suite's end; that is its
    /// end, then.
    fn lingers(&mut self, limit: Duration) -> bool {
        let Some(since) = self.ended.map(|(at, _)| at.elapsed()).filter(|since| *since >= limit)
        else {
            return false;
        };
        let last = match &self.end {
            End::Cannot(why) | End::Broken(why) => why.clone(),
            _ => self.log.lines.last().map_or("", |line| without_time(line)).to_owned(),
        };
        self.end = End::Lingers(since, last);
        true
    }

    /// Whether the kernel, before it was up, came upon a breakpoint that it did not know of. It sets
    /// some while it changes its own code, and under translation may meet one that is gone.
    pub fn lost_in_translation(&self) -> bool {
        let first = self.blamed.first().map(|blamed| &blamed.fault);
        !self.up && first.is_some_and(|fault| fault.line.contains("int3: "))
    }

    /// What the kernel has said since the suite had ended.
    pub fn last_words(&self) -> &[String] {
        self.ended.map_or(&[], |(_, lines)| &self.log.lines[lines..])
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
            let cases = match last {
                Some(last) if running.is_empty() && self.ended.is_none() => vec![last],
                _ => running,
            };
            self.blamed.push(Blamed { fault: fault.clone(), cases });
        }
    }

    fn port(&mut self, line: &str, see: &mut dyn FnMut(&Run, &Event)) {
        let (said, event) = (Said::of_line(line), Event::of_line(line));
        if matches!(said, Some(Said::Ended { .. })) || matches!(event, Some(Event::Finished(_))) {
            self.ended.get_or_insert_with(|| (Instant::now(), self.log.lines.len()));
        }
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
        let Some(event) = event else { return };
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
    use refolio_conformance::event::Finish;

    use super::*;

    const HUNG: &str = "INFO: task umount:1 blocked for more than 30 seconds";

    #[test]
    fn complaints_of_a_machine_that_is_up_are_no_sign_of_life() {
        let mut session = Session::new();
        let console = Heard::Console(HUNG.into());
        assert!(session.hears_life(&console));
        session.port(&Said::Up.line(), &mut |_, _| {});
        assert!(!session.hears_life(&console));
        assert!(session.hears_life(&Heard::Port(String::new())));
    }

    #[test]
    fn only_a_breakpoint_before_the_guest_is_up_is_laid_to_translation() {
        const INT3: &str = "[   0.9] Oops: int3: 0000 [#1] SMP NOPTI";
        let lost = |up: bool, lines: &[&str]| {
            let mut session = Session::new();
            if up {
                session.port(&Said::Up.line(), &mut |_, _| {});
            }
            lines.iter().for_each(|line| session.console(line));
            session.lost_in_translation()
        };
        assert!(lost(
            false,
            &["[   0.8] all is well", INT3, "[   0.9] Kernel panic - not syncing"]
        ));
        assert!(lost(false, &["[   0.9] int3: 0000 [#1] PREEMPT SMP NOPTI"]), "6.1's words");
        assert!(!lost(true, &[INT3]), "a case may be the reason");
        assert!(!lost(false, &["[   0.8] Oops: 0000 [#1] PREEMPT SMP", INT3]), "not the first");
        assert!(!lost(false, &["[   0.8] all is well"]));
    }

    #[test]
    fn the_suites_end_is_the_last_that_a_guest_has_time_for() {
        let ends = [
            Event::Finished(Finish::default()).line(),
            Said::Ended { code: Some(1), signal: None }.line(),
        ];
        for end in ends {
            let mut session = Session::new();
            let second = Duration::from_secs(1);
            let patience = Patience { first: second, boot: second, work: second, end: second };
            session.port(&Said::Up.line(), &mut |_, _| {});
            session.console("[   1.0] before");
            assert!(!session.lingers(Duration::ZERO));
            assert_eq!(session.limit(patience), second);
            session.port(&end, &mut |_, _| {});
            session.console(HUNG);
            assert!(!session.lingers(Duration::from_secs(60)));
            assert_eq!(
                session.limit(patience),
                Duration::MAX,
                "that it is silent is not the point"
            );
            assert!(session.lingers(Duration::ZERO));
            assert!(matches!(&session.end, End::Lingers(_, last) if last == HUNG));
            assert_eq!(session.last_words(), [HUNG]);
            assert!(session.blamed[0].cases.is_empty(), "no case answers for it");
        }
    }
}
