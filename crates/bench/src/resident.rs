//! Files that are resident, whose bytes can be told from their place.

use std::fs;
use std::io::{self, IoSlice, Write};
use std::path::Path;

use refolio::{Cache, CacheBuilder, File, FillBuf, NodeOptions, OpenOptions, PAGE_SIZE, Store};

use crate::error::{Error, Result};
use crate::plan::Host;

/// A store of any size that takes no memory: every word is a number of its own. What is written to
/// it is lost.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// How many bytes it has.
    pub bytes: usize,
}

/// Word `n` of [`Words`].
#[inline]
pub fn word(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// A page of [`Words`].
pub fn page(index: u64) -> [u8; PAGE_SIZE] {
    let mut bytes = [0; PAGE_SIZE];
    for (at, chunk) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *chunk = word(index * (PAGE_SIZE / 8) as u64 + at as u64).to_le_bytes();
    }
    bytes
}

impl Store for Words {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        for at in (0..into.len()).step_by(PAGE_SIZE) {
            into.write(at, &page((offset + at as u64) / PAGE_SIZE as u64));
        }
        Ok(into.len())
    }

    fn write(&self, _offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Two nodes, each of which has room for `bytes`.
pub fn nodes(bytes: usize) -> CacheBuilder {
    // Allocation leaves a 256th part free, and a housekeeper some more.
    let node = || NodeOptions::new((bytes + bytes / 32).next_multiple_of(2 << 20) as u64);
    Cache::builder().node(node()).node(node())
}

/// A cache of these nodes, without anything that runs in the background.
pub fn cache(bytes: usize) -> Result<Cache> {
    build(nodes(bytes).background(false))
}

/// Makes a cache.
pub fn build(builder: CacheBuilder) -> Result<Cache> {
    builder.build().map_err(Error::while_("making a cache"))
}

/// A file of `bytes` that is resident on the first node, its pages in shuffled frames.
pub fn file(cache: &Cache, bytes: usize, order: u32, host: &dyn Host) -> Result<File> {
    let options = OpenOptions::new().order(order);
    let doing = "filling a cache";
    let file = cache.open_store(Words { bytes }, &options).map_err(Error::while_(doing))?;
    let pages = (bytes / PAGE_SIZE) as u64;
    let mut folios: Vec<u64> = (0..pages).step_by(1 << order).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut folios);
    for (at, index) in folios.iter().enumerate() {
        if at.is_multiple_of(1024) {
            stop_or_go(host)?;
        }
        file.load(*index..index + 1).map_err(Error::while_(doing))?;
    }
    match file.cached_pages() {
        cached if cached == pages => Ok(file),
        cached => Err(Error::failed(doing, format!("{cached} of {pages} pages are cached"))),
    }
}

/// Whether the pages are what they were.
pub fn verify(file: &File) -> Result<()> {
    let mut bytes = [0; PAGE_SIZE];
    for index in 0..file.len() / PAGE_SIZE as u64 {
        file.read_at(&mut bytes, index * PAGE_SIZE as u64)
            .map_err(Error::while_("reading a page again"))?;
        if bytes != page(index) {
            return Err(Error::failed("reading all pages again", format!("page {index} differs")));
        }
    }
    Ok(())
}

/// A file of these pages on a disk, of which all is durable, and in the system's page cache.
pub fn on_disk(path: &Path, bytes: u64, host: &dyn Host) -> Result<fs::File> {
    const CHUNK: u64 = 256;
    let failed = |error: io::Error| {
        let (path, mib) = (path.display(), bytes >> 20);
        Error::Unusable(format!("{path}: cannot write {mib} MiB: {error}; name another --dir"))
    };
    let mut options = fs::File::options();
    let mut file = options.read(true).write(true).create_new(true).open(path).map_err(failed)?;
    for first in (0..bytes / PAGE_SIZE as u64).step_by(CHUNK as usize) {
        stop_or_go(host)?;
        let last = (first + CHUNK).min(bytes / PAGE_SIZE as u64);
        let chunk: Vec<u8> = (first..last).flat_map(page).collect();
        file.write_all(&chunk).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    Ok(file)
}

/// An error when the host wants no more.
pub fn stop_or_go(host: &dyn Host) -> Result<()> {
    if host.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
}
