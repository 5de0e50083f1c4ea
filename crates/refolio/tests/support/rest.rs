//! What must hold of a cache at rest: nobody inside, no pins.

use std::time::{Duration, Instant};

use refolio::{Cache, File};

/// Nothing is lost or counted twice: every frame is free or one page's, on one list, and the files
/// have what the nodes say. `files`: one handle of each file that is open.
#[track_caller]
pub fn check(cache: &Cache, files: &[&File]) {
    let nodes = cache.nodes();
    for node in &nodes {
        let used = node.nr_file_pages + node.nr_anon_pages;
        assert_eq!(node.nr_free_pages + used, node.frames, "frames that leaked: {node:?}");
        assert_eq!(node.nr_active + node.nr_inactive, used, "pages off the lists: {node:?}");
        assert_eq!(node.nr_isolated, 0, "{node:?}");
        assert_eq!(node.nr_writeback, 0, "{node:?}");
        assert!(node.nr_dirty <= node.nr_file_pages, "{node:?}");
    }
    let in_nodes: u64 = nodes.iter().map(|node| node.nr_file_pages).sum();
    let in_files: u64 = files.iter().map(|file| file.cached_pages()).sum();
    assert_eq!(in_files, in_nodes, "pages of files and of nodes: {nodes:?}");
}

/// Everything that was written is in the stores.
#[track_caller]
pub fn check_clean(cache: &Cache) {
    for node in cache.nodes() {
        assert_eq!((node.nr_dirty, node.nr_writeback), (0, 0), "{node:?}");
    }
}

/// All files and views are gone, and all frames are free; soon, if the cache's own thread has one
/// in hand at the moment.
#[track_caller]
pub fn check_empty(cache: &Cache) {
    let since = Instant::now();
    let in_use = || cache.nodes().iter().any(|node| node.nr_free_pages < node.frames);
    while in_use() && since.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    check(cache, &[]);
    for node in cache.nodes() {
        assert_eq!(node.nr_free_pages, node.frames, "{node:?}");
        assert_eq!((node.nr_dirty, node.nr_active, node.nr_inactive), (0, 0, 0), "{node:?}");
    }
}
