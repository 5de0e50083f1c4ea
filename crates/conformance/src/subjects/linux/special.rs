//! The special cases that the historical bugs teach: one thread, one page or a few, one question.

use super::Settings;
use super::machine::{Machine, Stop};

/// A case of its own.
#[derive(Debug)]
pub(crate) struct Special {
    pub name: &'static str,
    pub row: &'static str,
    pub claim: &'static str,
    pub source: &'static str,
    pub run: fn(&Machine, &Settings) -> Result<Vec<(&'static str, u64)>, Stop>,
}

/// All of them.
pub(crate) const ALL: &[Special] = &[];

/// Runs one.
pub(crate) fn run(
    special: &Special,
    machine: &Machine,
    settings: &Settings,
    facts: &mut Vec<(&'static str, u64)>,
) -> Result<(), Vec<Stop>> {
    *facts = (special.run)(machine, settings).map_err(|stop| vec![stop])?;
    Ok(())
}
