//! foyer's disk cache: pages in its block engine, behind a memory part that is too small for them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foyer::{
    BlockEngineConfig, DeviceBuilder, FileDeviceBuilder, HybridCache, HybridCacheBuilder,
    PsyncIoEngineConfig, RecoverMode,
};
use tokio::runtime::Runtime;

use crate::{PAGE, Page};

/// foyer's `HybridCache` over a file of its own, opened with `O_DIRECT`.
pub struct Disk {
    runtime: Runtime,
    cache: Arc<HybridCache<u64, Vec<u8>>>,
    pages: u64,
}

/// What it is called.
pub const NAME: &str = "foyer, disk cache (psync engine, O_DIRECT)";

/// Pages that are handed over before it is waited for them.
const CHUNK: u64 = 1024;

/// What came of reads at random.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Pages that were found.
    pub found: u64,
    /// Pages that were not: it had dropped them.
    pub missing: u64,
    /// How long all of it took.
    pub elapsed: Duration,
}

impl Disk {
    /// Holds the pages `0..pages` in a file in `dir`, and at most `memory` bytes of them in memory.
    ///
    /// # Errors
    /// One line, with what foyer says.
    pub fn filled(
        dir: &Path,
        pages: u64,
        memory: usize,
        content: &dyn Fn(u64) -> Page,
    ) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{NAME}: {error}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| wrong(&error))?;
        // An entry has a head of its own, and takes whole blocks of 4 KiB: two for a page.
        let room = (pages as usize * PAGE * 2 + (1 << 30)).next_multiple_of(16 << 20);
        let path = dir.join("foyer");
        let device = FileDeviceBuilder::new(path).with_capacity(room).with_direct(true).build();
        let device = device.map_err(|error| wrong(&error))?;
        let cache = runtime.block_on(async {
            HybridCacheBuilder::new()
                .memory(memory)
                .with_weighter(|_, value: &Vec<u8>| value.len())
                .storage()
                .with_io_engine_config(PsyncIoEngineConfig::new())
                .with_engine_config(BlockEngineConfig::new(device))
                .with_recover_mode(RecoverMode::None)
                .build()
                .await
        });
        let cache: HybridCache<u64, Vec<u8>> = cache.map_err(|error| wrong(&error))?;
        for first in (0..pages).step_by(CHUNK as usize) {
            for page in first..(first + CHUNK).min(pages) {
                cache.storage_writer(page).force().insert(content(page).to_vec());
            }
            runtime.block_on(cache.storage().wait());
        }
        Ok(Self { runtime, cache: Arc::new(cache), pages })
    }

    /// Reads pages at random for a while, `depth` at a time.
    ///
    /// # Errors
    /// As [`filled`](Self::filled).
    pub fn random(&self, depth: usize, span: Duration) -> Result<Reads, String> {
        let (start, pages) = (Instant::now(), self.pages);
        let one = |cache: Arc<HybridCache<u64, Vec<u8>>>| async move {
            let (mut found, mut missing, mut rng) = (0, 0, fastrand::Rng::new());
            while start.elapsed() < span {
                let entry = cache.get(&rng.u64(..pages)).await.map_err(|e| e.to_string())?;
                match entry {
                    Some(_) => found += 1,
                    None => missing += 1,
                }
            }
            Ok::<_, String>((found, missing))
        };
        let tasks: Vec<_> =
            (0..depth).map(|_| self.runtime.spawn(one(self.cache.clone()))).collect();
        let mut reads = Reads { found: 0, missing: 0, elapsed: Duration::ZERO };
        for task in tasks {
            let ended = self.runtime.block_on(task).map_err(|error| error.to_string())?;
            let (found, missing) = ended.map_err(|error| format!("{NAME}: {error}"))?;
            reads.found += found;
            reads.missing += missing;
        }
        Ok(Reads { elapsed: start.elapsed(), ..reads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_cache_finds_its_pages() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::filled(dir.path(), 4096, 1 << 20, &|page| [page as u8; PAGE]).unwrap();
        let reads = disk.random(4, Duration::from_millis(200)).unwrap();
        assert!(reads.found > 100 && reads.missing * 20 < reads.found, "{reads:?}");
    }
}
