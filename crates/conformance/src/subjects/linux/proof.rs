//! Where pages are: the node, as anybody may ask, and the frame, as root may.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use refolio::PAGE_SIZE;

/// Looks pages up in the page table, and frames in the kernel's list.
#[derive(Debug)]
pub(crate) struct Pagemap {
    pages: File,
    flags: Option<File>,
}

/// What one frame is, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Ksm = 21,
    Unevictable = 18,
    Huge = 22,
    Compound = 16,
    SwapCache = 13,
}

impl Pagemap {
    /// None where frames are not shown (to anybody but root).
    pub fn open() -> Option<Self> {
        let pages = File::open("/proc/self/pagemap").ok()?;
        let map = Self { pages, flags: File::open("/proc/kpageflags").ok() };
        rustix::process::geteuid().is_root().then_some(map)
    }

    fn entry(&self, address: usize) -> u64 {
        let mut entry = [0; 8];
        let at = (address / PAGE_SIZE * 8) as u64;
        let read = self.pages.read_exact_at(&mut entry, at);
        read.map_or(0, |()| u64::from_ne_bytes(entry))
    }

    /// The frame of a page that is present.
    pub fn frame(&self, address: usize) -> Option<u64> {
        let entry = self.entry(address);
        (entry >> 63 == 1).then_some(entry & ((1 << 55) - 1)).filter(|frame| *frame != 0)
    }

    /// Whether the page was written since the marks were cleared.
    pub fn is_soft_dirty(&self, address: usize) -> bool {
        self.entry(address) >> 55 & 1 == 1
    }

    /// Whether the frame of a page is so; None when it cannot be known.
    pub fn has(&self, address: usize, flag: Flag) -> Option<bool> {
        let frame = self.frame(address)?;
        let mut word = [0; 8];
        self.flags.as_ref()?.read_exact_at(&mut word, frame * 8).ok()?;
        Some(u64::from_ne_bytes(word) >> flag as u32 & 1 == 1)
    }
}

/// The kernel's counters: of the machine, or of a node.
pub(crate) type Counts = BTreeMap<String, i64>;

/// The counters of the machine.
pub(crate) fn vmstat() -> Counts {
    parse(&fs::read_to_string("/proc/vmstat").unwrap_or_default())
}

/// The counters of a node.
pub(crate) fn node_vmstat(node: usize) -> Counts {
    let path = format!("/sys/devices/system/node/node{node}/vmstat");
    parse(&fs::read_to_string(path).unwrap_or_default())
}

/// Has every CPU's share added to the counters, where that is allowed.
pub(crate) fn refresh() {
    let _ = fs::read("/proc/sys/vm/stat_refresh");
}

fn parse(text: &str) -> Counts {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// One counter; 0 when the kernel has none of the name.
pub(crate) fn count(counts: &Counts, name: &str) -> i64 {
    counts.get(name).copied().unwrap_or(0)
}

/// Where in the kernel this process's threads are, as far as that is shown.
pub(crate) fn stacks() -> String {
    let mut told = Vec::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let (name, stack) = (read("comm"), read("stack"));
        let calls = stack.lines().filter_map(|line| line.split_whitespace().last());
        let calls: Vec<_> = calls.take(8).collect();
        if !calls.is_empty() {
            told.push(format!("{} in {}", name.trim(), calls.join(" < ")));
        }
    }
    told.join("; ")
}
