//! How near misses and writes come to what the device can do, measured in turn with it, past the
//! system's page cache.
//!
//! ```text
//! cargo bench -p refolio --features io-uring --bench io [-- NAME…] [--dir DIR] [--size MIB] [--reps N]
//! ```
//! NAME is one or more of `random`, `sequential`, `write`, `idle`; without one, all are run. The file
//! is made in DIR, and deleted; it is larger than the cache. A ratio is the median of the ratios of
//! the repetitions.

mod raw;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raw::Raw;
use refolio::{Cache, File, Migrate, NodeId, NodeOptions, OpenOptions, PAGE_SIZE, ReadAt};

const PAGE: u64 = PAGE_SIZE as u64;

struct Args {
    names: Vec<String>,
    dir: PathBuf,
    bytes: u64,
    reps: usize,
}

fn main() {
    let args = parse();
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|n| n == name);
    let path = args.dir.join("refolio-bench-io");
    make(&path, args.bytes);
    if wanted("random") {
        random(&path, &args);
    }
    if wanted("sequential") {
        sequential(&path, &args);
    }
    if wanted("write") {
        write(&path, &args);
    }
    if wanted("idle") {
        idle(&path);
    }
    std::fs::remove_file(&path).expect("the file is ours");
}

fn parse() -> Args {
    let mut args = Args { names: Vec::new(), dir: std::env::temp_dir(), bytes: 1 << 30, reps: 5 };
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut value = || given.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {} // What `cargo bench` tells every bench.
            "--dir" => args.dir = value().into(),
            "--size" => args.bytes = value().parse::<u64>().expect("a number of MiB") << 20,
            "--reps" => args.reps = value().parse().expect("a number"),
            "random" | "sequential" | "write" | "idle" => args.names.push(arg),
            _ => panic!("what is {arg}? see the head of benches/io/main.rs"),
        }
    }
    args
}

/// Page `index` of the file begins with its index.
fn make(path: &Path, bytes: u64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a new file"));
    let mut page = [7; PAGE_SIZE];
    for index in 0..bytes / PAGE {
        page[..8].copy_from_slice(&index.to_le_bytes());
        std::io::Write::write_all(&mut file, &page).expect("room on the disk");
    }
    let file = file.into_inner().expect("room on the disk");
    file.sync_all().expect("a sync");
}

fn open(path: &Path, io_uring: bool, tiers: bool) -> (Cache, File) {
    let cache = Cache::builder()
        .node(NodeOptions::new(64 << 20))
        .node(NodeOptions::new(64 << 20))
        .build()
        .expect("memory for the nodes");
    if !tiers {
        cache.drain(NodeId(1), &Migrate::new()).expect("an empty node");
    }
    let options = OpenOptions::new().direct(true).io_uring(io_uring);
    let file = cache.open_with(path, &options).expect("a file that can be opened");
    (cache, file)
}

/// Each of the things is done in turn, and how much of it in a second is printed, with the ratio to
/// the first of them. Before each one `files` are evicted.
fn compare(
    reps: usize,
    units: f64,
    unit: &str,
    files: &[&File],
    things: &mut [(&str, &mut dyn FnMut())],
) {
    let mut times: Vec<Vec<f64>> = things.iter().map(|_| Vec::new()).collect();
    for _ in 0..reps {
        for (at, (_, thing)) in things.iter_mut().enumerate() {
            for file in files {
                file.evict(0..u64::MAX).expect("pages that can be written");
            }
            let start = Instant::now();
            thing();
            times[at].push(start.elapsed().as_secs_f64());
        }
    }
    for (at, (name, _)) in things.iter().enumerate() {
        let mut rates: Vec<f64> = times[at].iter().map(|time| units / time).collect();
        rates.sort_by(f64::total_cmp);
        let mut ratios: Vec<f64> =
            times[0].iter().zip(&times[at]).map(|(first, this)| first / this).collect();
        ratios.sort_by(f64::total_cmp);
        let (min, median, max) = (rates[0], rates[reps / 2], rates[reps - 1]);
        let ratio = ratios[reps / 2] * 100.0;
        println!("{name:<44} {min:>8.0} {median:>8.0} {max:>8.0} {unit}  {ratio:>5.1} %");
    }
}

/// Pages of the file in an order of their own, none of them twice.
fn shuffled(pages: u64) -> impl FnMut(usize) -> Vec<u64> {
    let mut order: Vec<u64> = (0..pages).map(|page| page * PAGE).collect();
    let mut rng = fastrand::Rng::with_seed(7);
    rng.shuffle(&mut order);
    let mut next = 0;
    move |count| {
        if next + count > order.len() {
            next = 0;
        }
        next += count;
        order[next - count..next].to_vec()
    }
}

fn read_many(file: &File, offsets: &[u64], at_once: usize, buffer: &mut [u8]) {
    for batch in offsets.chunks(at_once) {
        let into = buffer.chunks_mut(PAGE_SIZE);
        let mut reads: Vec<_> =
            batch.iter().zip(into).map(|(at, into)| ReadAt::new(*at, into)).collect();
        file.read_many(&mut reads).expect("reads");
        for read in &reads {
            assert_eq!(
                read.bytes()[..8],
                (read.offset() / PAGE).to_le_bytes(),
                "the page asked for"
            );
        }
    }
}

