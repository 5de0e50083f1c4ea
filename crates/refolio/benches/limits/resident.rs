//! Files that are resident, whose bytes can be told from their place.

use std::io::{self, IoSlice};

use refolio::{Cache, CacheBuilder, File, FillBuf, NodeOptions, OpenOptions, PAGE_SIZE, Store};

/// A store of any size that takes no memory: every word is a number of its own. What is written to
/// it is lost.
#[derive(Clone, Copy, Debug)]
pub struct Words {
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
    // Allocation leaves a 256th part free.
    let node = || NodeOptions::new((bytes + bytes / 64).next_multiple_of(2 << 20) as u64);
    Cache::builder().node(node()).node(node())
}

/// A cache of these nodes, without anything that runs in the background.
pub fn cache(bytes: usize) -> Cache {
    nodes(bytes).background(false).build().expect("memory for the nodes")
}

/// A file of `bytes` that is resident on the first node, its pages in shuffled frames.
pub fn file(cache: &Cache, bytes: usize, order: u32) -> File {
    let options = OpenOptions::new().order(order);
    let file = cache.open_store(Words { bytes }, &options).expect("a store that does not fail");
    let mut folios: Vec<u64> = (0..(bytes / PAGE_SIZE) as u64).step_by(1 << order).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut folios);
    for index in folios {
        file.load(index..index + 1).expect("room in the node");
    }
    assert_eq!(file.cached_pages(), (bytes / PAGE_SIZE) as u64);
    file
}

/// Whether the pages are what they were.
pub fn verify(file: &File) {
    let mut bytes = [0; PAGE_SIZE];
    for index in 0..file.len() / PAGE_SIZE as u64 {
        file.read_at(&mut bytes, index * PAGE_SIZE as u64).expect("a page that can be read");
        assert!(bytes == page(index), "page {index} has changed");
    }
}
