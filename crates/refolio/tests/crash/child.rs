//! What is interrupted: threads that write, move, truncate and sync, in a process that is killed,
//! or on a store that loses its power.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use refolio::{Cache, File, Form, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE};

use crate::crew::crew;
use crate::layout::{BLOCK_WRITERS, Counts, END, NOTES_AHEAD, WRITERS, writes};

/// Says the child what to do: whether to go past the page cache, a seed, and the file.
pub const ENV: &str = "REFOLIO_CRASH_CHILD";

/// The child is at work.
pub const BEGUN: &str = "begun.";

/// Begins a line that acknowledges a sync.
pub const SYNCED: &str = "synced ";

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

/// Nothing, unless it is told what to do; then it works until it is killed.
#[test]
fn child() {
    let Ok(order) = std::env::var(ENV) else { return };
    let mut order = order.splitn(3, ' ');
    let (direct, seed) = (order.next().unwrap() == "true", order.next().unwrap().parse().unwrap());
    let cache = cache();
    let options = options(seed).direct(direct);
    let file = cache.open_with(order.next().unwrap(), &options).unwrap();
    say(BEGUN);
    work(&cache, &file, seed, &AtomicBool::new(false), |counts| {
        say(&format!("{SYNCED}{}.", counts.map(|count| count.to_string()).join(" ")));
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A cache so small that reclaim and background writeback run all the time.
pub fn cache() -> Cache {
    let node = |pages| NodeOptions::new(pages * PAGE_SIZE as u64);
    let cache = Cache::builder().node(node(64)).node(node(100));
    cache.writeback_interval(Duration::from_millis(3)).build().unwrap()
}

/// Large folios, half of the time.
pub fn options(seed: u64) -> OpenOptions {
    OpenOptions::new().order([0, 0, 1, 2][(seed / 2 % 4) as usize])
}

/// Writes, moves, changes the length and syncs, each on its own thread, until `over`; says after
/// each sync how far the writers had come before it.
pub fn work(
    cache: &Cache,
    file: &File,
    seed: u64,
    over: &AtomicBool,
    synced: impl Fn(Counts) + Send,
) {
    let mut rng = Rng::with_seed(!seed);
    let done = &[const { AtomicU64::new(0) }; WRITERS];
    let acknowledged = &AtomicU64::new(0);
    let go_on = move || !over.load(SeqCst);
    crew(|threads| {
        for (writer, done) in done.iter().enumerate() {
            threads.spawn(move || {
                for (offset, bytes) in writes(seed, writer).take_while(|_| go_on()) {
                    file.write_at(&bytes, offset as u64).unwrap();
                    let written = done.fetch_add(1, SeqCst) + 1;
                    while writer == BLOCK_WRITERS
                        && written >= acknowledged.load(SeqCst) + NOTES_AHEAD
                        && go_on()
                    {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let (mover, tail, mut pauses) = (rng.fork(), rng.fork(), rng.fork());
        threads.spawn(move || migrate(cache, file, mover, go_on));
        threads.spawn(move || change_length(file, tail, go_on));
        threads.spawn(move || {
            while go_on() {
                let before = done.each_ref().map(|done| done.load(SeqCst));
                file.sync().unwrap();
                synced(before);
                acknowledged.store(before[BLOCK_WRITERS], SeqCst);
                std::thread::sleep(Duration::from_micros(pauses.u64(..20_000)));
            }
        });
    });
}

fn migrate(cache: &Cache, file: &File, mut rng: Rng, go_on: impl Fn() -> bool) {
    while go_on() {
        let how = Migrate::new().form(*rng.choice(Form::ALL.iter()).unwrap());
        let (from, to) = (NodeId(rng.u8(..2)), NodeId(rng.u8(..2)));
        match rng.u8(..10) {
            0 => drop(cache.migrate(from, to, &how).unwrap()),
            1 => drop(file.evict(0..rng.u64(1..500)).unwrap()),
            _ => drop(file.migrate(0..rng.u64(1..500), to, &how).unwrap()),
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..2000)));
    }
}

/// Behind the blocks, and in their last page, the file's end comes and goes.
fn change_length(file: &File, mut rng: Rng, go_on: impl Fn() -> bool) {
    let end = END as u64;
    while go_on() {
        let at = end + rng.u64(1..20 * PAGE_SIZE as u64);
        // Not before the writers have come there: they shall make the file longer themselves.
        if file.len() >= end {
            match rng.bool() {
                true => file.set_len(at).unwrap(),
                false => file.write_at(b"behind the blocks", at).unwrap(),
            }
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..3000)));
    }
}
