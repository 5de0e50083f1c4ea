//! The memory that a case plays on, as its kind says.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;
use rustix::fs::{FallocateFlags, MemfdFlags};

use super::kind::{Kind, State};
use super::machine::{Fs, Machine, Setting, Stop, refused};
use super::proof::{Flag, Pagemap};
use super::sys::{Advice, HUGE, Map, Source};
use crate::ledger::Ledger;

/// Pages of a case: few, so that they are fought over.
const PAGES: u64 = 32;

/// Parts of a page that are written on their own: whole sectors.
const PARTS: usize = 4;

/// Where a case plays.
#[derive(Debug)]
pub(crate) struct Ground {
    pub kind: Kind,
    number: u64,
    pub ledger: Ledger,
    /// None when nobody maps the pages.
    pub map: Option<Map>,
    /// Memory with the same bytes as the other had in the beginning, never written.
    pub twin: Option<(Map, Ledger)>,
    pub file: Option<Backing>,
    /// What was changed for it; it goes back before the file that is swapped to goes.
    _settings: Vec<Setting>,
    _swap_file: Option<Backing>,
}

/// A file, with its name, which goes when the case ends.
#[derive(Debug)]
pub(crate) struct Backing {
    pub file: File,
    /// None for a memfd.
    path: Option<PathBuf>,
}

