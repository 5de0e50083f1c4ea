//! What the suites about a device have in common: a scratch file, threads that wait for it, and
//! whether it can be reached without the system's page cache at all.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;
use rustix::fs::Advice;

use super::Run;
use crate::cpus;
use crate::error::{Error, Result};
use crate::limits::blocks::Blocks;
use crate::noise::Timing;
use crate::resident;

/// A file on the device, which is there both ways.
pub struct Scratch {
    /// Its path.
    pub path: PathBuf,
    /// Through the system's page cache.
    pub buffered: fs::File,
    /// Past it.
    pub direct: fs::File,
    /// How long it is.
    pub bytes: u64,
}

impl Scratch {
    /// All of it written, and none of it in the system's page cache.
    pub fn new(run: &Run<'_>, name: &str) -> Result<Self> {
        let (bytes, path) = (run.plan.file_bytes, run.plan.dir.join(name));
        run.host.doing("writing a scratch file", 0, 1);
        let buffered = resident::on_disk(&path, bytes, run.host)?;
        let direct = open_direct(&path)?;
        let scratch = Self { path, buffered, direct, bytes };
        scratch.forget()?;
        Ok(scratch)
    }

    /// Has the system's page cache forget it.
    pub fn forget(&self) -> Result<()> {
        self.buffered.sync_all().map_err(Error::while_("syncing a scratch file"))?;
        rustix::fs::fadvise(&self.buffered, 0, None, Advice::DontNeed)
            .map_err(Error::while_("having the system forget a scratch file"))
    }

    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        self.bytes / PAGE_SIZE as u64
    }
}

/// Opens a file that is there for `O_DIRECT`, and tries that.
fn open_direct(path: &Path) -> Result<fs::File> {
    let unusable = |error: std::io::Error| {
        Error::Unusable(format!(
            "{}: its file system does not do O_DIRECT ({error}); name a folder on a disk with --dir",
            path.display()
        ))
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT);
    let file = options.open(path).map_err(unusable)?;
    let mut block = Blocks::new(PAGE_SIZE)?;
    rustix::io::pread(&file, block.bytes_mut(), 0).map_err(|error| unusable(error.into()))?;
    Ok(file)
}

/// Threads that do the same again and again for so long; how often they did it in a second.
pub fn threads<S>(
    threads: usize,
    span: Duration,
    start: impl Fn() -> Result<S> + Sync,
    again: impl Fn(&mut S, &mut fastrand::Rng) -> Result<u64> + Sync,
) -> Result<Timing> {
    let begin = Instant::now();
    let one = || {
        let (mut own, mut rng, mut done) = (start()?, fastrand::Rng::new(), 0);
        while begin.elapsed() < span {
            done += again(&mut own, &mut rng)?;
        }
        Ok(done)
    };
    let done: Result<u64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(cpus::join).sum()
    });
    Ok(Timing { each: done? as f64 / begin.elapsed().as_secs_f64(), lost: 0.0 })
}

/// Whether these are bytes of the scratch file from `offset` on; the first word of each page tells.
pub fn check(bytes: &[u8], offset: u64) -> Result<()> {
    for (at, page) in bytes.chunks(PAGE_SIZE).enumerate() {
        let n = (offset + (at * PAGE_SIZE) as u64) / 8;
        if page.first_chunk() != Some(&resident::word(n).to_le_bytes()) {
            let which = format!("the bytes at {} differ", n * 8);
            return Err(Error::failed("reading a scratch file", which));
        }
    }
    Ok(())
}
