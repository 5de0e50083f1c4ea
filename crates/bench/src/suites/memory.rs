//! What a cached page takes besides its bytes: by how much the process grows.

use refolio::{Cache, File, HugePages, NodeOptions, PAGE_SIZE, Sharing};

use super::Run;
use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::noise::Timing;
use crate::peers::weighed;
use crate::plan::Plan;
use crate::resident;
use crate::results::Role;

const ALL: &str = "Refolio, all of it";

/// Nothing of this varies.
const REPS: usize = 3;

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let bytes = run.plan.bytes;
    let plan = Plan { reps: run.plan.reps.min(REPS), ..run.plan.clone() };
    let pages = bytes / PAGE_SIZE;
    let title = "what a cached page of 4 KiB takes besides its bytes";
    let mut contest = Contest::of_times(title, "bytes");
    let host = run.host;
    let each = move |grown: i64| Timing { each: grown as f64 / pages as f64, lost: 0.0 };
    contest.add(Role::Refolio, ALL, move || {
        let before = resident_bytes()?;
        let (_cache, file) = filled(bytes, host)?;
        Ok(each(resident_bytes()? - before - file.len() as i64))
    });
    let empty = "Refolio, of that for each frame: descriptor, LRU, hint, free lists";
    contest.add(Role::Other, empty, move || {
        let before = resident_bytes()?;
        let _cache = cache(bytes)?;
        Ok(each(resident_bytes()? - before))
    });
    contest.add(Role::Other, "Refolio, besides, for a view of it: entry and way back", move || {
        let (_cache, file) = filled(bytes, host)?;
        let before = resident_bytes()?;
        let view = file.view(0..pages as u64, Sharing::Shared);
        let view = view.map_err(Error::while_("making a view"))?;
        let mut byte = [0];
        for page in 0..pages as u64 {
            view.read(&mut byte, page * PAGE_SIZE as u64)
                .map_err(Error::while_("reading through a view"))?;
        }
        Ok(each(resident_bytes()? - before))
    });
    for (name, weigh) in weighed(&plan) {
        contest.add(Role::Peer, name, move || {
            let before = resident_bytes()?;
            let _peer = weigh(pages as u64)?;
            Ok(each(resident_bytes()? - before - bytes as i64))
        });
    }
    contest.is_at_most(80.0, ALL);
    let group = contest.run(&plan, host)?;
    run.groups.push(group);
    run.note(
        "the nodes are on small pages here, and full: the first has room for the file and little more",
    );
    Ok(format!("{pages} pages of 4 KiB; by how much the process's resident memory grows"))
}

/// A cache whose first node has room for all of it, and the second for hardly anything.
fn cache(bytes: usize) -> Result<Cache> {
    let first = (bytes + bytes / 128).next_multiple_of(PAGE_SIZE) as u64;
    let node = |bytes| NodeOptions::new(bytes).huge_pages(HugePages::Off);
    resident::build(Cache::builder().node(node(first)).node(node(1 << 20)).background(false))
}

fn filled(bytes: usize, host: &dyn crate::plan::Host) -> Result<(Cache, File)> {
    let cache = cache(bytes)?;
    let file = resident::file(&cache, bytes, 0, host)?;
    Ok((cache, file))
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
