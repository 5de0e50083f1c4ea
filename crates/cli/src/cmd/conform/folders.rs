//! The folders of a run: one below each that was named, and gone when it ends.

use std::path::PathBuf;

use crate::exit::Failure;
use crate::signal::Scratch;

/// Makes them. None named: one in the place for temporary files.
pub fn make(dirs: &[PathBuf]) -> Result<Vec<Scratch>, Failure> {
    if dirs.is_empty() {
        return Ok(vec![Scratch::new()?]);
    }
    dirs.iter()
        .map(|dir| {
            if !dir.is_dir() {
                let dir = dir.display();
                return Err(Failure::unusable(format!(
                    "--dir {dir}: there is no such folder; make it, or mount a file system there"
                )));
            }
            Scratch::below(dir)
        })
        .collect()
}
