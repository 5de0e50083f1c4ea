//! The machine's accounts: after a job, with no file in use and caches dropped, memory must add up
//! as it did before. A case sees its own pages; a page that is lost for good, and a counter that
//! drifts by one with each move, are seen here.

use std::fs;
use std::io;
use std::path::Path;

/// Pages that may be missing or too many. What else the kernel keeps for itself (for processes,
/// sockets, disks) comes and goes by this much.
const NOISE: i64 = 512;

/// Pages that are written to see whether they are counted as dirty.
const DIRTIED: usize = 4096;

/// What was counted, in pages.
#[derive(Clone, Copy, Debug)]
pub struct Accounts {
    /// In the page cache (`nr_file_pages`).
    file: i64,
    /// Of no known use.
    unaccounted: i64,
}

/// Something that does not add up: its name, and the figures.
pub type Drift = (String, String);

impl Accounts {
    /// Drops what can be dropped, and counts.
    pub fn take() -> Self {
        rustix::fs::sync();
        let _ = fs::write("/proc/sys/vm/drop_caches", "3");
        refresh();
        Self { file: vmstat("nr_file_pages"), unaccounted: unaccounted() }
    }

    /// What does not add up since `before`.
    pub fn since(self, before: Self) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let file = self.file - before.file;
        if file.abs() > NOISE {
            let detail = format!("nr_file_pages went from {} to {}", before.file, self.file);
            drifts.push(("miscounted".into(), format!("{detail}, with the same files in memory")));
        }
        // What the page cache does not count, nobody counts: it is one mistake, not two.
        let leaked = self.unaccounted - before.unaccounted + file.min(0);
        if leaked > NOISE {
            drifts.push(("leak".into(), format!("{leaked} pages are in use, and nobody has them")));
        }
        drifts
    }
}

/// Writes a file below `place`, and looks whether its pages are counted as dirty.
pub fn dirty_is_counted(place: &Path) -> io::Result<Vec<Drift>> {
    let file = place.join("dirty");
    rustix::fs::sync();
    refresh();
    let before = vmstat("nr_dirty");
    fs::write(&file, vec![1; DIRTIED << 12])?;
    refresh();
    let counted = vmstat("nr_dirty") - before + vmstat("nr_writeback");
    fs::remove_file(&file)?;
    let missing = counted < DIRTIED as i64 / 2;
    let detail = format!("{DIRTIED} pages were written, and nr_dirty grew by {counted}");
    Ok(missing.then(|| ("miscounted".into(), detail)).into_iter().collect())
}

/// What each processor has counted for itself is added up.
fn refresh() {
    let _ = fs::read("/proc/sys/vm/stat_refresh");
}

fn vmstat(name: &str) -> i64 {
    number(&fs::read_to_string("/proc/vmstat").unwrap_or_default(), name)
}

/// Memory that is not free, and that nobody is known to use.
fn unaccounted() -> i64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let known = [
        "MemFree:",
        "Buffers:",
        "Cached:",
        "SwapCached:",
        "AnonPages:",
        "Slab:",
        "KernelStack:",
        "PageTables:",
        "SecPageTables:",
        "Percpu:",
        "VmallocUsed:",
        "HardwareCorrupted:",
        "Hugetlb:",
    ];
    let known: i64 = known.iter().map(|name| number(&info, name)).sum();
    let zones = fs::read_to_string("/proc/zoneinfo").unwrap_or_default();
    ((number(&info, "MemTotal:") - known) >> 2) - at_hand(&zones)
}

/// Free pages that each processor keeps at hand: they are not counted as free.
fn at_hand(zones: &str) -> i64 {
    let lines = zones.lines().map(str::trim_start);
    lines.filter(|line| line.starts_with("count:")).map(|line| number(line, "count:")).sum()
}

/// The number after a name that begins a line.
fn number(text: &str, name: &str) -> i64 {
    let line = text.lines().find_map(|line| {
        line.strip_prefix(name).filter(|rest| rest.starts_with(char::is_whitespace))
    });
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_and_what_is_miscounted_are_told_apart() {
        let before = Accounts { file: 20_000, unaccounted: 5_000 };
        let names = |file, unaccounted| -> Vec<_> {
            let drifts = Accounts { file, unaccounted }.since(before);
            drifts.into_iter().map(|(name, _)| name).collect()
        };
        assert!(names(20_100, 5_100).is_empty());
        assert_eq!(names(20_000, 9_000), ["leak"]);
        assert_eq!(names(16_000, 9_000), ["miscounted"]);
        assert_eq!(names(24_000, 5_000), ["miscounted"]);
        assert_eq!(names(16_000, 13_000), ["miscounted", "leak"]);
    }

    #[test]
    fn numbers_go_by_their_whole_name() {
        let text = "nr_dirty_threshold 7\nnr_dirty 3\nMemFree:       12 kB\n";
        assert_eq!((number(text, "nr_dirty"), number(text, "MemFree:")), (3, 12));
        assert_eq!(number(text, "nr_absent"), 0);
        let zones = "  pagesets\n    cpu: 0\n              count: 12\n    cpu: 1\n   count:    3\n";
        assert_eq!(at_hand(zones), 15);
    }
}
