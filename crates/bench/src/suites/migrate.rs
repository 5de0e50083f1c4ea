//! Migration: pages move from node to node and back, beside loops that copy as much between random
//! places of bare memory, and beside what the kernel does.

use std::ops::Range;

use refolio::{Cache, File, Migrate, NodeId, PAGE_SIZE, View, Vpn};

use super::{Run, beside};
use crate::contest::{Contest, LIMIT};
use crate::cpus;
use crate::error::{Error, Result};
use crate::limits::arena::Arena;
use crate::limits::copy::{Copier, copiers};
use crate::limits::kernel::{Kernel, Memory};
use crate::noise::{Lap, Timing};
use crate::plan::Host;
use crate::resident;
use crate::results::Role;

const OURS: &str = "Refolio, in batches of 64";

/// Copies `total` bytes in units of `unit`, each from a random place in the first half of the arena
/// to one in the second half; the time for a unit.
pub fn copy(arena: &mut Arena, copier: Copier, unit: usize, total: usize) -> Timing {
    let half = arena.len() / 2;
    let places = (half / unit) as u64;
    let mut rng = fastrand::Rng::new();
    let mut place = || (((rng.u64(..) >> 32) * places) >> 32) as usize * unit;
    let lap = Lap::start();
    for _ in 0..total / unit {
        arena.copy(copier, place(), half + place(), unit);
    }
    lap.stop((total / unit) as u64)
}

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file has the same bytes.
    Clean,
    /// It does not have them yet.
    Dirty,
    /// There is no file.
    Anonymous,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Clean, Self::Dirty, Self::Anonymous];

    fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean file pages",
            Self::Dirty => "dirty file pages",
            Self::Anonymous => "anonymous pages",
        }
    }
}

/// Something whose pages all live on one node.
pub enum Pages {
    /// A file's.
    File(File),
    /// A table's.
    View(View),
}

impl Pages {
    /// All on the first node.
    pub fn new(
        cache: &Cache,
        kind: Kind,
        bytes: usize,
        order: u32,
        host: &dyn Host,
    ) -> Result<Self> {
        if kind == Kind::Anonymous {
            let view = cache.anonymous((bytes / PAGE_SIZE) as u64, order);
            let view = view.map_err(Error::while_("making anonymous memory"))?;
            for index in 0..view.pages() {
                view.write(&resident::page(index), index * PAGE_SIZE as u64)
                    .map_err(Error::while_("writing anonymous memory"))?;
            }
            return Ok(Self::View(view));
        }
        let file = resident::file(cache, bytes, order, host)?;
        if kind == Kind::Dirty {
            // They stay dirty: nothing writes them back.
            for index in 0..file.len() / PAGE_SIZE as u64 {
                file.write_at(&resident::page(index), index * PAGE_SIZE as u64)
                    .map_err(Error::while_("writing a page"))?;
            }
        }
        Ok(Self::File(file))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::File(file) => file.len() / PAGE_SIZE as u64,
            Self::View(view) => view.pages(),
        }
    }

    /// Moves what can be moved of the range to `node`; how many pages did.
    pub fn shift(&self, range: Range<u64>, node: NodeId, how: &Migrate<'_>) -> Result<u64> {
        let report = match self {
            Self::File(file) => file.migrate(range, node, how),
            Self::View(view) => view.migrate(range, node, how),
        };
        Ok(report.map_err(Error::while_("moving pages"))?.counts().moved)
    }

    /// Moves everything to the other node; the time for a folio of 2^order pages.
    pub fn round(&self, order: u32) -> Result<Timing> {
        let on_first = match self {
            Self::File(file) => file.node_of(refolio::PageIndex(0)) == Some(NodeId(0)),
            Self::View(view) => view.node_of(Vpn(0)) == Some(NodeId(0)),
        };
        let (count, lap) = (self.count(), Lap::start());
        let moved = self.shift(0..count, NodeId(u8::from(on_first)), &Migrate::new())?;
        let timing = lap.stop(count >> order);
        // Nobody else has a page in hands.
        match moved == count {
            true => Ok(timing),
            false => Err(Error::failed("moving pages", format!("{moved} of {count} moved"))),
        }
    }

    /// Whether all bytes are what they were.
    pub fn verify(&self) -> Result<()> {
        let Self::View(view) = self else {
            let Self::File(file) = self else { return Ok(()) };
            return resident::verify(file);
        };
        let mut bytes = [0; PAGE_SIZE];
        for index in 0..view.pages() {
            view.read(&mut bytes, index * PAGE_SIZE as u64)
                .map_err(Error::while_("reading anonymous memory"))?;
            if bytes != resident::page(index) {
                let which = format!("anonymous page {index} differs");
                return Err(Error::failed("reading all pages again", which));
            }
        }
        Ok(())
    }
}

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let bytes = run.plan.bytes;
    let mut arena = Arena::large(2 * bytes)?;
    for order in [0, 4, 9] {
        for kind in Kind::ALL {
            alone(run, &mut arena, kind, order)?;
        }
    }
    if run.plan.threads > 1 && cpus::count() > 1 {
        drop(arena);
        two(run)?;
        beside::run(run)?;
    } else {
        run.note("migrators, readers and writers side by side need a second CPU: left out");
    }
    let pages = bytes / PAGE_SIZE;
    Ok(format!("{pages} pages of 4 KiB, from one node to the other and back; all bytes checked"))
}

