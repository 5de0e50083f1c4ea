//! Every page of a file goes back and forth between two nodes, while threads read and write it.
//!
//! `cargo run --release --example migrate_under_load`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use refolio::{Cache, MemStore, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE};

const PAGES: u64 = 4096;

fn main() -> refolio::Result<()> {
    let cache = Cache::builder()
        .node(NodeOptions::new(32 << 20))
        .node(NodeOptions::new(32 << 20))
        .build()?;
    let file = cache.open_store(MemStore::new(), &OpenOptions::new())?;
    // Every byte of a page is the number of its writes (modulo 256), so a torn page shows.
    file.set_len(PAGES * PAGE_SIZE as u64)?;
    file.load(0..PAGES)?;

    let (stop, reads, writes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let moved = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut page = vec![0; PAGE_SIZE];
            let mut random = fastrand::Rng::with_seed(1);
            while !stop.load(Relaxed) {
                file.read_at(&mut page, random.u64(..PAGES) * PAGE_SIZE as u64)?;
                let count = page[0];
                assert!(
                    page.iter().all(|byte| *byte == count),
                    "a page is seen whole, or not at all"
                );
                reads.fetch_add(1, Relaxed);
            }
            refolio::Result::Ok(())
        });
        let writer = threads.spawn(|| {
            let mut random = fastrand::Rng::with_seed(2);
            while !stop.load(Relaxed) {
                let offset = random.u64(..PAGES) * PAGE_SIZE as u64;
                let mut count = [0];
                file.read_at(&mut count, offset)?;
                file.write_at(&[count[0].wrapping_add(1); PAGE_SIZE], offset)?;
                writes.fetch_add(1, Relaxed);
            }
            refolio::Result::Ok(())
        });
        let (start, mut moved, mut to) = (Instant::now(), 0, 1);
        while start.elapsed() < Duration::from_secs(2) {
            moved += file.migrate(0..PAGES, NodeId(to), &Migrate::new())?.counts().moved;
            to = 1 - to;
        }
        stop.store(true, Relaxed);
        for thread in [reader, writer] {
            thread.join().expect("no assertion failed")?;
        }
        refolio::Result::Ok(moved)
    })?;
    println!(
        "{moved} pages moved, while {} were read and {} written",
        reads.into_inner(),
        writes.into_inner()
    );
    Ok(())
}
