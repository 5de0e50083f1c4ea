//! What a cached page takes besides its bytes: by how much a process grows that caches many. Each is
//! weighed in a process of its own, which has no memory left over from before.

use std::process::{Command, ExitCode};

use refolio::{Cache, File, HugePages, NodeOptions, PAGE_SIZE, Sharing};

use super::Run;
use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::noise::Timing;
use crate::peers::weighed;
use crate::plan::{Host, Plan};
use crate::resident;
use crate::results::Role;

const ALL: &str = "Refolio, all of it";
const FRAMES: &str = "Refolio, of that for each frame: descriptor, LRU, hint, free lists";
const VIEW: &str = "Refolio, besides, for a view of it: entry and way back";

/// Little of this varies.
const REPS: usize = 3;

/// Tells this program that it is such a process: how many bytes are to be cached, and by what.
const CHILD: &str = "REFOLIO_BENCH_WEIGH";

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let bytes = run.plan.bytes;
    let plan = Plan { reps: run.plan.reps.min(REPS), ..run.plan.clone() };
    let pages = bytes / PAGE_SIZE;
    let mut contest =
        Contest::of_times("what a cached page of 4 KiB takes besides its bytes", "bytes");
    let parts = [(Role::Refolio, ALL), (Role::Other, FRAMES), (Role::Other, VIEW)];
    let peers = weighed().into_iter().map(|(name, _)| (Role::Peer, name));
    for (role, name) in parts.into_iter().chain(peers) {
        contest.add(role, name, move || {
            Ok(Timing { each: weighed_apart(name, bytes)? / pages as f64, lost: 0.0 })
        });
    }
    contest.is_at_most(80.0, ALL);
    run.groups.push(contest.run(&plan, run.host)?);
    run.note(
        "Refolio's nodes are on small pages here, and full: the first one has room for the file and \
         little more. Reserve for growth that other caches ask for ahead is in their figures as far \
         as they have touched it",
    );
    Ok(format!("{pages} pages of 4 KiB; by how much a process of its own grows"))
}

/// By how many bytes a process grows, besides those of the pages.
fn weighed_apart(name: &str, bytes: usize) -> Result<f64> {
    let doing = "weighing in a process of its own";
    let this = std::env::current_exe().map_err(Error::while_(doing))?;
    let child = Command::new(this).env(CHILD, format!("{bytes} {name}")).output();
    let child = child.map_err(Error::while_(doing))?;
    let out = String::from_utf8_lossy(&child.stdout);
    match (child.status.success(), out.trim().parse()) {
        (true, Ok(grown)) => Ok(grown),
        _ => Err(Error::failed(doing, String::from_utf8_lossy(&child.stderr).trim())),
    }
}

/// When this process was started to weigh something: does that, and says how to exit. The program
/// that measures must ask first of all.
pub fn child() -> Option<ExitCode> {
    let asked = std::env::var(CHILD).ok()?;
    let (bytes, name) = asked.split_once(' ')?;
    let bytes = bytes.parse().ok()?;
    match weigh(name, bytes) {
        Ok(grown) => {
            println!("{grown}");
            Some(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn weigh(name: &str, bytes: usize) -> Result<i64> {
    let before = resident_bytes()?;
    match name {
        FRAMES => {
            let _cache = cache(bytes)?;
            Ok(resident_bytes()? - before)
        }
        ALL => {
            let (_cache, file) = filled(bytes)?;
            Ok(resident_bytes()? - before - file.len() as i64)
        }
        VIEW => {
            let (_cache, file) = filled(bytes)?;
            let before = resident_bytes()?;
            let view = file.view(0..(bytes / PAGE_SIZE) as u64, Sharing::Shared);
            let view = view.map_err(Error::while_("making a view"))?;
            let mut byte = [0];
            for page in 0..view.pages() {
                view.read(&mut byte, page * PAGE_SIZE as u64)
                    .map_err(Error::while_("reading through a view"))?;
            }
            Ok(resident_bytes()? - before)
        }
        peer => {
            let all = weighed();
            let (_, fill) = all
                .iter()
                .find(|(name, _)| *name == peer)
                .ok_or_else(|| Error::Unusable("there is no such thing to weigh".into()))?;
            let _peer = fill((bytes / PAGE_SIZE) as u64)?;
            Ok(resident_bytes()? - before - bytes as i64)
        }
    }
}

/// A cache whose first node has room for all of it, and the second for hardly anything.
fn cache(bytes: usize) -> Result<Cache> {
    let first = (bytes + bytes / 128).next_multiple_of(PAGE_SIZE) as u64;
    let node = |bytes| NodeOptions::new(bytes).huge_pages(HugePages::Off);
    resident::build(Cache::builder().node(node(first)).node(node(1 << 20)).background(false))
}

fn filled(bytes: usize) -> Result<(Cache, File)> {
    let cache = cache(bytes)?;
    let file = resident::file(&cache, bytes, 0, &Nobody)?;
    Ok((cache, file))
}

/// Nobody stops such a process but with the whole group.
struct Nobody;

impl Host for Nobody {
    fn is_stopped(&self) -> bool {
        false
    }

    fn doing(&self, _what: &str, _done: usize, _all: usize) {}
}

/// Bytes of this process that are in memory.
fn resident_bytes() -> Result<i64> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path).map_err(Error::while_(path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<i64>().ok())
        .map(|kib| kib << 10)
        .ok_or_else(|| Error::Unusable(format!("{path} does not say how much is resident")))
}
