//! The cache on this machine: how large its nodes are, what they are made of, and whether their
//! counters are right at the end.

use std::time::{Duration, Instant};

use refolio::{Cache, NodeOptions, NodeStats, PAGE_SIZE};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::findings::Findings;
use super::report::{Machine, NodeFacts, Options, Report};
use crate::args;
use crate::exit::Failure;
use crate::size;

/// The smallest node that still works as one.
const SMALLEST: u64 = 4 << 20;

/// Anonymous memory where nothing is said.
const ANON: u64 = 64 << 20;

/// Bytes of the fast and the slow node, and of anonymous memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The fast node.
    pub fast: u64,
    /// The slow node.
    pub slow: u64,
    /// Anonymous memory, whole folios.
    pub anon: u64,
}

impl Sizes {
    /// As asked for, or what `file_bytes` of files need. The error says which size makes no sense
    /// here.
    pub fn choose(args: &args::Migrate, file_bytes: u64) -> Result<Self, Failure> {
        let folio = (PAGE_SIZE as u64) << args.order;
        let memory = memory();
        let smallest = SMALLEST.max(8 * folio);
        for (name, given) in [("--fast", args.fast), ("--slow", args.slow)] {
            if let Some(given) = given
                && !(smallest..=memory).contains(&given)
            {
                return Err(Failure::unusable(format!(
                    "{name} {}: a node needs at least {} here, and this machine has {} of memory",
                    size::show(given),
                    size::show(smallest),
                    size::show(memory)
                )));
            }
        }
        // Without a word on anonymous memory there is as much as small nodes can bear.
        let given = [args.fast, args.slow].into_iter().flatten().min().unwrap_or(memory);
        let anon = args.anon.unwrap_or(ANON.min(given / 4)).next_multiple_of(folio);
        // Room for all, and for what is being allocated or freed at the moment.
        let needed = file_bytes.saturating_add(anon) / 8 * 9 + 64 * folio + (16 << 20);
        let default = needed.min(memory / 4).max(smallest);
        let fast = args.fast.or(args.slow).unwrap_or(default);
        let slow = args.slow.unwrap_or(fast);
        if anon > fast.min(slow) / 4 * 3 {
            return Err(Failure::unusable(format!(
                "--anon {}: it must fit into three quarters of each node ({} and {}), because \
                 anonymous memory cannot be evicted",
                size::show(anon),
                size::show(fast),
                size::show(slow)
            )));
        }
        if fast.saturating_add(slow) > memory {
            return Err(Failure::unusable(format!(
                "nodes of {} and {} are more than this machine's {} of memory: give smaller ones",
                size::show(fast),
                size::show(slow),
                size::show(memory)
            )));
        }
        Ok(Self { fast, slow, anon })
    }

    /// Pages in both nodes.
    pub fn pages(&self) -> u64 {
        (self.fast + self.slow) / PAGE_SIZE as u64
    }

    /// Whether so many pages are more than a node can hold without evicting some.
    pub fn stream(&self, pages: u64) -> bool {
        let smaller = self.fast.min(self.slow);
        pages * PAGE_SIZE as u64 > smaller - smaller / 16
    }

    /// The cache.
    pub fn build(&self) -> Result<Cache, Failure> {
        let (first, last) = numa_nodes();
        Cache::builder()
            .node(NodeOptions::new(self.fast).name("fast").numa(first))
            .node(NodeOptions::new(self.slow).name("slow").numa(last))
            .build()
            .map_err(|error| Failure::unusable(error.to_string()))
    }
}

/// Makes sure that so many files can be open at once.
pub fn allow_open_files(files: u64) -> Result<(), Failure> {
    // Some more: the standard streams, the report, what the end opens to compare.
    let wanted = files + 64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= wanted) {
        return Ok(());
    }
    limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
    let raised = setrlimit(Resource::Nofile, limit);
    if raised.is_ok() && limit.current == Some(wanted) {
        return Ok(());
    }
    Err(Failure::unusable(format!(
        "{files} files are to be open at once, scratch copies included, and the system allows {}: \
         raise `ulimit -Hn`, name fewer files, or give --writers 0",
        limit.maximum.map_or("fewer".into(), size::count)
    )))
}

/// Hardware threads this program may use.
pub fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// Bytes of memory.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(info.mem_unit.into())
}

/// The first and the last NUMA node of the machine; they are one on most.
fn numa_nodes() -> (u32, u32) {
    let online = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    let mut numbers = online.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    let first = numbers.next().unwrap_or(0);
    (first, numbers.next_back().unwrap_or(first))
}

/// What the report says of the machine.
pub fn facts(cache: &Cache) -> Machine {
    let nodes = cache.nodes().into_iter().map(|node| NodeFacts {
        name: node.name,
        bytes: node.frames * PAGE_SIZE as u64,
        numa: node.backing.numa.to_string(),
        huge_pages: node.backing.huge.to_string(),
    });
    Machine { cores: cores(), nodes: nodes.collect() }
}

/// What the report says of the options.
pub fn options(args: &args::Migrate, sizes: Sizes, readers: u64) -> Options {
    Options {
        paths: args.paths.iter().map(|path| path.display().to_string()).collect(),
        fast: sizes.fast,
        slow: sizes.slow,
        rounds: args.rounds,
        seconds: args.lasts.map(|lasts| lasts.as_secs()),
        readers,
        writers: args.writers,
        anon: sizes.anon,
        order: args.order,
        mode: args.mode,
        form: args.form,
        write: args.write,
    }
}

/// The lines above the table.
pub fn lines(report: &Report) -> Vec<String> {
    let options = &report.options;
    let many = super::report::many;
    let mut lines = vec![format!(
        "{}, {}, {}; folios of order {}; seed {}",
        many(report.machine.cores, "core"),
        many(options.readers, "reader"),
        many(options.writers, "writer"),
        options.order,
        report.seed
    )];
    lines.extend(report.machine.nodes.iter().map(|node| {
        format!("{}: {}, {}, {}", node.name, size::show(node.bytes), node.huge_pages, node.numa)
    }));
    lines.push(String::new());
    lines
}

/// The counters of all nodes must say the same as the run: nothing is on its way any more, all that
/// was written is clean, all anonymous memory is still there, and each frame is either free or
/// holds a page. (Whoever has been freeing pages may need a moment.)
pub fn count(cache: &Cache, anon_bytes: u64, findings: &Findings) {
    let anon = anon_bytes / PAGE_SIZE as u64;
    let start = Instant::now();
    loop {
        let nodes = cache.nodes();
        let sum = |of: fn(&NodeStats) -> u64| nodes.iter().map(of).sum::<u64>();
        let held = sum(|node| node.frames) - sum(|node| node.nr_free_pages);
        let counted = [
            ("isolated", sum(|node| node.nr_isolated), 0),
            ("dirty", sum(|node| node.nr_dirty), 0),
            ("being written back", sum(|node| node.nr_writeback), 0),
            ("anonymous", sum(|node| node.nr_anon_pages), anon),
            ("of files", sum(|node| node.nr_file_pages), held.saturating_sub(anon)),
        ];
        let wrong = counted.into_iter().filter(|(_, found, expected)| found != expected);
        let wrong = wrong.map(|(what, found, expected)| {
            format!("{found} pages are {what} ({expected} expected)")
        });
        let wrong = wrong.collect::<Vec<_>>();
        if wrong.is_empty() {
            return;
        }
        if start.elapsed() > Duration::from_secs(1) {
            findings.failed("the counters of the nodes are wrong", &wrong.join(", "));
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