impl Drop for Backing {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

impl Backing {
    /// Makes a new file in a folder: its name is not one that a case which died has left there.
    pub fn create(dir: &Path, name: &str) -> Result<Self, Stop> {
        let path = dir.join(format!("{name}-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        Ok(Self { file: file.map_err(refused("making a file"))?, path: Some(path) })
    }

    /// A second descriptor, for I/O past the page cache, where the file system has that.
    pub fn direct(&self) -> Option<OwnedFd> {
        let options = &mut OpenOptions::new();
        let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
        let opened = options.read(true).write(true).custom_flags(flags).open(self.path.as_ref()?);
        opened.ok().map(OwnedFd::from)
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Ground {
    /// Makes it, and fills it.
    pub fn new(machine: &Machine, kind: Kind, seed: u64) -> Result<Self, Stop> {
        Self::beside(machine, kind, seed, 0)
    }

    /// Makes one more of the kind; `number` tells its file from others.
    pub fn beside(machine: &Machine, kind: Kind, seed: u64, number: u64) -> Result<Self, Stop> {
        let pages = if kind.is_huge() { (HUGE / PAGE_SIZE) as u64 } else { PAGES };
        if kind.is_huge() && machine.may_disrupt().is_ok() {
            // A huge page needs a free one to move to, on every node; what cannot be compacted now
            // shows as pages that do not move.
            let _ = fs::write("/proc/sys/vm/compact_memory", "1");
        }
        let ledger = Ledger::with_pages(0, seed, PARTS, pages);
        let (map, twin, file, _settings, _swap_file) = (None, None, None, Vec::new(), None);
        let mut ground = Self { kind, number, ledger, map, twin, file, _settings, _swap_file };
        match kind {
            Kind::File(fs, state) => ground.file(machine, fs, state)?,
            Kind::Memfd | Kind::MemfdHuge => ground.memfd(machine)?,
            _ => ground.anonymous(machine)?,
        }
        Ok(ground)
    }

    pub fn pages(&self) -> u64 {
        (self.ledger.parts() / PARTS) as u64
    }

    fn len(&self) -> usize {
        self.pages() as usize * PAGE_SIZE
    }

    /// What is to be mapped.
    pub fn source(&self) -> Source<'_> {
        let fd = self.file.as_ref().map(|backing| backing.file.as_fd());
        match (self.kind, fd) {
            (Kind::File(_, State::ReadOnly), Some(fd)) => Source::ReadOnly(fd),
            (Kind::File(_, State::Private | State::Cow), Some(fd)) => Source::Copied(fd),
            (_, Some(fd)) => Source::File(fd),
            (Kind::AnonShared, _) => Source::Shared,
            (Kind::Hugetlb, _) => Source::Pool,
            _ => Source::Private,
        }
    }

    fn map(&mut self) -> Result<&Map, Stop> {
        let map = Map::new(self.source(), self.len()).map_err(refused("mmap"))?;
        Ok(self.map.insert(map))
    }

    fn anonymous(&mut self, machine: &Machine) -> Result<(), Stop> {
        if self.kind == Kind::Hugetlb {
            self.pool(machine)?;
        }
        let (kind, bytes) = (self.kind, self.ledger.first_bytes());
        let map = self.map()?;
        let told = map.advise(
            0..map.pages(),
            match kind {
                Kind::Thp => Advice::Huge,
                Kind::Ksm => Advice::Mergeable,
                _ => Advice::NoHuge,
            },
        );
        // A kernel without huge pages has no such advice, nor one for the pool.
        if kind == Kind::Thp && told.is_err() {
            return Err(Stop::Lacks("transparent huge pages"));
        }
        map.store(0, &bytes);
        match kind {
            Kind::Mlocked => map.lock().map_err(refused("mlock")),
            Kind::Thp if !is_huge(map) => Err(Stop::Lacks("a transparent huge page")),
            Kind::Ksm => self.merge(machine, &bytes),
            Kind::SwapCache => self.swap(machine),
            _ => Ok(()),
        }
    }

    /// A huge page more for the pool, on each node.
    fn pool(&mut self, machine: &Machine) -> Result<(), Stop> {
        for node in &machine.nodes {
            let of_node = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
            let read = |name: &str| fs::read_to_string(format!("{of_node}/{name}"));
            let number = |name| read(name).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let lacks = Stop::Lacks("huge pages in this kernel");
            let (Some(free), Some(all)) = (number("free_hugepages"), number("nr_hugepages")) else {
                return Err(lacks);
            };
            if free < 2 {
                let path = format!("{of_node}/nr_hugepages");
                self._settings.push(machine.set(&path, &(all + 2).to_string())?);
                if number("free_hugepages").unwrap_or(0) < 2 {
                    return Err(Stop::Lacks("room for two huge pages on each node"));
                }
            }
        }
        Ok(())
    }

    /// Twins, merged.
    fn merge(&mut self, machine: &Machine, bytes: &[u8]) -> Result<(), Stop> {
        let ksm = |name: &str| format!("/sys/kernel/mm/ksm/{name}");
        for (name, value) in [("sleep_millisecs", "5"), ("pages_to_scan", "2000"), ("run", "1")] {
            self._settings.push(machine.set(&ksm(name), value)?);
        }
        let twin = Map::new(Source::Private, self.len()).map_err(refused("mmap"))?;
        let told = twin.advise(0..twin.pages(), Advice::Mergeable);
        told.map_err(|_| Stop::Lacks("KSM in this kernel"))?;
        twin.store(0, bytes);
        let Some(frames) = Pagemap::open() else { return Err(Stop::Lacks("root")) };
        let merged = || {
            let is_merged = |page: &u64| frames.has(twin.address(*page), Flag::Ksm) == Some(true);
            (0..twin.pages()).filter(is_merged).count() as u64 > twin.pages() / 2
        };
        if !eventually(Duration::from_secs(10), merged) {
            return Err(Stop::Lacks("a KSM that merges equal pages within 10 s"));
        }
        self.twin = Some((twin, Ledger::with_pages(0, self.ledger.seed(), PARTS, self.pages())));
        Ok(())
    }

    /// A place to swap to, and everything in it, and back.
    fn swap(&mut self, machine: &Machine) -> Result<(), Stop> {
        const SWAP_PAGES: usize = 2048;
        let backing = Backing::create(machine.disk_dir()?, "swap")?;
        let mut head = vec![0; PAGE_SIZE];
        for (at, number) in [(1024, 1u32), (1028, SWAP_PAGES as u32 - 1)] {
            head[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        head[PAGE_SIZE - 10..].copy_from_slice(b"SWAPSPACE2");
        let mut file = &backing.file;
        let zeros = vec![0; PAGE_SIZE * 64];
        let filled = (0..SWAP_PAGES / 64).try_for_each(|_| file.write_all(&zeros));
        let made = filled.and_then(|()| file.write_all_at(&head, 0)).and_then(|()| file.sync_all());
        made.map_err(refused("making a file to swap to"))?;
        let path = backing.path().expect("a file with a name").to_owned();
        self._settings.push(machine.swap_to(&path)?);
        self._swap_file = Some(backing);
        let map = self.map.as_ref().expect("mapped above");
        map.advise(0..map.pages(), Advice::PageOut).map_err(refused("MADV_PAGEOUT"))?;
        let mut byte = [0; 8];
        (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut byte));
        Ok(())
    }

    fn memfd(&mut self, machine: &Machine) -> Result<(), Stop> {
        if self.kind == Kind::MemfdHuge {
            let path = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
            self._settings.push(machine.set(path, "advise")?);
        }
        let fd = rustix::fs::memfd_create("refolio", MemfdFlags::CLOEXEC);
        let file = File::from(fd.map_err(refused("memfd_create"))?);
        file.set_len(self.len() as u64).map_err(refused("ftruncate"))?;
        self.file = Some(Backing { file, path: None });
        let (kind, bytes) = (self.kind, self.ledger.first_bytes());
        let map = self.map()?;
        if kind == Kind::MemfdHuge {
            let told = map.advise(0..map.pages(), Advice::Huge);
            told.map_err(|_| Stop::Lacks("huge pages of shmem"))?;
        }
        map.store(0, &bytes);
        if kind == Kind::MemfdHuge && !is_huge(map) {
            return Err(Stop::Lacks("a huge page of shmem"));
        }
        Ok(())
    }

    fn file(&mut self, machine: &Machine, fs: Fs, state: State) -> Result<(), Stop> {
        let backing =
            Backing::create(machine.dir(fs)?, &format!("{}-{}", self.kind.name(), self.number))?;
        let bytes = self.ledger.first_bytes();
        backing.file.write_all_at(&bytes, 0).map_err(refused("writing a file"))?;
        if state != State::Dirty {
            backing.file.sync_all().map_err(refused("fsync"))?;
        }
        if state == State::Large {
            // Where writes do not make large folios, reading ahead may.
            let dropped = rustix::fs::fadvise(&backing.file, 0, None, rustix::fs::Advice::DontNeed);
            dropped.map_err(refused("posix_fadvise"))?;
            let mut chunk = vec![0; 16 * PAGE_SIZE];
            for at in (0..bytes.len()).step_by(chunk.len()) {
                backing.file.read_exact_at(&mut chunk, at as u64).map_err(refused("reading"))?;
            }
        }
        if state == State::Sparse {
            for page in (0..self.pages()).step_by(2) {
                self.ledger.cut(page..page + 1, || punch(&backing.file, page..page + 1))?;
            }
        }
        self.file = Some(backing);
        if !self.kind.is_mapped() {
            return Ok(());
        }
        let (takes_stores, is_huge_kind) = (state == State::Cow, state == State::Large);
        let map = self.map()?;
        if takes_stores {
            map.store(0, &bytes);
        }
        let mut byte = [0; 8];
        (0..map.pages()).for_each(|page| map.load(page as usize * PAGE_SIZE, &mut byte));
        if is_huge_kind && !is_compound(map) {
            return Err(Stop::Lacks(
                "a file system that makes large folios (or root, to see them)",
            ));
        }
        Ok(())
    }
}

/// Makes a hole of some pages.
pub(crate) fn punch(file: &File, pages: std::ops::Range<u64>) -> Result<(), Stop> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let size = PAGE_SIZE as u64;
    let (at, len) = (pages.start * size, (pages.end - pages.start) * size);
    rustix::fs::fallocate(file, flags, at, len).map_err(refused("punching a hole"))
}

/// Whether the mapping is a huge page, by the frames' flags or by what the kernel says of it.
fn is_huge(map: &Map) -> bool {
    if let Some(frames) = Pagemap::open() {
        return frames.has(map.address(1), Flag::Huge) == Some(true);
    }
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut ours =
        smaps.lines().skip_while(|line| !line.starts_with(&format!("{:x}-", map.address(0))));
    let huge =
        |line: &&str| line.starts_with("AnonHugePages:") || line.starts_with("ShmemPmdMapped:");
    ours.by_ref().take(24).filter(huge).any(|line| !line.contains(" 0 kB"))
}

/// Whether at least one page is part of a larger folio.
fn is_compound(map: &Map) -> bool {
    let Some(frames) = Pagemap::open() else { return false };
    (0..map.pages()).any(|page| frames.has(map.address(page), Flag::Compound) == Some(true))
}

/// Whether it becomes so within a time.
pub(crate) fn eventually(within: Duration, mut so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if so() {
            return true;
        }
        if start.elapsed() > within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
