//! Handles to one file that come and go: whoever closes the last one writes the pages back and
//! forgets them, while another thread opens the file again, writes, and makes it longer.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use refolio::{Cache, Migrate, NodeId, NodeOptions, PAGE_SIZE, PageIndex, Sharing};

use crate::crew::crew;
use crate::record::{BLOCK, decode, encode};
use crate::{rest, seed};

const THREADS: usize = 3;

/// Blocks of each thread, a page apart; the threads share the pages.
const BLOCKS: usize = 30;

/// Plays one round; how many times the file was opened in it.
pub fn play(seed: u64, opens: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node.clone()).node(node).background(rng.bool());
    let cache = cache.writeback_interval(Duration::from_micros(100)).build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, []).unwrap();
    crew(|threads| {
        let (cache, path) = (&cache, path.as_path());
        for n in 0..THREADS {
            let rng = rng.fork();
            threads.spawn(move || come_and_go(cache, path, n, rng, opens / THREADS as u64));
        }
    });
    rest::check_empty(&cache);
    opens
}

fn come_and_go(cache: &Cache, path: &Path, thread: usize, mut rng: Rng, opens: u64) {
    let mut written = [0; BLOCKS];
    for generation in 1..=opens {
        seed::step();
        let file = cache.open(path).unwrap();
        let page = rng.usize(..BLOCKS);
        let offset = (page * PAGE_SIZE + thread * BLOCK) as u64;
        let block = (page * THREADS + thread) as u64;
        let mut bytes = [0; BLOCK];
        file.read_at(&mut bytes, offset).unwrap();
        if written[page] > 0 {
            assert_eq!(decode(block, &bytes), Ok(written[page]), "a write was lost, block {block}");
        }
        let new = encode(block, generation, thread as u64);
        let view = rng.bool().then(|| file.view(0..BLOCKS as u64, Sharing::Shared).unwrap());
        let there = (page + 1) * PAGE_SIZE <= file.len() as usize;
        match (rng.u8(..4), &view) {
            _ if !there => file.write_at(&new, offset).unwrap(),
            (0, _) => file.write_at(&new, offset).unwrap(),
            (1, _) => {
                file.page_mut(PageIndex(page as u64)).unwrap().write(thread * BLOCK, &new);
            }
            (_, Some(view)) => view.write(&new, offset).unwrap(),
            (_, None) => {
                let to = NodeId(rng.u8(..2));
                file.migrate(0..BLOCKS as u64, to, &Migrate::new()).unwrap();
                continue;
            }
        }
        written[page] = generation;
        if rng.u8(..8) == 0 {
            file.close().unwrap();
        } else {
            drop(file);
        }
        // Now and then the view is the last one.
        drop(view);
    }
    let file = cache.open(path).unwrap();
    file.close().unwrap();
    // Everybody's blocks, or newer ones, are in the file: but for those who are still at it.
    let stored = std::fs::read(path).unwrap();
    for (page, generation) in written.iter().enumerate().filter(|(_, written)| **written > 0) {
        let block = (page * THREADS + thread) as u64;
        let found = &stored[page * PAGE_SIZE + thread * BLOCK..][..BLOCK];
        assert_eq!(decode(block, found), Ok(*generation), "in the file, block {block}");
    }
}
