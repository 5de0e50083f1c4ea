//! Opening a plain file as a store: what can be wrong with the path, and what to do about it.

use super::file::FileStore;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How to open a [`FileStore`]; as it is made, to read and write a file that exists.
///
/// ```
/// use refolio::{FileStoreOptions, Store};
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStoreOptions::new().create(true).open(dir.path().join("data"))?;
/// store.set_len(8192)?;
/// assert_eq!(store.len()?, 8192);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FileStoreOptions {
    read_only: bool,
    create: bool,
    direct: bool,
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    io_uring: bool,
}

/// Why a file could not be opened as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file.
    #[error("cannot open {path}: there is no such file; create it first, or open with `create`")]
    Missing {
        /// The file that was named.
        path: PathBuf,
    },
    /// It is a directory, a device, a pipe or a socket.
    #[error("cannot open {path}: it is a {kind}; name a regular file")]
    NotRegular {
        /// The file that was named.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file, or a directory on the way to it, does not let this user in.
    #[error("cannot open {path} to {access}: permission denied; change its mode or owner{or}")]
    Denied {
        /// The file that was named.
        path: PathBuf,
        /// "read", or "read and write".
        access: &'static str,
        /// What else would help.
        or: &'static str,
    },
    /// It lies in a file system that is mounted read-only.
    #[error("cannot open {path} to write: its file system is read-only; open it read-only")]
    ReadOnlyFileSystem {
        /// The file that was named.
        path: PathBuf,
    },
    /// Its file system has no `O_DIRECT`, or none in blocks of 4096 bytes.
    #[error(
        "cannot open {path} with O_DIRECT: its file system does not support that; open it without \
         `direct`"
    )]
    NoDirect {
        /// The file that was named.
        path: PathBuf,
    },
    /// The kernel lets this process have no ring.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    #[error(
        "cannot open {path} with io_uring: {source}; open it without `io_uring`, or let the process \
         use it (the sysctl kernel.io_uring_disabled, the container's seccomp profile, the limit of \
         open files)"
    )]
    NoIoUring {
        /// The file that was named.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot open {path}: {source}")]
    Io {
        /// The file that was named.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl FileStoreOptions {
    /// To read and write a file that exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only to read: everything that would change the file fails.
    pub fn read_only(&mut self, read_only: bool) -> &mut Self {
        self.read_only = read_only;
        self
    }

    /// Makes an empty file, durably, if there is none.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }

    /// Goes past the kernel's own page cache, so that nothing is cached twice.
    #[doc(alias = "O_DIRECT")]
    pub fn direct(&mut self, direct: bool) -> &mut Self {
        self.direct = direct;
        self
    }

    /// Reads many pages at a time, by io_uring: batches of reads, and what is read ahead. Without
    /// it (as by default) each thread has one read in flight.
    ///
    /// Where the kernel does not let the process use io_uring, opening fails: nothing else is done
    /// in its place.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    pub fn io_uring(&mut self, io_uring: bool) -> &mut Self {
        self.io_uring = io_uring;
        self
    }

    /// Opens the file at `path`. Symbolic links are followed. Returns at once even for a pipe that
    /// nobody writes to.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file, and what to do.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<FileStore, OpenError> {
        self.open_path(path.as_ref())
    }

    fn open_path(&self, path: &Path) -> Result<FileStore, OpenError> {
        let fail = |errno| self.explain(path, errno);
        // Before it is opened: to open some devices already does something.
        match retry_on_intr(|| rustix::fs::stat(path)) {
            Ok(stat) => check_regular(path, &stat)?,
            Err(Errno::NOENT) if self.create && !self.read_only => create(path).map_err(fail)?,
            Err(errno) => return Err(fail(errno)),
        }
        let buffered = self.open_with(path, OFlags::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&buffered).map_err(fail)?;
        check_regular(path, &stat)?;
        let id = (stat.st_dev, stat.st_ino);
        let direct = if self.direct { Some(self.open_direct(path, id)?) } else { None };
        let store = FileStore::new(path, buffered, direct, id, self.read_only);
        #[cfg(all(feature = "io-uring", target_os = "linux", not(refolio_model)))]
        if self.io_uring {
            let no_ring = |source| OpenError::NoIoUring { path: path.into(), source };
            super::uring::probe().map_err(no_ring)?;
            return Ok(store.with_io_uring(true));
        }
        Ok(store)
    }

    fn open_direct(&self, path: &Path, id: (u64, u64)) -> Result<OwnedFd, OpenError> {
        let fail = |errno| self.explain(path, errno);
        let no_direct = || OpenError::NoDirect { path: path.into() };
        let direct = match self.open_with(path, OFlags::DIRECT) {
            Err(Errno::INVAL) => return Err(no_direct()),
            other => other.map_err(fail)?,
        };
        let stat = rustix::fs::fstat(&direct).map_err(fail)?;
        if (stat.st_dev, stat.st_ino) != id {
            let source = io::Error::other("it was replaced by another file while it was opened");
            return Err(OpenError::Io { path: path.into(), source });
        }
        if !takes_blocks(&direct) {
            return Err(no_direct());
        }
        Ok(direct)
    }

    fn open_with(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let access = if self.read_only { OFlags::RDONLY } else { OFlags::RDWR };
        // NONBLOCK: should a pipe have taken the file's place, do not wait for its other end.
        let flags = flags | access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
    }

    fn explain(&self, path: &Path, errno: Errno) -> OpenError {
        let path = path.to_path_buf();
        match errno {
            Errno::NOENT => OpenError::Missing { path },
            Errno::ACCESS | Errno::PERM => {
                let read_only = ("read", "");
                let read_write = ("read and write", ", or open it read-only");
                let (access, or) = if self.read_only { read_only } else { read_write };
                OpenError::Denied { path, access, or }
            }
            Errno::ROFS => OpenError::ReadOnlyFileSystem { path },
            errno => OpenError::Io { path, source: errno.into() },
        }
    }
}

