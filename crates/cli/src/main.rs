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
    if cmd::lab::guest::is_here() {
        cmd::lab::guest::run();
    }
    if let Some(exit) = refolio_bench::child() {
        return exit;
    }
    tell_where_output_fails();
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return refuse(&error),
    };
    // A panic has told its story by then; the exit code must be one that the help text knows.
    let ended = std::panic::catch_unwind(|| match &command.verb {
        Verb::Migrate(args) => cmd::migrate::run(args),
        Verb::Explain(args) => cmd::explain::run(args),
        Verb::Check(args) => cmd::check::run(args),
        Verb::Conform(args) => cmd::conform::run(args),
        Verb::Bench(args) => cmd::bench::run(args),
        Verb::Lab(args) => cmd::lab::run(args),
    });
    match ended {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            signal::tell(&format!("refolio: {failure}"));
            failure.exit.into()
        }
        Err(_) => Exit::Differs.into(),
    }
}

/// What is printed to nobody (`| head`) or to a full disk ends the command as a panic does, with all
/// that is to be tidied up; but it is no panic's story.
fn tell_where_output_fails() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        let Some((stream, why)) =
            said.strip_prefix("failed printing to ").and_then(|rest| rest.split_once(": "))
        else {
            return otherwise(panic);
        };
        let nobody =
            std::io::Error::from_raw_os_error(rustix::io::Errno::PIPE.raw_os_error()).to_string();
        if why != nobody {
            signal::tell(&format!("refolio: {stream}: {why}; not all was told that was to be"));
        }
    }));
}

/// Help and version are no errors; values that make no sense, or no sense together, are told in one
/// line.
fn refuse(error: &clap::Error) -> ExitCode {
    use ErrorKind::{ArgumentConflict, InvalidValue, MissingRequiredArgument, ValueValidation};
    let kinds = [ArgumentConflict, InvalidValue, MissingRequiredArgument, ValueValidation];
    if kinds.contains(&error.kind()) {
        let text = error.to_string();
        let told = text.split("\n\n").next().unwrap_or_default();
        let line: Vec<_> = told.split_whitespace().collect();
        signal::tell(&format!("refolio: {}", line.join(" ").trim_start_matches("error: ")));
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Unusable.into() } else { Exit::Well.into() }
}
