//! A round: a cache, its files and views, and what is done to them. All of it follows from one
//! seed.

use fastrand::Rng;
use refolio::{Form, PAGE_SIZE, Sharing};

/// What a round is played on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Pages of each node.
    pub nodes: Vec<u64>,
    pub name_holders: bool,
    /// Whether the cache has its own thread: then what happens does not follow from the seed alone.
    pub background: bool,
    pub files: Vec<FileSetup>,
    pub views: Vec<ViewSetup>,
}

#[derive(Clone, Debug)]
pub struct FileSetup {
    pub len: usize,
    pub order: u32,
    /// On disk, with several handles, the first perhaps read-only; otherwise in memory, with one.
    pub disk: Option<Disk>,
}

#[derive(Clone, Debug)]
pub struct Disk {
    pub direct: bool,
    pub read_only_first: bool,
    pub handles: usize,
}

#[derive(Clone, Debug)]
pub enum ViewSetup {
    Anonymous { pages: u64, order: u32 },
    File { file: usize, first: u64, pages: u64, sharing: Sharing },
}

/// One operation. Numbers of files, views, pins and nodes are taken modulo what there is, so that
/// an operation means something whatever came before it.
#[derive(Clone, Debug)]
pub enum Op {
    Read { file: usize, offset: usize, len: usize },
    Write { file: usize, offset: usize, len: usize, fill: u64 },
    SetLen { file: usize, len: usize },
    Punch { file: usize, offset: usize, len: usize },
    Sync { file: usize },
    WriteBack,
    Load { file: usize, first: u64, pages: u64 },
    Evict { file: usize, first: u64, pages: u64 },
    Reopen { file: usize },
    Pin { file: usize, page: u64 },
    PinView { view: usize, page: u64 },
    Unpin { pin: usize },
    Guard { file: usize, page: u64, fill: u64, what: InGuard },
    ReadView { view: usize, offset: usize, len: usize },
    WriteView { view: usize, offset: usize, len: usize, fill: u64 },
    Discard { view: usize, first: u64, pages: u64 },
    BriefView { file: usize, first: u64, pages: u64, sharing: Sharing, fill: u64 },
    Migrate { what: What, to: usize, how: How },
    Drain { node: usize, how: How },
    Undrain { node: usize },
    Compare,
}

/// What is done with a page while it is in hand.
#[derive(Clone, Debug)]
pub enum InGuard {
    Write {
        pieces: usize,
    },
    Word(Option<u64>),
    Poison,
    /// Reads of other pages, which may have to be read in.
    Read {
        file: usize,
        offset: usize,
        len: usize,
    },
    /// Everything that might wait is refused.
    Refused,
    Another {
        page: u64,
    },
    Migrate {
        to: usize,
    },
    /// A view that maps the page ends.
    EndView,
}

/// What is to be moved.
#[derive(Clone, Debug)]
pub enum What {
    File { file: usize, first: u64, pages: u64 },
    View { view: usize, first: u64, pages: u64 },
    Node(usize),
}

/// How it is to be moved.
#[derive(Clone, Debug)]
pub struct How {
    pub wait: Wait,
    pub form: Form,
    pub batch: usize,
}

/// The modes of `refolio::Mode`, with a deadline that counts from when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Async,
    Light,
    Sync,
    UntilSoon,
}

/// Pins at a time, at most.
pub const PINS: usize = 4;

/// Pages that the largest file may come to have.
pub const MAX_PAGES: usize = 260;

const PAGE: usize = PAGE_SIZE;

/// The round that follows from the random numbers.
pub fn setup(rng: &mut Rng) -> Setup {
    let order = *rng.choice([0, 0, 0, 0, 1, 2, 3, 4].iter()).unwrap();
    let background = rng.u8(..10) == 0;
    let files: Vec<_> = (0..rng.usize(1..=3)).map(|_| file(rng, order)).collect();
    let views: Vec<_> = (0..rng.usize(0..=3)).map(|_| view(rng, files.len())).collect();
    // Room on any one node for all that cannot be evicted, so that memory never runs out.
    let fixed: u64 = views.iter().map(unevictable).sum::<u64>() + ((PINS as u64 + 1) << order);
    let smallest = 64.max(fixed + 24);
    let nodes = (0..rng.usize(2..=3)).map(|_| rng.u64(smallest..=smallest.max(300))).collect();
    Setup { nodes, name_holders: rng.u8(..4) > 0, background, files, views }
}

fn file(rng: &mut Rng, order: u32) -> FileSetup {
    let disk = (rng.u8(..12) == 0).then(|| Disk {
        direct: rng.bool(),
        read_only_first: rng.bool(),
        handles: rng.usize(1..=3),
    });
    FileSetup { len: len(rng), order: rng.u32(0..=order), disk }
}

fn view(rng: &mut Rng, files: usize) -> ViewSetup {
    if rng.u8(..3) == 0 {
        return ViewSetup::Anonymous { pages: rng.u64(1..=12), order: rng.u32(0..=3) };
    }
    let sharing = if rng.bool() { Sharing::Shared } else { Sharing::Private };
    let file = rng.usize(..files);
    ViewSetup::File { file, first: page(rng), pages: rng.u64(1..=12), sharing }
}

