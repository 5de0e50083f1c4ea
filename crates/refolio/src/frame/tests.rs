//! What the frames must do: every copy against plain bytes, the layout, and readers that race.

#![allow(unsafe_code)] // Where a frame is, to look it up among the process's mappings.

use super::*;
use crate::sync::{Acquire, Arc, AtomicU64, Relaxed, Release, fence};

fn node(frames: u32) -> Run {
    Run { frames, huge: HugePages::Off, numa: None }
}

/// A folio and its version, by the recipe of the module's documentation.
struct Versioned {
    frames: Frames,
    version: AtomicU64,
}

const LEN: usize = if cfg!(refolio_model) { 12 } else { 3000 };

impl Versioned {
    fn new() -> Arc<Self> {
        let (frames, _) = Frames::new(&[node(1)]).unwrap();
        Arc::new(Self { frames, version: AtomicU64::new(0) })
    }

    /// The one writer fills the folio with `byte`; the version was `version`.
    fn write(&self, version: u64, byte: u8) {
        self.version.store(version + 1, Relaxed); // Relaxed: the fence orders it.
        fence(Release);
        self.frames.write(self.frames.first_frame(0), 1, &[byte; LEN]);
        self.version.store(version + 2, Release); // Release: pairs with the reader's Acquire.
    }

    /// The byte that fills the folio, unless a writer came in between.
    fn read(&self) -> Option<u8> {
        let before = self.version.load(Acquire); // Acquire: pairs with the writer's Release.
        let mut bytes = [0; LEN];
        self.frames.read(self.frames.first_frame(0), 1, &mut bytes);
        fence(Acquire);
        let after = self.version.load(Relaxed); // Relaxed: the fence orders it.
        if before != after || !before.is_multiple_of(2) {
            return None;
        }
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn bytes of a version that stood");
        Some(bytes[0])
    }
}

/// Every interleaving of one write and one read, and every old value that a load may still see.
#[cfg(refolio_loom)]
#[test]
fn an_optimistic_reader_never_believes_torn_bytes() {
    use std::cell::Cell;
    thread_local!(static SEEN: Cell<[u64; 3]> = const { Cell::new([0; 3]) });
    loom::model(|| {
        let folio = Versioned::new();
        let writer = Arc::clone(&folio);
        let thread = loom::thread::spawn(move || writer.write(0, 7));
        let read = folio.read();
        thread.join().unwrap();
        assert_eq!(folio.read(), Some(7));
        let mut seen = SEEN.get();
        seen[match read {
            None => 0,
            Some(0) => 1,
            Some(_) => 2,
        }] += 1;
        SEEN.set(seen);
    });
    assert!(SEEN.get().iter().all(|count| *count > 0), "unreached: {:?}", SEEN.get());
}

/// Stops the writer when the reader is done, also by a panic: nobody would hear of that otherwise.
#[cfg(not(refolio_model))]
struct Over<'a>(&'a AtomicU64);

#[cfg(not(refolio_model))]
impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(1, Relaxed);
    }
}

#[cfg(not(refolio_model))]
#[test]
fn an_optimistic_reader_never_believes_torn_bytes() {
    use std::time::{Duration, Instant};
    let folio = Versioned::new();
    let (mut believed, mut disbelieved) = (0_u64, 0_u64);
    let end = Instant::now() + Duration::from_secs(60);
    let stop = AtomicU64::new(0);
    std::thread::scope(|threads| {
        let over = Over(&stop);
        threads.spawn(|| {
            // Relaxed: nothing else hangs on it.
            for write in (0..).take_while(|_| stop.load(Relaxed) == 0) {
                folio.write(2 * write, write as u8);
                (0..200).for_each(|pause| _ = std::hint::black_box(pause));
            }
        });
        while (believed < 10_000 || disbelieved < 10_000) && Instant::now() < end {
            match folio.read() {
                Some(_) => believed += 1,
                None => disbelieved += 1,
            }
        }
        drop(over);
    });
    assert!(believed > 0 && disbelieved > 0, "{believed} believed, {disbelieved} not");
}

