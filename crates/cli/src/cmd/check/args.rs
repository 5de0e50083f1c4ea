//! What `refolio check` is asked.

use std::path::PathBuf;

use clap::Args;
use refolio_check::Form;

use crate::args::FormName;

/// Options of `refolio check`.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// Only this meeting, or one scene of it (`migrate_pin`, `migrate_pin/2`); see --list
    #[arg(long, value_name = "NAME")]
    pub scene: Option<String>,

    /// Only this form
    #[arg(long, value_enum, value_name = "NAME")]
    pub form: Option<FormName>,

    /// Take this protection away, and show the counterexample; `all`: one after the other
    #[arg(long = "break", value_name = "NAME")]
    pub broken: Option<String>,

    /// Only scenes with so many threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=16))]
    pub threads: Option<u64>,

    /// Executions with at most so many preemptions [default: all, if there is time]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    pub preemptions: Option<u32>,

    /// Seconds for all of it; 0: as many as it takes
    #[arg(long, value_name = "SECONDS", default_value_t = 55)]
    pub budget: u64,

    /// Walk at random instead of searching, from this seed: for scenes that are too large to search
    #[arg(long, value_name = "SEED")]
    pub walk: Option<u64>,

    /// Play this execution of --scene again (with --break and --form as when it was found)
    #[arg(long, value_name = "SCHEDULE", requires = "scene")]
    pub replay: Option<String>,

    /// List the scenes and the protections
    #[arg(long)]
    pub list: bool,

    /// Write the verdicts to this file, as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the counterexample to this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,

    /// Write all counterexamples to this file, as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The forms that are asked for, with their names.
pub fn forms(only: Option<FormName>) -> Vec<(Form, FormName)> {
    Form::ALL.into_iter().zip(NAMES).filter(|(_, name)| only.is_none_or(|o| o == *name)).collect()
}

const NAMES: [FormName; 4] = [
    FormName::CheckThenFreeze,
    FormName::EarlyCheck,
    FormName::LoadThenFreeze,
    FormName::FreezeOnly,
];

/// As it is written on the command line.
pub fn name(form: FormName) -> &'static str {
    match form {
        FormName::CheckThenFreeze => "check-then-freeze",
        FormName::EarlyCheck => "early-check",
        FormName::LoadThenFreeze => "load-then-freeze",
        FormName::FreezeOnly => "freeze-only",
    }
}