fn random(path: &Path, args: &Args) {
    const READS: usize = 16_384;
    let (cache, file) = open(path, true, false);
    let mut next = shuffled(args.bytes / PAGE);
    let mut raw = Raw::open(path, 256 * PAGE_SIZE);
    let mut raw_sliding = Raw::open(path, 256 * PAGE_SIZE);
    let mut raw_deep = Raw::open(path, 256 * PAGE_SIZE);
    let mut raw_one = Raw::open(path, 256 * PAGE_SIZE);
    let mut buffer = vec![0; 1024 * PAGE_SIZE];
    let mut other = buffer.clone();
    let next = std::cell::RefCell::new(&mut next);
    let some = || next.borrow_mut()(READS);
    let misses = cache.stats().pgmajfault;
    println!("random reads of 4 KiB                             min   median      max");
    compare(
        args.reps,
        READS as f64,
        "reads/s",
        &[&file],
        &mut [
            ("raw io_uring, 32 at a time", &mut || raw.read_batches(&some(), PAGE_SIZE, 32)),
            ("raw io_uring, always 32 in flight", &mut || {
                raw_sliding.read_sliding(&some(), PAGE_SIZE, 32);
            }),
            ("read_many, 32 at a time", &mut || read_many(&file, &some(), 32, &mut buffer)),
            ("read_many, 1024 at a time", &mut || read_many(&file, &some(), 1024, &mut other)),
            ("raw io_uring, always 128 in flight", &mut || {
                raw_deep.read_sliding(&some(), PAGE_SIZE, 128);
            }),
        ],
    );
    let misses = cache.stats().pgmajfault - misses;
    let reads = 2 * args.reps * READS;
    println!("misses: {misses} of {reads} reads");
    let mut page = vec![0; PAGE_SIZE];
    compare(
        args.reps,
        READS as f64 / 8.0,
        "reads/s",
        &[&file],
        &mut [
            ("raw io_uring, one at a time", &mut || {
                raw_one.read_sliding(&some()[..READS / 8], PAGE_SIZE, 1);
            }),
            ("read_at", &mut || {
                for offset in &some()[..READS / 8] {
                    assert_eq!(file.read_at(&mut page, *offset).expect("a read"), PAGE_SIZE);
                }
            }),
        ],
    );
}

fn read_through(file: &File, piece: &mut [u8], bytes: u64) {
    for offset in (0..bytes).step_by(piece.len()) {
        assert_eq!(file.read_at(piece, offset).expect("a read"), piece.len());
        assert_eq!(piece[..8], (offset / PAGE).to_le_bytes(), "the page asked for");
    }
}

fn sequential(path: &Path, args: &Args) {
    const DEPTH: usize = 4;
    const PIECE: usize = 1 << 20;
    let offsets: Vec<u64> = (0..args.bytes).step_by(PIECE).collect();
    let mut raw = Raw::open(path, DEPTH * PIECE);
    let (_one, by_ring) = open(path, true, false);
    let (_two, in_tiers) = open(path, true, true);
    let (_other, by_pread) = open(path, false, false);
    let mut pieces = [4 << 10, 64 << 10, 1 << 20, 1 << 20, 1 << 20].map(|len| vec![0; len]);
    let [small, middle, large, other, tiered] = &mut pieces;
    println!("sequential reads                                  min   median      max");
    let mib = args.bytes as f64 / f64::from(1 << 20);
    compare(
        args.reps,
        mib,
        "MiB/s",
        &[&by_ring, &by_pread, &in_tiers],
        &mut [
            ("raw io_uring, 4 x 1 MiB in flight", &mut || raw.read_sliding(&offsets, PIECE, DEPTH)),
            ("read_at 4 KiB, io_uring", &mut || read_through(&by_ring, small, args.bytes)),
            ("read_at 64 KiB, io_uring", &mut || read_through(&by_ring, middle, args.bytes)),
            ("read_at 1 MiB, io_uring", &mut || read_through(&by_ring, large, args.bytes)),
            ("read_at 1 MiB, preadv", &mut || read_through(&by_pread, other, args.bytes)),
            ("read_at 1 MiB, io_uring, two tiers", &mut || {
                read_through(&in_tiers, tiered, args.bytes);
            }),
        ],
    );
}

fn write(path: &Path, args: &Args) {
    const PIECE: usize = 1 << 20;
    let raw = Raw::open(path, PIECE);
    let (_one, file) = open(path, true, false);
    let (_other, by_small) = open(path, true, false);
    let (piece, small) = (vec![1; PIECE], vec![1; PAGE_SIZE]);
    println!("sequential writes, and sync                       min   median      max");
    let bytes = args.bytes / 2;
    let write_through = |file: &File, piece: &[u8]| {
        for offset in (0..bytes).step_by(piece.len()) {
            file.write_at(piece, offset).expect("a write");
        }
        file.sync().expect("a sync");
    };
    let mib = bytes as f64 / f64::from(1 << 20);
    compare(
        args.reps,
        mib,
        "MiB/s",
        &[],
        &mut [
            ("raw O_DIRECT pwrite of 1 MiB", &mut || raw.write(bytes, PIECE)),
            ("write_at 1 MiB", &mut || write_through(&file, &piece)),
            ("write_at 4 KiB", &mut || write_through(&by_small, &small)),
        ],
    );
}

/// Processor time that a cache takes which has been used, and is not any more.
fn idle(path: &Path) {
    let (_cache, file) = open(path, true, false);
    let mut piece = vec![0; 1 << 20];
    read_through_start(&file, &mut piece);
    std::thread::sleep(Duration::from_secs(1));
    let before = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::thread::sleep(Duration::from_secs(3));
    let after = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = |time: rustix::time::Timespec| time.tv_sec as f64 * 1e9 + time.tv_nsec as f64;
    let used = (nanos(after) - nanos(before)) / 3e9 * 100.0;
    println!("idle: {used:.3} % of one processor");
}

fn read_through_start(file: &File, piece: &mut [u8]) {
    for offset in (0..64 << 20).step_by(piece.len()) {
        assert_eq!(file.read_at(piece, offset).expect("a read"), piece.len());
    }
}
