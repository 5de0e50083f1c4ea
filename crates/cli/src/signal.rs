//! Ctrl-C and SIGTERM, and the temporary folder that must be gone in every case.
//!
//! The first signal asks the command to stop at its next safe point; the folder then goes when
//! its owner drops it, as on every other way out. A second signal removes the folder and ends the
//! program at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::exit::{Exit, Failure};

static SIGNALS: AtomicU64 = AtomicU64::new(0);
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// From now on signals are counted, instead of ending the program.
pub fn listen() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if SIGNALS.fetch_add(1, SeqCst) == 0 {
            tell("\nstopping: what has been done is checked first (Ctrl-C again quits at once)");
            return;
        }
        quit(Exit::Interrupted);
    })
    .map_err(|error| Failure::broken("listening for Ctrl-C", error))
}

/// From now on signals are counted, and nothing is said of them: whoever started this program does.
pub fn listen_quietly() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        SIGNALS.fetch_add(1, SeqCst);
    })
    .map_err(|error| Failure::broken("listening for Ctrl-C", error))
}

/// Ends the program here and now; the temporary folders go with it.
pub fn quit(exit: Exit) -> ! {
    for folder in folders().drain(..) {
        let _ = std::fs::remove_dir_all(folder);
    }
    std::process::exit(exit as i32)
}

/// Whether the command must stop at its next safe point.
pub fn stopped() -> bool {
    SIGNALS.load(SeqCst) > 0
}

/// A temporary folder of this run.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes the folder below the system's place for temporary files (`TMPDIR`).
    pub fn new() -> Result<Self, Failure> {
        Self::make(&std::env::temp_dir(), "set TMPDIR to a writable folder")
    }

    /// Makes the folder below this one.
    pub fn below(place: &Path) -> Result<Self, Failure> {
        Self::make(place, "name a writable folder")
    }

    fn make(place: &Path, remedy: &str) -> Result<Self, Failure> {
        // The lock is held throughout, so that a second signal finds the folder or finds none.
        let mut registered = folders();
        let dir = TempDir::with_prefix_in("refolio-", place).map_err(|error| {
            let place = place.display();
            Failure::unusable(format!(
                "no temporary folder can be made in {place}: {error}; {remedy}"
            ))
        })?;
        registered.push(dir.path().to_owned());
        drop(registered);
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to standard error; a closed one is nobody's problem.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
