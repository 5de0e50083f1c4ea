//! A real file that may not grow: who is told of a write that failed, and how often.
//!
//! Several handles to one file take a file on disk, and so does this failure: a limit on the size
//! of files, which holds for a whole process. So the test is played by a child.

use std::path::Path;
use std::process::Command;

use refolio::{Cache, Error, File, NodeOptions, PAGE_SIZE};
use rustix::process::{Resource, Rlimit, setrlimit};

const CHILD: &str = "REFOLIO_LIMITED_FILE";

#[test]
fn each_handle_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, vec![1; 2 * PAGE_SIZE]).unwrap();
    // What is refused shall be an error, and not a signal.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact limit::child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{}\n{said}", String::from_utf8_lossy(&child.stdout));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[3 * PAGE_SIZE..][..5], *b"first");
    assert_eq!(bytes[4 * PAGE_SIZE..], *b"second");
}

fn limit(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// Whether `sync` reports that the file would be too large.
fn told(file: &File) -> bool {
    const EFBIG: i32 = 27;
    match file.sync().map_err(|error| *error) {
        Ok(()) => false,
        Err(Error::Io { source, .. }) if source.raw_os_error() == Some(EFBIG) => true,
        Err(other) => panic!("{other}"),
    }
}

/// Nothing, unless it is told which file to play with.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let path = Path::new(&path);
    let node = NodeOptions::new(64 * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node.clone()).node(node).background(false).build().unwrap();
    let [a, b] = [(); 2].map(|()| cache.open(path).unwrap());

    limit(Some(2 * PAGE_SIZE as u64));
    a.write_at(b"first", 3 * PAGE_SIZE as u64).unwrap();
    assert!(told(&a), "the one who wrote");
    assert!(told(&b), "the other one tries to write it, too");
    limit(None);
    // The second failure was told to `b` only; the page is written now.
    assert!(told(&a), "a failure that another handle met");
    assert_eq!((told(&a), told(&b)), (false, false), "told twice");
    let c = cache.open(path).unwrap();
    assert!(!told(&c), "a failure from before the handle was opened, of which others were told");

    limit(Some(2 * PAGE_SIZE as u64));
    a.write_at(b"second", 4 * PAGE_SIZE as u64).unwrap();
    let evicted = a.evict(0..10).map_err(|error| *error);
    assert!(matches!(evicted, Err(Error::Io { .. })), "a write of nobody's `sync`");
    let d = cache.open(path).unwrap();
    limit(None);
    for (name, handle) in [("a", &a), ("b", &b), ("c", &c), ("d, opened before anybody knew", &d)] {
        assert!(told(handle), "{name} was not told");
        assert!(!told(handle), "{name} was told twice");
    }
    assert!(!told(&cache.open(path).unwrap()), "everybody knew before it was opened");
}
