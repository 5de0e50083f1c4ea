//! A file ten times the size of all nodes streams through, in bounded memory.
//!
//! The test starts itself as a child, whose peak resident size the kernel tells: at most the nodes,
//! and 5 % for descriptors and trees, and 32 MiB for the program.

use std::process::Command;

use refolio::{Cache, NodeOptions, PAGE_SIZE};

/// Tells a process that it is the child, with the file.
const CHILD: &str = "REFOLIO_STREAM_CHILD";

const NODE: u64 = 8 << 20;
const FILE: u64 = 10 * 2 * NODE;
const PIECE: usize = 256 << 10;

/// What is at `offset`, after `times` times that the file was overwritten.
fn bytes_at(offset: u64, times: u8) -> Vec<u8> {
    let mut bytes = vec![times; PIECE];
    for (page, bytes) in bytes.chunks_mut(PAGE_SIZE).enumerate() {
        let index = offset / PAGE_SIZE as u64 + page as u64;
        bytes[..8].copy_from_slice(&index.to_le_bytes());
    }
    bytes
}

fn offsets() -> impl Iterator<Item = u64> {
    (0..FILE).step_by(PIECE)
}

#[test]
fn a_file_ten_times_the_nodes_streams_through_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let mut made = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for offset in offsets() {
        std::io::Write::write_all(&mut made, &bytes_at(offset, 0)).unwrap();
    }
    drop(made);

    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let peak = said.lines().find_map(|line| line.split_once("peak ")).expect("the peak").1;
    let peak: u64 = peak.trim().parse().unwrap();
    let limit = 2 * NODE * 105 / 100 + (32 << 20);
    println!("peak {} MiB, of at most {} MiB", peak >> 20, limit >> 20);
    assert!(peak <= limit, "peak {peak} bytes, more than {limit}");

    // What it wrote is in the file, as the ordinary file system has it.
    let bytes = std::fs::read(&path).unwrap();
    for offset in offsets() {
        let found = &bytes[offset as usize..offset as usize + PIECE];
        assert!(found == bytes_at(offset, 1), "at {offset}");
    }
}

/// Not a test: the process that streams.
#[test]
#[ignore = "started by the test above"]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let cache =
        Cache::builder().node(NodeOptions::new(NODE)).node(NodeOptions::new(NODE)).build().unwrap();
    let file = cache.open(path).unwrap();
    let mut piece = vec![0; PIECE];
    for offset in offsets() {
        file.read_at(&mut piece, offset).unwrap();
        assert!(piece == bytes_at(offset, 0), "at {offset}");
    }
    for offset in offsets() {
        file.write_at(&bytes_at(offset, 1), offset).unwrap();
    }
    file.sync().unwrap();
    for offset in offsets() {
        file.read_at(&mut piece, offset).unwrap();
        assert!(piece == bytes_at(offset, 1), "at {offset}");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak {}", peak << 10);
}
