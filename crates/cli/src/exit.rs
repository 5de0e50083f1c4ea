//! How a command ends. Every exit code of the program is named here, and the help text quotes them.

use std::fmt;
use std::process::ExitCode;

/// The ways to end, with their exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every byte was as it must be.
    Well = 0,
    /// A byte differs, a page is lost, or the engine failed on the way.
    Differs = 1,
    /// Wrong usage, or input that cannot be used.
    Unusable = 2,
    /// Stopped by Ctrl-C or SIGTERM; what had been done until then was well.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that ends without its result: one line for people, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    line: String,
}

impl Failure {
    /// Input that cannot be used; `line` names the thing and the remedy.
    pub fn unusable(line: impl Into<String>) -> Self {
        Self { exit: Exit::Unusable, line: line.into() }
    }

    /// Something failed that should not, while doing what `doing` says.
    pub fn broken(doing: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self { exit: Exit::Differs, line: format!("{doing}: {cause}") }
    }

    /// Stopped before there was a result; `line` says so.
    pub fn stopped(line: impl Into<String>) -> Self {
        Self { exit: Exit::Interrupted, line: line.into() }
    }

    /// Stopped before there was anything to report.
    pub fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, line: "interrupted before any page had moved".into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}