fn unevictable(view: &ViewSetup) -> u64 {
    match view {
        ViewSetup::Anonymous { pages, .. } => *pages,
        ViewSetup::File { pages, sharing: Sharing::Private, .. } => *pages,
        ViewSetup::File { .. } => 0,
    }
}

/// A length in bytes: often a whole number of pages, or nearly so.
fn len(rng: &mut Rng) -> usize {
    let pages = if rng.u8(..4) == 0 { rng.usize(..8) } else { rng.usize(..MAX_PAGES) };
    pages * PAGE + ragged(rng)
}

fn ragged(rng: &mut Rng) -> usize {
    match rng.u8(..6) {
        0..3 => 0,
        3 => 1,
        4 => PAGE - 1,
        _ => rng.usize(..PAGE),
    }
}

fn page(rng: &mut Rng) -> u64 {
    if rng.bool() { rng.u64(..10) } else { rng.u64(..MAX_PAGES as u64) }
}

/// A run of bytes: mostly short, sometimes long; on page boundaries more often than by chance.
fn run(rng: &mut Rng) -> (usize, usize) {
    let offset = page(rng) as usize * PAGE + ragged(rng);
    let len = match rng.u8(..8) {
        0..3 => rng.usize(1..200),
        3..6 => PAGE,
        6 => rng.usize(1..3 * PAGE),
        _ => rng.usize(1..20 * PAGE),
    };
    (offset, len.min((MAX_PAGES * PAGE).saturating_sub(offset)).max(1))
}

fn pages(rng: &mut Rng) -> (u64, u64) {
    match rng.u8(..3) {
        0 => (0, u64::MAX),
        1 => (page(rng), rng.u64(1..4)),
        _ => (page(rng), rng.u64(1..80)),
    }
}

pub fn how(rng: &mut Rng) -> How {
    let wait = *rng.choice([Wait::Async, Wait::Light, Wait::Sync, Wait::UntilSoon].iter()).unwrap();
    let batch = *rng.choice([1, 2, 7, 64].iter()).unwrap();
    How { wait, form: *rng.choice(Form::ALL.iter()).unwrap(), batch }
}

/// One operation.
pub fn op(rng: &mut Rng) -> Op {
    let (file, view, fill) = (rng.usize(..6), rng.usize(..6), rng.u64(..));
    let (offset, len_bytes) = run(rng);
    let (first, count) = pages(rng);
    let page = page(rng);
    match rng.u8(..100) {
        0..22 => Op::Read { file, offset, len: len_bytes },
        22..44 => Op::Write { file, offset, len: len_bytes, fill },
        44..48 => Op::SetLen { file, len: len(rng) },
        48..52 => Op::Punch { file, offset, len: rng.usize(1..12 * PAGE) },
        52..54 => Op::Sync { file },
        54 => Op::WriteBack,
        55 => Op::Load { file, first, pages: count },
        56..58 => Op::Evict { file, first, pages: count },
        58 => Op::Reopen { file },
        59..63 => Op::Pin { file, page },
        63..65 => Op::PinView { view, page: page % 12 },
        65..70 => Op::Unpin { pin: rng.usize(..PINS) },
        70..75 => Op::Guard { file, page, fill, what: in_guard(rng) },
        75..81 => {
            Op::ReadView { view, offset: rng.usize(..13 * PAGE), len: rng.usize(1..3 * PAGE) }
        }
        81..88 => Op::WriteView {
            view,
            offset: rng.usize(..13 * PAGE),
            len: rng.usize(1..3 * PAGE),
            fill,
        },
        88 => Op::Discard { view, first: page % 12, pages: rng.u64(1..6) },
        89 => {
            let sharing = if rng.bool() { Sharing::Shared } else { Sharing::Private };
            Op::BriefView { file, first: page, pages: rng.u64(1..6), sharing, fill }
        }
        90..97 => Op::Migrate {
            what: what(rng, file, view, first, count),
            to: rng.usize(..3),
            how: how(rng),
        },
        97 => Op::Drain { node: rng.usize(..3), how: how(rng) },
        98 => Op::Undrain { node: rng.usize(..3) },
        _ => Op::Compare,
    }
}

fn what(rng: &mut Rng, file: usize, view: usize, first: u64, pages: u64) -> What {
    match rng.u8(..4) {
        0 => What::Node(rng.usize(..3)),
        1 => What::View { view, first: first % 12, pages },
        _ => What::File { file, first, pages },
    }
}

fn in_guard(rng: &mut Rng) -> InGuard {
    let (offset, len) = run(rng);
    match rng.u8(..12) {
        0..4 => InGuard::Write { pieces: rng.usize(1..4) },
        4 => InGuard::Word(Some(0)),
        5 => InGuard::Word(None),
        6 => InGuard::Poison,
        7 => InGuard::Read { file: rng.usize(..3), offset, len },
        8 => InGuard::Refused,
        9 => InGuard::Another { page: page(rng) },
        10 => InGuard::Migrate { to: rng.usize(..3) },
        _ => InGuard::EndView,
    }
}