#[cfg(not(refolio_model))]
mod plain {
    use super::super::words;
    use super::*;
    use crate::units::MAX_ORDER;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn each_node_starts_at_a_multiple_of_the_largest_folio() {
        let align = 1 << MAX_ORDER;
        let (frames, backings) =
            Frames::new(&[node(1), node(align), node(align + 1), node(3)]).unwrap();
        let first: Vec<_> = (0..4).map(|run| frames.first_frame(run)).collect();
        assert_eq!(first, [0, 1, 2, 4].map(|n| FrameNo(n * align)));
        assert_eq!(backings.len(), 4);
        let last = first[3].add(2);
        frames.write(last, PAGE_SIZE - 1, b"z");
        let mut seen = [0];
        frames.read(first[0], byte(last) + PAGE_SIZE - 1, &mut seen);
        assert_eq!(&seen, b"z");
    }

    #[test]
    fn what_no_machine_has_is_an_error() {
        let error = |runs: &[Run]| Frames::new(runs).err().expect("fits").to_string();
        assert_eq!(error(&[node(1), node(0)]), "node 1 has no frames; give it at least one page");
        assert!(error(&[node(u32::MAX)]).contains("bytes were asked for; this machine has"));
        let many = [node(u32::MAX), node(u32::MAX), node(1)];
        assert_eq!(
            error(&many),
            "8589934593 frames were asked for; a cache numbers at most 4294967295"
        );
        let (frames, backings) = Frames::new(&[]).unwrap();
        assert!(backings.is_empty());
        frames.read(FrameNo(0), 0, &mut []);
    }

