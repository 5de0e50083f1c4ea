//! The `refolio` command: parse, dispatch, exit code.

mod args;
mod cmd;
mod exit;
mod signal;
mod size;
mod text;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Command, Verb};
use exit::Exit;

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return refuse(&error),
    };
    let ended = match &command.verb {
        Verb::Migrate(args) => cmd::migrate::run(args),
        Verb::Explain(args) => cmd::explain::run(args),
    };
    let exit = ended.unwrap_or_else(|failure| {
        signal::tell(&format!("refolio: {failure}"));
        failure.exit
    });
    exit.into()
}

/// Help and version are no errors; a value that makes no sense is told in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        let text = error.to_string();
        let told = text.split("\n\n").next().unwrap_or_default();
        let line: Vec<_> = told.split_whitespace().collect();
        signal::tell(&format!("refolio: {}", line.join(" ").trim_start_matches("error: ")));
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Unusable.into() } else { Exit::Well.into() }
}
