//! What a round is played on and what is done in it, and how both are read from bytes. An operation
//! takes few bytes, and only those that it needs, so that a change of one byte is a small change.

use arbitrary::{Result, Unstructured};
use refolio::{Form, PAGE_SIZE, Sharing};

/// What a round is played on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Pages of each node.
    pub nodes: Vec<u64>,
    pub name_holders: bool,
    /// Whether the cache has its own thread: then what happens does not follow from this alone.
    pub background: bool,
    pub files: Vec<FileSetup>,
    pub views: Vec<ViewSetup>,
}

impl Setup {
    /// As it is, but for what does not follow from the bytes alone: without a thread of the cache's
    /// own, and without a disk.
    pub fn quiet(mut self) -> Self {
        self.background = false;
        self.files.iter_mut().for_each(|file| file.disk = None);
        self
    }
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
    Write { file: usize, offset: usize, len: usize, fill: u16 },
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
    Guard { file: usize, page: u64, fill: u16, what: InGuard },
    ReadView { view: usize, offset: usize, len: usize },
    WriteView { view: usize, offset: usize, len: usize, fill: u16 },
    Discard { view: usize, first: u64, pages: u64 },
    BriefView { file: usize, first: u64, pages: u64, sharing: Sharing, fill: u16 },
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

type From<'a, 'b> = &'a mut Unstructured<'b>;

/// What any round is played on.
pub fn setup(from: From) -> Result<Setup> {
    let order = *from.choose(&[0, 0, 0, 0, 1, 2, 3, 4])?;
    let background = from.ratio(1, 10)?;
    let files = (0..from.int_in_range(1..=3)?).map(|_| file(from, order)).collect::<Result<_>>()?;
    let views = from.int_in_range(0..=3)?;
    with_views(from, background, files, views)
}

/// A quiet round of one or two files in memory, and more views.
pub fn setup_of_views(from: From) -> Result<Setup> {
    let mut files = Vec::new();
    for _ in 0..from.int_in_range(1..=2)? {
        let len = from.int_in_range(0..=30)? * PAGE + ragged(from)?;
        files.push(FileSetup { len, order: from.int_in_range(0..=2)?, disk: None });
    }
    let views = from.int_in_range(1..=6)?;
    with_views(from, false, files, views)
}

fn with_views(from: From, background: bool, files: Vec<FileSetup>, views: usize) -> Result<Setup> {
    let views: Vec<_> = (0..views).map(|_| view(from, files.len())).collect::<Result<_>>()?;
    // Room on any one node for all that cannot be evicted, so that memory never runs out.
    let order = files.iter().map(|file| file.order).max().unwrap_or(0);
    let fixed: u64 = views.iter().map(unevictable).sum::<u64>() + ((PINS as u64 + 1) << order);
    let smallest = 64.max(fixed + 24);
    let mut nodes = Vec::new();
    for _ in 0..from.int_in_range(2..=3)? {
        nodes.push(from.int_in_range(smallest..=smallest.max(300))?);
    }
    Ok(Setup { nodes, name_holders: from.ratio(3, 4)?, background, files, views })
}

fn file(from: From, order: u32) -> Result<FileSetup> {
    let disk = match from.ratio(1, 12)? {
        true => Some(Disk {
            direct: from.arbitrary()?,
            read_only_first: from.arbitrary()?,
            handles: from.int_in_range(1..=3)?,
        }),
        false => None,
    };
    Ok(FileSetup { len: len(from)?, order: from.int_in_range(0..=order)?, disk })
}

fn view(from: From, files: usize) -> Result<ViewSetup> {
    let pages = from.int_in_range(1..=12)?;
    if from.ratio(1, 3)? {
        return Ok(ViewSetup::Anonymous { pages, order: from.int_in_range(0..=3)? });
    }
    let file = from.choose_index(files)?;
    Ok(ViewSetup::File { file, first: page(from)?, pages, sharing: sharing(from)? })
}

fn sharing(from: From) -> Result<Sharing> {
    Ok(if from.arbitrary()? { Sharing::Shared } else { Sharing::Private })
}

fn unevictable(view: &ViewSetup) -> u64 {
    match view {
        ViewSetup::Anonymous { pages, .. } => *pages,
        ViewSetup::File { pages, sharing: Sharing::Private, .. } => *pages,
        ViewSetup::File { .. } => 0,
    }
}

/// A length in bytes: often a whole number of pages, or nearly so.
fn len(from: From) -> Result<usize> {
    let most = if from.ratio(1, 4)? { 8 } else { MAX_PAGES };
    Ok(from.int_in_range(0..=most - 1)? * PAGE + ragged(from)?)
}

fn ragged(from: From) -> Result<usize> {
    match from.int_in_range(0..=5)? {
        0..3 => Ok(0),
        3 => Ok(1),
        4 => Ok(PAGE - 1),
        _ => from.int_in_range(0..=PAGE - 1),
    }
}

fn page(from: From) -> Result<u64> {
    let most = if from.arbitrary()? { 10 } else { MAX_PAGES as u64 };
    from.int_in_range(0..=most - 1)
}

/// Offset and length of a run of bytes: mostly short, sometimes long; on page boundaries more often
/// than by chance.
fn run(from: From) -> Result<(usize, usize)> {
    let offset = page(from)? as usize * PAGE + ragged(from)?;
    let len = match from.int_in_range(0..=7)? {
        0..3 => from.int_in_range(1..=200)?,
        3..6 => PAGE,
        6 => from.int_in_range(1..=3 * PAGE)?,
        _ => from.int_in_range(1..=20 * PAGE)?,
    };
    Ok((offset, len.min((MAX_PAGES * PAGE).saturating_sub(offset)).max(1)))
}

/// The first of some pages, and how many.
fn pages(from: From) -> Result<(u64, u64)> {
    match from.int_in_range(0..=2)? {
        0 => Ok((0, u64::MAX)),
        1 => Ok((page(from)?, from.int_in_range(1..=3)?)),
        _ => Ok((page(from)?, from.int_in_range(1..=79)?)),
    }
}

fn how(from: From) -> Result<How> {
    Ok(How {
        wait: *from.choose(&[Wait::Async, Wait::Light, Wait::Sync, Wait::UntilSoon])?,
        form: *from.choose(&Form::ALL)?,
        batch: *from.choose(&[1, 2, 7, 64])?,
    })
}

/// Any operation.
pub fn op(from: From) -> Result<Op> {
    Ok(match from.int_in_range(0..=99)? {
        0..22 => {
            let (offset, len) = run(from)?;
            Op::Read { file: number(from)?, offset, len }
        }
        22..44 => write(from)?,
        44..48 => set_len(from)?,
        48..52 => punch(from)?,
        52..54 => Op::Sync { file: number(from)? },
        54 => Op::WriteBack,
        55 => {
            let (first, pages) = pages(from)?;
            Op::Load { file: number(from)?, first, pages }
        }
        56..58 => evict(from)?,
        58 => Op::Reopen { file: number(from)? },
        59..63 => Op::Pin { file: number(from)?, page: page(from)? },
        63..65 => pin_view(from)?,
        65..70 => Op::Unpin { pin: from.int_in_range(0..=PINS - 1)? },
        70..75 => {
            let (file, page, fill) = (number(from)?, page(from)?, from.arbitrary()?);
            Op::Guard { file, page, fill, what: in_guard(from)? }
        }
        75..81 => read_view(from)?,
        81..88 => write_view(from)?,
        88 => discard(from)?,
        89 => brief_view(from)?,
        90..97 => Op::Migrate { what: what(from)?, to: node(from)?, how: how(from)? },
        97 => Op::Drain { node: node(from)?, how: how(from)? },
        98 => Op::Undrain { node: node(from)? },
        _ => Op::Compare,
    })
}

/// An operation on a view, or one that a view must notice.
pub fn op_of_views(from: From) -> Result<Op> {
    Ok(match from.int_in_range(0..=63)? {
        0..14 => read_view(from)?,
        14..30 => write_view(from)?,
        30..34 => discard(from)?,
        34..38 => brief_view(from)?,
        38..41 => pin_view(from)?,
        41..44 => Op::Unpin { pin: from.int_in_range(0..=PINS - 1)? },
        44..52 => Op::Migrate { what: what(from)?, to: node(from)?, how: how(from)? },
        52..54 => Op::Drain { node: node(from)?, how: how(from)? },
        54 => Op::Undrain { node: node(from)? },
        55..58 => write(from)?,
        58..60 => set_len(from)?,
        60 => punch(from)?,
        61 => evict(from)?,
        62 => Op::Sync { file: number(from)? },
        _ => Op::Compare,
    })
}

/// Of a file or a view.
fn number(from: From) -> Result<usize> {
    from.int_in_range(0..=5)
}

fn node(from: From) -> Result<usize> {
    from.int_in_range(0..=2)
}

/// A page of a view.
fn view_page(from: From) -> Result<u64> {
    from.int_in_range(0..=11)
}

/// Offset and length of a run of bytes of a view.
fn view_run(from: From) -> Result<(usize, usize)> {
    Ok((from.int_in_range(0..=13 * PAGE - 1)?, from.int_in_range(1..=3 * PAGE - 1)?))
}

fn write(from: From) -> Result<Op> {
    let (offset, len) = run(from)?;
    Ok(Op::Write { file: number(from)?, offset, len, fill: from.arbitrary()? })
}

fn set_len(from: From) -> Result<Op> {
    Ok(Op::SetLen { file: number(from)?, len: len(from)? })
}

fn punch(from: From) -> Result<Op> {
    let (offset, _) = run(from)?;
    Ok(Op::Punch { file: number(from)?, offset, len: from.int_in_range(1..=12 * PAGE - 1)? })
}

fn evict(from: From) -> Result<Op> {
    let (first, pages) = pages(from)?;
    Ok(Op::Evict { file: number(from)?, first, pages })
}

fn pin_view(from: From) -> Result<Op> {
    Ok(Op::PinView { view: number(from)?, page: view_page(from)? })
}

fn read_view(from: From) -> Result<Op> {
    let (offset, len) = view_run(from)?;
    Ok(Op::ReadView { view: number(from)?, offset, len })
}

fn write_view(from: From) -> Result<Op> {
    let (offset, len) = view_run(from)?;
    Ok(Op::WriteView { view: number(from)?, offset, len, fill: from.arbitrary()? })
}

fn discard(from: From) -> Result<Op> {
    let (first, pages) = (view_page(from)?, from.int_in_range(1..=5)?);
    Ok(Op::Discard { view: number(from)?, first, pages })
}

fn brief_view(from: From) -> Result<Op> {
    let (first, pages) = (page(from)?, from.int_in_range(1..=5)?);
    let (file, fill) = (number(from)?, from.arbitrary()?);
    Ok(Op::BriefView { file, first, pages, sharing: sharing(from)?, fill })
}

fn what(from: From) -> Result<What> {
    Ok(match from.int_in_range(0..=3)? {
        0 => What::Node(node(from)?),
        1 => {
            let (first, pages) = pages(from)?;
            What::View { view: number(from)?, first: first % 12, pages }
        }
        _ => {
            let (first, pages) = pages(from)?;
            What::File { file: number(from)?, first, pages }
        }
    })
}

fn in_guard(from: From) -> Result<InGuard> {
    Ok(match from.int_in_range(0..=11)? {
        0..4 => InGuard::Write { pieces: from.int_in_range(1..=3)? },
        4 => InGuard::Word(Some(0)),
        5 => InGuard::Word(None),
        6 => InGuard::Poison,
        7 => {
            let (offset, len) = run(from)?;
            InGuard::Read { file: number(from)?, offset, len }
        }
        8 => InGuard::Refused,
        9 => InGuard::Another { page: page(from)? },
        10 => InGuard::Migrate { to: node(from)? },
        _ => InGuard::EndView,
    })
}