    /// Bytes without a period that a copy could hide in.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..len).map(|_| rng.u8(..)).collect()
    }

    /// Copies of each length and alignment touch what they should and nothing else.
    fn check_copies(load: impl Fn(usize, &mut [u8]), store: impl Fn(usize, &[u8])) {
        let around = noise(9000, 1);
        let lengths = (0..600).chain([1000, 1024, 2047, 4096, 4097, 8192]);
        for (seed, len) in (2..).zip(lengths) {
            let bytes = noise(len, seed);
            for at in [0, 1, 7, 8, 61, 64, 130] {
                store(0, &around);
                store(at, &bytes);
                let mut all = vec![0; around.len()];
                load(0, &mut all);
                let mut expected = around.clone();
                expected[at..at + len].copy_from_slice(&bytes);
                assert!(all == expected, "stored {len} bytes at {at}");
                let mut part = vec![0xaa; len + 2];
                load(at, &mut part[1..=len]);
                assert!(part[1..=len] == bytes, "loaded {len} bytes at {at}");
                assert_eq!((part[0], part[len + 1]), (0xaa, 0xaa), "around {len} bytes at {at}");
            }
        }
    }

    /// Frames as processors with registers of each width copy them, as far as this one can.
    fn by_each_width(frames: u32) -> Vec<Frames> {
        #[allow(unused_mut)] // Other processors, and the tools below, know one way only.
        let mut all = vec![Frames::new(&[node(frames)]).unwrap().0];
        #[cfg(all(target_arch = "x86_64", not(any(miri, refolio_tsan))))]
        for width in [x86_64::Width::Sse, x86_64::Width::Avx] {
            if width < all[0].arena.width {
                let (mut narrow, _) = Frames::new(&[node(frames)]).unwrap();
                narrow.arena.width = width;
                all.push(narrow);
            }
        }
        all
    }

    #[test]
    fn of_every_length_into_and_out_of_frames() {
        for frames in by_each_width(4) {
            let first = frames.first_frame(0);
            check_copies(
                |at, into| frames.read(first, at, into),
                |at, from| frames.write(first, at, from),
            );
        }
    }

    #[test]
    #[allow(unsafe_code)]
    fn of_every_length_out_of_frames_that_are_near() {
        for frames in by_each_width(4) {
            let near = Near::of(&frames);
            let bytes = noise(4 * PAGE_SIZE, 5);
            frames.write(FrameNo(0), 0, &bytes);
            let mut into = vec![0; PAGE_SIZE + 2];
            for len in 0..PAGE_SIZE {
                let (frame, offset) = (FrameNo(len as u32 % 4), len * 7 % (PAGE_SIZE - len + 1));
                into.fill(0xee);
                // SAFETY: within that frame.
                unsafe { near.read(&frames, frame, offset, &mut into[1..=len]) };
                let from = frame.0 as usize * PAGE_SIZE + offset;
                assert!(into[1..=len] == bytes[from..from + len], "{len}");
                assert!(into[0] == 0xee && into[len + 1..].iter().all(|byte| *byte == 0xee));
            }
        }
    }

    #[test]
    fn of_every_length_by_words() {
        let memory: Vec<_> = (0..2048).map(|_| AtomicU64::new(0)).collect();
        check_copies(
            |at, into| words::load(&memory, at, into),
            |at, from| words::store(&memory, at, from),
        );
        let bytes = noise(16 << 10, 3);
        words::store(&memory, 0, &bytes);
        words::copy(&memory, 0, 8192, 4096);
        words::zero(&memory, 3, 1000);
        let mut expected = bytes.clone();
        expected[8192..12288].copy_from_slice(&bytes[..4096]);
        expected[3..1003].fill(0);
        let mut all = vec![0; bytes.len()];
        words::load(&memory, 0, &mut all);
        assert!(all == expected);
    }

    #[test]
    fn of_folios_and_zeros() {
        for frames in by_each_width(1024) {
            let (a, b) = (FrameNo(0), FrameNo(512));
            let bytes = noise(512 * PAGE_SIZE, 4);
            frames.write(a, 0, &bytes);
            let mut seen = vec![0; bytes.len()];
            for order in [0, 4, MAX_ORDER] {
                let len = PAGE_SIZE << order;
                frames.zero(b, 0, bytes.len());
                drop(frames.copy(a, b, len));
                frames.read(b, 0, &mut seen);
                assert!(seen[..len] == bytes[..len], "order {order}");
                assert!(seen[len..].iter().all(|byte| *byte == 0), "behind order {order}");
            }
            frames.zero(b, 5, 1001);
            frames.read(b, 0, &mut seen);
            assert!(seen[..5] == bytes[..5] && seen[1006..] == bytes[1006..]);
            assert!(seen[5..1006].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn never_leave_the_reservation() {
        let (frames, _) = Frames::new(&[node(2)]).unwrap();
        let panics = |act: &dyn Fn()| catch_unwind(AssertUnwindSafe(act)).is_err();
        let end = FrameNo(2);
        assert!(!panics(&|| frames.read(end, 0, &mut [])));
        assert!(panics(&|| frames.read(end, 0, &mut [0])));
        assert!(panics(&|| frames.read(FrameNo(1), PAGE_SIZE - 1, &mut [0; 2])));
        assert!(panics(&|| frames.read(FrameNo(u32::MAX), 0, &mut [0])));
        // (Where sums may wrap, as in release builds, that is a byte inside.)
        assert!(panics(&|| frames.write(FrameNo(1), usize::MAX, &[0])) || !cfg!(debug_assertions));
        assert!(panics(&|| frames.zero(FrameNo(0), 0, 2 * PAGE_SIZE + 1)));
        assert!(panics(&|| drop(frames.copy(FrameNo(0), FrameNo(1), 2 * PAGE_SIZE))));
        assert!(panics(&|| drop(frames.copy(FrameNo(1), end, PAGE_SIZE))));
        assert!(panics(&|| drop(frames.discard(FrameNo(1), 2))));
        let mut buf = frames.fill_buf(FrameNo(0), PAGE_SIZE);
        assert!(catch_unwind(AssertUnwindSafe(|| buf.write(PAGE_SIZE - 1, b"ab"))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| buf.write(usize::MAX, b"ab"))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| buf.part(1..PAGE_SIZE + 1).len())).is_err());
    }

    #[test]
    fn of_a_file_straight_into_a_frame() {
        use std::io::Write;
        use std::os::fd::AsFd;
        let bytes = noise(3000, 5);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let (frames, _) = Frames::new(&[node(2)]).unwrap();
        let mut expected = noise(2 * PAGE_SIZE, 6);
        frames.write(FrameNo(0), 0, &expected);
        let mut buf = frames.fill_buf(FrameNo(1), PAGE_SIZE);
        let mut part = buf.part(10..4000);
        assert_eq!(part.pread(file.as_fd(), 5, 2000, 100).unwrap(), 2000);
        assert_eq!(part.pread(file.as_fd(), 2005, 1500, 2100).unwrap(), 900, "up to the end");
        assert_eq!(part.pread(file.as_fd(), 0, 1, 3000).unwrap(), 0, "at the end");
        assert!(part.pread(file.as_fd(), 0, 1, u64::MAX).is_err());
        part.zero(0..3);
        expected[PAGE_SIZE + 15..][..2900].copy_from_slice(&bytes[100..]);
        expected[PAGE_SIZE + 10..][..3].fill(0);
        let mut seen = vec![0; 2 * PAGE_SIZE];
        frames.read(FrameNo(0), 0, &mut seen);
        assert!(seen == expected);
    }

    /// What the kernel says of the mapping that a frame lies in: resident bytes, and its flags.
    fn mapping(frames: &Frames, frame: FrameNo) -> (usize, Vec<String>) {
        // SAFETY: nothing is written in this thread, and no other one knows the frames.
        let at = unsafe { frames.bytes(frame, PAGE_SIZE) }.as_ptr().addr();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let covers = |line: &str| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16));
            Some((start.ok()?..end.ok()?).contains(&at))
        };
        let mut lines = smaps.lines().skip_while(|line| covers(line) != Some(true));
        let mut field = |name| lines.find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: usize = field("Rss:").trim().trim_end_matches(" kB").parse().unwrap();
        (kib << 10, field("VmFlags:").split_whitespace().map(String::from).collect())
    }

    #[test]
    fn huge_pages_are_advised_as_asked_or_the_reason_is_told() {
        let large = |huge| Run { frames: 1 << MAX_ORDER, huge, numa: None };
        let (frames, backings) =
            Frames::new(&[large(HugePages::Transparent), large(HugePages::Off)]).unwrap();
        let has = |run, flag: &str| {
            mapping(&frames, frames.first_frame(run)).1.iter().any(|has| has == flag)
        };
        match &backings[0].huge {
            HugeBacking::Advised => assert!(has(0, "hg") && !has(1, "hg")),
            HugeBacking::Refused(why) => assert!(!has(0, "hg") && !why.is_empty()),
            HugeBacking::NotAsked => panic!("it was asked for"),
        }
        assert_eq!(backings[1].huge, HugeBacking::NotAsked);
        let small = Run { frames: 511, huge: HugePages::Transparent, numa: None };
        let (_, backings) = Frames::new(&[small]).unwrap();
        assert!(matches!(backings[0].huge, HugeBacking::Refused(_)));
    }

    #[test]
    fn a_numa_node_is_bound_or_the_reason_is_told() {
        let on = |numa| {
            let run = Run { frames: 1, huge: HugePages::Off, numa };
            Frames::new(&[run]).unwrap().1.remove(0).numa
        };
        assert_eq!(on(None), NumaBacking::NotAsked);
        match (on(Some(0)), on(Some(100_000))) {
            (NumaBacking::SingleNode, NumaBacking::SingleNode) => {}
            (NumaBacking::Bound(0), NumaBacking::Refused(why)) => {
                assert!(why.starts_with("node 100000: "), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn discarded_frames_are_zeros_and_take_no_memory() {
        let (frames, _) = Frames::new(&[node(1024), node(512)]).unwrap();
        let (a, b) = (frames.first_frame(0), frames.first_frame(1));
        let bytes = noise(1024 * PAGE_SIZE, 7);
        frames.write(a, 0, &bytes);
        frames.write(b, 0, &bytes[..512 * PAGE_SIZE]);
        let resident = || mapping(&frames, a).0; // Of both nodes, which are neighbours.
        assert_eq!(resident(), 1536 * PAGE_SIZE);
        frames.discard(a, 1024).unwrap();
        assert_eq!(resident(), 512 * PAGE_SIZE);
        let mut seen = vec![1; 1024 * PAGE_SIZE];
        frames.read(a, 0, &mut seen);
        assert!(seen.iter().all(|byte| *byte == 0));
        frames.read(b, 0, &mut seen[..512 * PAGE_SIZE]);
        assert!(seen[..512 * PAGE_SIZE] == bytes[..512 * PAGE_SIZE], "the next node");
    }
}