/// Makes an empty file, and its name durable: `sync` takes care of what is in the file only.
fn create(path: &Path) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    let file = retry_on_intr(|| rustix::fs::open(path, flags, mode))?;
    retry_on_intr(|| rustix::fs::fsync(&file))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let dir = retry_on_intr(|| rustix::fs::open(dir, flags, Mode::empty()))?;
    retry_on_intr(|| rustix::fs::fsync(&dir))
}

fn check_regular(path: &Path, stat: &Stat) -> Result<(), OpenError> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "directory",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        _ => "file of a kind unknown to this program",
    };
    Err(OpenError::NotRegular { path: path.into(), kind })
}

/// Whether the file system says that it takes direct transfers in our blocks. Where it says
/// nothing (before Linux 6.1) the first transfer will tell.
#[doc(alias = "STATX_DIOALIGN")]
fn takes_blocks(file: &OwnedFd) -> bool {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let Ok(stat) = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) else { return true };
    let says = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::DIOALIGN);
    let fits = |align: u32| FileStore::BLOCK.is_multiple_of(align as usize);
    !says || (fits(stat.stx_dio_mem_align) && fits(stat.stx_dio_offset_align))
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;
    use crate::store::Store;
    use std::fs;

    fn message(result: Result<FileStore, OpenError>) -> String {
        result.expect_err("opens").to_string()
    }

    /// What becomes of each kind of path, but for what it says of the path itself.
    #[test]
    fn each_bad_path_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let pipe = at("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        fs::write(at("file"), "").unwrap();
        let says = [
            (at("none"), "there is no such file; create it first, or open with `create`"),
            (dir.path().into(), "it is a directory; name a regular file"),
            ("/dev/null".into(), "it is a character device; name a regular file"),
            (pipe, "it is a named pipe; name a regular file"),
            (at("socket"), "it is a socket; name a regular file"),
            (at("loop"), "Too many levels of symbolic links (os error 40)"),
            (at("file/below"), "Not a directory (os error 20)"),
            ("".into(), "there is no such file; create it first, or open with `create`"),
        ];
        for (path, why) in says {
            let expected = format!("cannot open {}: {why}", path.display());
            assert_eq!(message(FileStore::open(&path)), expected);
            let read_only = FileStoreOptions::new().read_only(true).open(&path);
            assert_eq!(message(read_only), expected);
        }
    }

    /// Not by a real file: who runs the tests as root is denied nothing.
    #[test]
    fn a_denial_names_what_was_denied_and_what_would_not_be() {
        let path = Path::new("/x");
        let mut options = FileStoreOptions::new();
        assert_eq!(
            options.explain(path, Errno::ACCESS).to_string(),
            "cannot open /x to read and write: permission denied; change its mode or owner, or \
             open it read-only"
        );
        assert_eq!(
            options.read_only(true).explain(path, Errno::PERM).to_string(),
            "cannot open /x to read: permission denied; change its mode or owner"
        );
        assert_eq!(
            options.explain(path, Errno::ROFS).to_string(),
            "cannot open /x to write: its file system is read-only; open it read-only"
        );
    }

    /// Where the kernel has no ring for us it says so, and the file is not opened some other way.
    #[cfg(all(feature = "io-uring", target_os = "linux"))]
    #[test]
    fn a_refused_ring_names_what_refuses_it() {
        let source = io::Error::from_raw_os_error(libc::EPERM);
        let error = OpenError::NoIoUring { path: "/x".into(), source };
        assert_eq!(
            error.to_string(),
            "cannot open /x with io_uring: Operation not permitted (os error 1); open it without \
             `io_uring`, or let the process use it (the sysctl kernel.io_uring_disabled, the \
             container's seccomp profile, the limit of open files)"
        );
    }

    #[test]
    fn creates_only_when_asked_and_only_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let mut options = FileStoreOptions::new();
        let missing = options.create(true).read_only(true).open(&path);
        assert!(matches!(missing, Err(OpenError::Missing { .. })));
        let store = options.read_only(false).open(&path).unwrap();
        assert_eq!(store.len().unwrap(), 0);
        fs::write(&path, "kept").unwrap();
        assert_eq!(options.open(&path).unwrap().len().unwrap(), 4);
    }

    #[test]
    fn one_file_has_one_identity_whatever_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("b"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        std::os::unix::fs::symlink(at("a"), at("soft")).unwrap();
        let id = |name: &str| FileStore::open(at(name)).unwrap().id();
        assert_eq!(id("a"), id("hard"));
        assert_eq!(id("a"), id("soft"));
        assert_ne!(id("a"), id("b"));
    }
}