/// Every way to copy, and what Refolio does, in turn, on one thread while nobody reads.
fn alone(run: &mut Run<'_>, arena: &mut Arena, kind: Kind, order: u32) -> Result<()> {
    let (bytes, unit) = (run.plan.bytes, PAGE_SIZE << order);
    let cache = resident::cache(bytes)?;
    let pages = Pages::new(&cache, kind, bytes, order, run.host)?;
    pages.round(order)?; // At first the kernel still has to find the memory.
    let title = format!("{}, order {order} ({} KiB), alone", kind.name(), unit >> 10);
    let mut contest = Contest::of_times(title, "ns per folio");
    let arena = std::cell::RefCell::new(arena);
    for (name, copier) in copiers() {
        let arena = &arena;
        contest.add(Role::Limit, format!("copy loop, {name}"), move || {
            let arena = &mut **arena.borrow_mut();
            Ok(cpus::on(0, || copy(arena, copier, unit, bytes)))
        });
    }
    contest.add(Role::Refolio, OURS, || cpus::on(0, || pages.round(order)));
    match (kind, order) {
        (Kind::Clean, 0) => contest.is_at_least(0.8, OURS, LIMIT),
        (Kind::Clean, 9) => contest.is_at_least(0.95, OURS, LIMIT),
        _ => {}
    }
    run.contest(contest)?;
    pages.verify()?;
    drop((pages, cache));
    match (kind, order) {
        (Kind::Clean, 0) => beside_kernel(run, kind, Memory::Shared),
        (Kind::Anonymous, 0) => beside_kernel(run, kind, Memory::Anonymous),
        _ => Ok(()),
    }
}

/// The same beside what the kernel does, each time in a new cache: what the kernel moves may be memory of
/// ours, too, and lie on small pages from then on.
fn beside_kernel(run: &mut Run<'_>, kind: Kind, memory: Memory) -> Result<()> {
    let kernel = match Kernel::find(memory, run.plan.disruptive) {
        Ok(kernel) => kernel,
        Err(why) => {
            run.note(why);
            return Ok(());
        }
    };
    let (bytes, name) = (run.plan.bytes, kernel.name());
    let title = format!("{}, order 0 (4 KiB), beside the kernel", kind.name());
    let mut contest = Contest::of_times(title, "ns per folio");
    let host = run.host;
    contest.add(Role::Refolio, OURS, || {
        let cache = resident::cache(bytes)?;
        let pages = Pages::new(&cache, kind, bytes, 0, host)?;
        pages.round(0)?;
        cpus::on(0, || pages.round(0))
    });
    contest.add(Role::Peer, name, || kernel.measure(bytes));
    if kind == Kind::Clean {
        contest.is_at_least(2.5, OURS, name);
    }
    match run.contest(contest) {
        Err(Error::Unusable(why)) => {
            run.note(format!("{name} is left out: {why}"));
            Ok(())
        }
        other => other,
    }
}

/// Two threads, each with a file of its own in one cache.
fn two(run: &mut Run<'_>) -> Result<()> {
    const ONE: &str = "Refolio, 1 thread";
    const TWO: &str = "Refolio, 2 threads";
    let half = run.plan.bytes / 2;
    let cache = resident::cache(run.plan.bytes)?;
    let file = || Pages::new(&cache, Kind::Clean, half, 0, run.host);
    let files = [file()?, file()?];
    let arenas = [Arena::large(2 * half)?, Arena::large(2 * half)?];
    let arenas = std::cell::RefCell::new(arenas);
    for file in &files {
        file.round(0)?;
    }
    let mut contest = Contest::of_rates("clean file pages, order 0, two at it", "pages/s");
    for (name, copier) in copiers() {
        let arenas = &arenas;
        contest.add(Role::Limit, format!("2 threads copy, {name}"), move || {
            let one = |arena: &mut Arena| Ok(copy(arena, copier, PAGE_SIZE, half));
            let [first, second] = &mut *arenas.borrow_mut();
            side_by_side(|| one(first), || one(second))
        });
    }
    let [first, second] = &files;
    contest.add(Role::Refolio, TWO, || side_by_side(|| first.round(0), || second.round(0)));
    contest.add(Role::Refolio, ONE, || Ok(cpus::on(0, || first.round(0))?.rate(1.0)));
    contest.is_at_least(1.8, TWO, ONE);
    run.contest(contest)?;
    first.verify()?;
    second.verify()
}

/// The rate of both together.
fn side_by_side(
    first: impl FnOnce() -> Result<Timing> + Send,
    second: impl FnOnce() -> Result<Timing> + Send,
) -> Result<Timing> {
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| cpus::at(0, first));
        let second = scope.spawn(|| cpus::at(1, second));
        (cpus::join(first), cpus::join(second))
    });
    let (first, second) = (first?, second?);
    let rate = first.rate(1.0).each + second.rate(1.0).each;
    Ok(Timing { each: rate, lost: first.lost.max(second.lost) })
}
