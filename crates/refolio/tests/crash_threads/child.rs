//! What is interrupted: threads that write, move, truncate and sync, in a process that is killed,
//! or on a store that loses its power.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use refolio::{Cache, File, Form, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE};

use crate::record::{BLOCK, encode};

/// Says the child what to do: whether to go past the page cache, a seed, and the file.
pub const ENV: &str = "REFOLIO_CRASH_CHILD";

/// Begins a line that acknowledges a sync.
pub const SYNCED: &str = "synced ";

/// Threads that write records; block n is writer n % WRITERS's.
pub const WRITERS: usize = 2;

/// Blocks with records: twice as many as fit in the nodes. The file begins with fewer and grows.
pub const BLOCKS: usize = 2 * 2 * NODE_PAGES as usize * PAGE_SIZE / BLOCK;
pub const PREFILLED: usize = BLOCKS / 2;

const NODE_PAGES: u64 = 64;

/// What a child is to do.
pub struct Child<'a> {
    pub path: &'a Path,
    pub direct: bool,
    pub seed: u64,
}

impl fmt::Display for Child<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.direct, self.seed, self.path.display())
    }
}

/// Writer n writes its blocks in order, again and again: the block and the generation of its write
/// number `count`.
fn nth_write(writer: usize, count: u64) -> (usize, u64) {
    let own = (BLOCKS / WRITERS) as u64;
    ((count % own) as usize * WRITERS + writer, count / own + 1)
}

/// The generation of a block after so many writes of its writer.
pub fn written(block: usize, count: u64) -> u64 {
    let own = (BLOCKS / WRITERS) as u64;
    let before = (block / WRITERS) as u64;
    count.saturating_sub(before).div_ceil(own)
}

/// Nothing, unless it is told what to do; then it works until it is killed.
#[test]
fn child() {
    let Ok(order) = std::env::var(ENV) else { return };
    let mut order = order.splitn(3, ' ');
    let (direct, seed) = (order.next().unwrap() == "true", order.next().unwrap().parse().unwrap());
    let cache = cache();
    let options = options(seed).direct(direct);
    let file = cache.open_with(order.next().unwrap(), &options).unwrap();
    work(&cache, &file, seed, &AtomicBool::new(false), |counts| {
        let counts = counts.map(|count| count.to_string()).join(" ");
        let mut out = std::io::stdout().lock();
        writeln!(out, "{SYNCED}{counts}.").unwrap();
        out.flush().unwrap();
    });
}

/// A cache so small that reclaim and background writeback run all the time.
pub fn cache() -> Cache {
    let node = NodeOptions::new(NODE_PAGES * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node.clone()).node(node);
    cache.writeback_interval(Duration::from_millis(3)).build().unwrap()
}

/// Large folios, half of the time.
pub fn options(seed: u64) -> OpenOptions {
    OpenOptions::new().order([0, 0, 1, 2][(seed % 4) as usize])
}

/// Writes, moves, changes the length and syncs, each on its own thread, until `over`; says after
/// each sync how far the writers had come before it.
pub fn work(
    cache: &Cache,
    file: &File,
    seed: u64,
    over: &AtomicBool,
    synced: impl Fn([u64; WRITERS]) + Send,
) {
    let mut rng = Rng::with_seed(seed);
    let done = &[const { AtomicU64::new(0) }; WRITERS];
    let go_on = move || !over.load(SeqCst);
    std::thread::scope(|threads| {
        for (writer, done) in done.iter().enumerate() {
            threads.spawn(move || write(file, writer, done, go_on));
        }
        let (mover, tail, mut pauses) = (rng.fork(), rng.fork(), rng.fork());
        threads.spawn(move || migrate(cache, file, mover, go_on));
        threads.spawn(move || change_length(file, tail, go_on));
        threads.spawn(move || {
            while go_on() {
                let before = [0, 1].map(|writer: usize| done[writer].load(SeqCst));
                file.sync().unwrap();
                synced(before);
                std::thread::sleep(Duration::from_micros(pauses.u64(..20_000)));
            }
        });
    });
}

fn write(file: &File, writer: usize, done: &AtomicU64, go_on: impl Fn() -> bool) {
    for count in (0..).take_while(|_| go_on()) {
        let (block, generation) = nth_write(writer, count);
        let bytes = encode(block as u64, generation, writer as u64);
        file.write_at(&bytes, (block * BLOCK) as u64).unwrap();
        done.store(count + 1, SeqCst);
    }
}

fn migrate(cache: &Cache, file: &File, mut rng: Rng, go_on: impl Fn() -> bool) {
    while go_on() {
        let how = Migrate::new().form(*rng.choice(Form::ALL.iter()).unwrap());
        let (from, to) = (NodeId(rng.u8(..2)), NodeId(rng.u8(..2)));
        match rng.u8(..10) {
            0 => drop(cache.migrate(from, to, &how).unwrap()),
            1 => drop(file.evict(0..rng.u64(1..300)).unwrap()),
            _ => drop(file.migrate(0..rng.u64(1..300), to, &how).unwrap()),
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..2000)));
    }
}

/// Behind the records, and in their last page, the file's end comes and goes.
fn change_length(file: &File, mut rng: Rng, go_on: impl Fn() -> bool) {
    let end = (BLOCKS * BLOCK) as u64;
    while go_on() {
        let at = end + rng.u64(1..20 * PAGE_SIZE as u64);
        // Not before the writers have come there: what they append would be cut off.
        if file.len() >= end {
            match rng.bool() {
                true => file.set_len(at).unwrap(),
                false => file.write_at(b"behind the records", at).unwrap(),
            }
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..3000)));
    }
}
