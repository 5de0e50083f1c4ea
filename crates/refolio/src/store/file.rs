//! A store in a plain file, by `pread` and `pwritev`.
//!
//! With `O_DIRECT` there are two descriptors: whole aligned blocks go past the kernel's own page
//! cache by the one, and the ragged ends (the last, partial page) through it by the other. The kernel
//! keeps the two coherent, as a call through one has ended before the next one starts.

use super::{Store, write_zeros};
use crate::frame::FillBuf;
use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What `O_DIRECT` transfers are multiples of, in the file and in memory: what every block device
/// up to a block size of a page is content with.
const BLOCK: usize = 4096;

/// A plain file as a store.
///
/// Calls from several threads run beside each other. The file may be open elsewhere, too, but the
/// cache does not notice what is written to it there.
pub struct FileStore {
    buffered: OwnedFd,
    direct: Option<OwnedFd>,
    id: (u64, u64),
    read_only: bool,
    path: PathBuf,
}

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
}

/// Why a file could not be opened as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file.
    #[error("cannot open {}: there is no such file; create it first, or open with `create`", path.display())]
    Missing {
        /// The file that was named.
        path: PathBuf,
    },
    /// It is a directory, a device, a pipe or a socket.
    #[error("cannot open {}: it is a {kind}; name a regular file", path.display())]
    NotRegular {
        /// The file that was named.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file, or a directory on the way to it, does not let this user in.
    #[error("cannot open {} to {}: permission denied; {}", path.display(), access(*read_only), advice(*read_only))]
    Denied {
        /// The file that was named.
        path: PathBuf,
        /// Whether it was to be read only.
        read_only: bool,
    },
    /// It lies in a file system that is mounted read-only.
    #[error("cannot open {} to write: its file system is read-only; open it read-only", path.display())]
    ReadOnlyFileSystem {
        /// The file that was named.
        path: PathBuf,
    },
    /// Its file system has no `O_DIRECT`, or none in blocks of 4096 bytes.
    #[error("cannot open {} with O_DIRECT: its file system does not support it; open it without `direct`", path.display())]
    NoDirect {
        /// The file that was named.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot open {}: {source}", path.display())]
    Io {
        /// The file that was named.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

fn access(read_only: bool) -> &'static str {
    if read_only { "read" } else { "read and write" }
}

fn advice(read_only: bool) -> &'static str {
    if read_only {
        "change its mode or owner"
    } else {
        "change its mode or owner, or open it read-only"
    }
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
        Ok(FileStore { buffered, direct, id, read_only: self.read_only, path: path.into() })
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
            Errno::ACCESS | Errno::PERM => OpenError::Denied { path, read_only: self.read_only },
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
    let fits = |align: u32| BLOCK.is_multiple_of(align as usize);
    !says || (fits(stat.stx_dio_mem_align) && fits(stat.stx_dio_offset_align))
}

impl FileStore {
    /// Opens the file at `path` to read and write, buffered by the kernel. For more,
    /// see [`FileStoreOptions`].
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file, and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileStoreOptions::new().open(path)
    }

    /// Device and inode: equal for two stores of one file, whatever its names.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// Whether everything that would change the file fails.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn check_writable(&self) -> io::Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = format!("{} was opened read-only", self.path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }

    /// The descriptor of `O_DIRECT`, if a transfer at `offset` can go by it.
    fn direct_at(&self, offset: u64) -> Option<&OwnedFd> {
        self.direct.as_ref().filter(|_| offset.is_multiple_of(BLOCK as u64))
    }
}

impl Store for FileStore {
    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.buffered)?.st_size as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        let blocks = into.len() / BLOCK * BLOCK;
        match self.direct_at(offset) {
            Some(direct) if blocks > 0 && into.is_aligned_to(BLOCK) => {
                into.pread(direct.as_fd(), 0, blocks, offset)
            }
            _ => into.pread(self.buffered.as_fd(), 0, into.len(), offset),
        }
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_writable()?;
        let is_block = |buf: &IoSlice<'_>| {
            buf.len().is_multiple_of(BLOCK) && buf.as_ptr().addr().is_multiple_of(BLOCK)
        };
        let (fd, bufs) = match self.direct_at(offset) {
            None => (&self.buffered, bufs),
            Some(direct) => match bufs.iter().position(|buf| !is_block(buf)) {
                // The ragged one alone; the caller comes back for what follows.
                Some(0) => (&self.buffered, &bufs[..1]),
                ragged => (direct, &bufs[..ragged.unwrap_or(bufs.len())]),
            },
        };
        Ok(retry_on_intr(|| rustix::io::pwritev(fd, bufs, offset))?)
    }

    /// `fdatasync(2)`, which by POSIX covers whatever is needed to read the bytes back, the new
    /// length among it; only time stamps are left out.
    #[doc(alias = "fdatasync")]
    fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fdatasync(&self.buffered))?)
    }

    #[doc(alias = "ftruncate")]
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.buffered, len))?)
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        // The kernel takes no end beyond its largest offset, and no empty hole.
        let len = len.min((i64::MAX as u64).saturating_sub(offset));
        if len == 0 {
            return Ok(());
        }
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.buffered, mode, offset, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, offset, len),
            other => Ok(other?),
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .field("direct", &self.direct.is_some())
            .field("read_only", &self.read_only)
            .finish()
    }
}
