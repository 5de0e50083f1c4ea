//! What host and guest say to each other.
//!
//! The host puts a [`Plan`] into the initramfs. The guest answers on a virtio port, one line of
//! JSON each: [`Said`] is the laboratory's own word, everything else there is the suite's
//! (`refolio_conformance::event`). A write to that port leaves it with QEMU, which outlives the
//! guest: what was said before a panic is not lost. Before the port is there, the guest speaks
//! through the kernel's log, each line after [`MARK`].

use serde::{Deserialize, Serialize};

/// Where the plan is in the guest.
pub const PLAN: &str = "/lab.json";

/// The name of the virtio port.
pub const PORT: &str = "refolio.events";

/// What a line of the kernel's log begins with when it is the guest's.
pub const MARK: &str = "refolio-lab: ";

/// Below this folder the guest mounts its file systems, each under its name.
pub const PLACES: &str = "/lab";

/// What the guest is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Modules in the order of loading: files below `/modules`.
    pub modules: Vec<String>,
    /// Disks by the name of their file system, which is their serial number, too.
    pub disks: Vec<String>,
    /// How many nodes there must be.
    pub nodes: u64,
    /// The job.
    pub job: Job,
}

/// What is done once everything is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// The suite, with these arguments after `refolio conform`.
    Suite(Vec<String>),
    /// A rehearsed failure.
    Drill(Drill),
}

/// Failures that can be rehearsed: what they look like is then known before a kernel has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Drill {
    /// Nothing fails: boot, one case, power off
    None,
    /// The kernel warns during a case, and goes on
    Warn,
    /// The kernel panics during a case
    Panic,
    /// The guest falls silent during a case
    Silence,
    /// The suite is killed during a case
    Killed,
    /// The guest does not end after the suite, and its kernel goes on to complain
    Linger,
}

/// What the guest says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lab", rename_all = "kebab-case")]
pub enum Said {
    /// It is up, and everything is mounted.
    Up,
    /// It cannot do its job; no case has run.
    Cannot {
        /// What is missing, and the remedy.
        why: String,
    },
    /// The job has ended.
    Ended {
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// That signal.
        signal: Option<i32>,
    },
    /// All disks are unmounted: they may be checked.
    Unmounted {
        /// What in the machine's accounts does not add up: a name, and the figures.
        drifts: Vec<(String, String)>,
    },
}

impl Said {
    /// As a line, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers")
    }

    /// What a line says, if it is the laboratory's.
    pub fn of_line(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refolio_conformance::event::Event;

    #[test]
    fn nobody_takes_the_laboratorys_words_for_the_suites() {
        let said = Said::Ended { code: Some(1), signal: None };
        assert_eq!(Said::of_line(&said.line()), Some(said.clone()));
        assert_eq!(Event::of_line(&said.line()), None);
        let note = Event::Note { case: None, at_ms: 1, text: "x".into() };
        assert_eq!(Said::of_line(&note.line()), None);
        assert_eq!(Said::of_line("[    0.1] Linux version"), None);
    }
}
