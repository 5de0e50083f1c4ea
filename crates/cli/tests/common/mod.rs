//! Runs the command in a place of its own for temporary files.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The command, whose temporary files go to `tmp`.
pub fn refolio(args: &[&str], tmp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refolio"));
    command.args(args).env("TMPDIR", tmp).stdin(Stdio::null());
    command
}

/// Runs it to its end; temporary files must be gone then.
#[allow(dead_code)] // Each test file is a program of its own, and not all use everything.
pub fn run(args: &[&str]) -> Ended {
    let tmp = tempfile::tempdir().unwrap();
    let output = refolio(args, tmp.path()).output().unwrap();
    assert_empty(tmp.path());
    Ended::new(args, output)
}

/// Starts it, with what it says to be read from pipes.
#[allow(dead_code)] // As above.
pub fn start(args: &[&str], tmp: &Path) -> Child {
    refolio(args, tmp).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// No file and no folder is left there.
pub fn assert_empty(folder: &Path) {
    let left: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "temporary files are left: {left:?}");
}

/// What a run that has ended has said.
#[derive(Debug)]
pub struct Ended {
    /// The arguments, for messages.
    pub args: String,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// From a process that has ended.
    pub fn new(args: &[&str], output: Output) -> Self {
        Self {
            args: args.join(" "),
            code: output.status.code().expect("the command was killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It must have ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "refolio {}\n{}\n{}", self.args, self.out, self.err);
        self
    }
}
