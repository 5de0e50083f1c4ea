//! From the paths on the command line to the regular files they stand for. Whatever cannot be
//! used is refused here, in one line, before anything starts.

use std::collections::BTreeSet;
use std::fs::{self, FileType, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use crate::exit::Failure;

/// A regular file with at least one byte.
#[derive(Debug)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

/// The files that the paths stand for.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Each file once, by whatever names it was reached.
    pub files: Vec<Input>,
    /// Files without a byte: there is nothing in them to move, and nothing to lose.
    pub empty: u64,
    seen: BTreeSet<(u64, u64)>,
}

/// Looks at every path. With `write` the files must be writable too.
pub fn gather(paths: &[PathBuf], write: bool) -> Result<Inputs, Failure> {
    let mut inputs = Inputs::default();
    for path in paths {
        let about = fs::metadata(path).map_err(|error| refusal(path, &error))?;
        if about.is_dir() {
            inputs.add_folder(path, write)?;
        } else {
            inputs.add(path, &about, write)?;
        }
    }
    Ok(inputs)
}

/// One regular file with at least one byte, and no folder.
pub fn file(path: &Path) -> Result<Input, Failure> {
    let about = fs::metadata(path).map_err(|error| refusal(path, &error))?;
    let mut inputs = Inputs::default();
    if about.is_dir() {
        let name = path.display();
        return Err(Failure::unusable(format!("{name}: it is a folder: name one of its files")));
    }
    inputs.add(path, &about, false)?;
    inputs.files.pop().ok_or_else(|| {
        Failure::unusable(format!("{}: it is empty, and has no pages", path.display()))
    })
}

impl Inputs {
    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// Whether the path leads to one of the files.
    pub fn contain(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|about| self.seen.contains(&(about.dev(), about.ino())))
    }

    fn add_folder(&mut self, folder: &Path, write: bool) -> Result<(), Failure> {
        let before = self.seen.len();
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let at = error.path().unwrap_or(folder).display().to_string();
                let cause = error.io_error().map_or_else(|| error.to_string(), describe);
                Failure::unusable(format!("{at}: {cause}"))
            })?;
            if !entry.file_type().is_file() {
                continue;
            }
            let path = entry.path();
            let about = fs::metadata(path).map_err(|error| refusal(path, &error))?;
            self.add(path, &about, write)?;
        }
        if self.seen.len() == before {
            return Err(Failure::unusable(format!(
                "{}: there is no regular file below this folder that is not named already",
                folder.display()
            )));
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, about: &Metadata, write: bool) -> Result<(), Failure> {
        if !about.is_file() {
            return Err(Failure::unusable(format!(
                "{}: {} has no pages that can move: name a regular file, or a folder",
                path.display(),
                kind(about.file_type())
            )));
        }
        let opened = OpenOptions::new().read(true).write(write).open(path);
        drop(opened.map_err(|error| refusal(path, &error))?);
        // The same file twice would be one mapping with two journals.
        if !self.seen.insert((about.dev(), about.ino())) {
            return Ok(());
        }
        if about.len() == 0 {
            self.empty += 1;
            return Ok(());
        }
        let path = path.to_owned();
        self.files.push(Input { path, len: about.len(), modified: about.modified().ok() });
        Ok(())
    }
}

fn kind(file_type: FileType) -> &'static str {
    if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else if file_type.is_block_device() {
        "a block device"
    } else {
        "a character device"
    }
}

fn refusal(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unusable(format!("{}: {}", path.display(), describe(error)))
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder: check the path".into(),
        ErrorKind::PermissionDenied => {
            "it may not be opened by this user: change its permissions, or name another".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_each_regular_file_below_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("deep/er")).unwrap();
        fs::write(at("b"), "b").unwrap();
        fs::write(at("deep/er/a"), "aa").unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::hard_link(at("b"), at("twin")).unwrap();
        std::os::unix::fs::symlink(at("b"), at("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();

        let inputs = gather(&[dir.path().to_owned(), at("b")], false).unwrap();
        let found: Vec<_> = inputs.files.iter().map(|file| (&*file.path, file.len)).collect();
        assert_eq!(found, [(&*at("b"), 1), (&*at("deep/er/a"), 2)]);
        assert_eq!(inputs.empty, 1);

        let refused = gather(&[at("pipe")], false).unwrap_err();
        assert_eq!(refused.exit, crate::exit::Exit::Unusable);
        assert!(refused.to_string().contains("a named pipe"), "{refused}");
        assert!(gather(&[at("missing")], false).is_err());
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(gather(&[dir.path().to_owned()], false).is_err());
    }
}
