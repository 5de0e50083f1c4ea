//! A file ten times the size of all nodes streams through a process of its own, whose greatest
//! resident size is held against the nodes' size.

use std::io::Write;
use std::process::Command;

use refolio::{Cache, NodeOptions, PAGE_SIZE};

use crate::Plan;
use crate::noise::Spread;
use crate::resident;
use crate::table::{Must, Row};

const NODE: usize = 32 << 20;
const NODES: usize = 2;
const FILE: usize = 10 * NODES * NODE;
const PIECE: usize = 1 << 20;

/// Tells this program that it is the child, and names the file.
const CHILD: &str = "REFOLIO_LIMITS_STREAM";

/// Whether this process is the one that streams.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Reads the file, overwrites and syncs it, reads it again; prints the process's peak.
pub fn child() {
    let path = std::env::var_os(CHILD).expect("the parent names the file");
    let builder =
        (0..NODES).fold(Cache::builder(), |all, _| all.node(NodeOptions::new(NODE as u64)));
    let cache = builder.build().expect("memory for the nodes");
    let file = cache.open(path).expect("the parent made the file");
    let mut piece = vec![0; PIECE];
    for shift in [0, 1] {
        for at in (0..FILE as u64).step_by(PIECE) {
            assert_eq!(file.read_at(&mut piece, at).expect("a readable file"), PIECE);
            for (page, bytes) in piece.as_chunks::<PAGE_SIZE>().0.iter().enumerate() {
                let index = at / PAGE_SIZE as u64 + page as u64 + shift;
                assert!(*bytes == resident::page(index), "page {index}");
            }
        }
        if shift == 1 {
            break;
        }
        for at in (0..FILE as u64).step_by(PAGE_SIZE) {
            let index = at / PAGE_SIZE as u64 + 1;
            file.write_at(&resident::page(index), at).expect("a writable file");
        }
        file.sync().expect("a durable file");
    }
    println!("{}", peak_kib().expect("VmHWM in /proc/self/status"));
}

/// The greatest resident size so far.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The row of this bench.
pub fn rows(_plan: Plan) -> Vec<Row> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    for index in 0..(FILE / PAGE_SIZE) as u64 {
        file.write_all(&resident::page(index)).expect("room for the file");
    }
    let this = std::env::current_exe().expect("the path of this program");
    let child = Command::new(this).env(CHILD, file.path()).output().expect("a child process");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let kib = String::from_utf8_lossy(&child.stdout);
    let peak = kib.trim().parse::<f64>().expect("a number") / 1024.0;
    let nodes = ((NODES * NODE) >> 20) as f64;
    let most = nodes * 1.05 + 32.0;
    vec![Row {
        what: format!("peak of a process that streams {} MiB", FILE >> 20),
        unit: "MiB",
        ours: Spread::of([peak]),
        limit: Some((Spread::of([most]), "nodes + 5 % + 32 MiB")),
        ratio: Some(peak / most),
        must: Must::AtMost(1.0),
        rejected: 0,
    }]
}
