//! The player: does what an operation says, to the cache and to what it should hold, and compares.

use std::ops::Range;

use refolio::{Advice, Error, File, NodeId, PAGE_SIZE, Page, PageIndex, ReadAt};

use super::ops::{Op, PINS, Setup, ViewSetup};
use super::stage::{Stage, Tested};
use crate::bytes::{put, same};
use crate::seed;

/// Plays one round from beginning to end.
pub fn play(setup: &Setup, ops: &[Op]) {
    let stage = Stage::new(setup);
    let mut player = Player { stage: &stage, held: Vec::new(), serial: 0 };
    for op in ops {
        seed::about_to(|| format!("{op:?}"));
        player.apply(op);
        player.look_around();
    }
    drop(player);
    seed::about_to(|| "the end of a round".into());
    stage.finish();
}

/// A pin, and the bytes that must stand still.
pub struct Held<'a> {
    pub page: Page<'a>,
    copy: Vec<u8>,
    frame: refolio::FrameNo,
    /// What is pinned.
    of: Of,
}

/// The page of a file, or a view's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    File(usize, u64),
    View(usize, u64),
}

/// Who plays.
pub struct Player<'a> {
    pub stage: &'a Stage,
    pub held: Vec<Held<'a>>,
    /// Numbers the embedder's words, and what is written.
    pub serial: u64,
}

/// The parts of a run of bytes by page: page, and where its part lies in the run.
pub fn parts(offset: usize, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let end = offset + len;
    let pages = offset / PAGE_SIZE..if len > 0 { end.div_ceil(PAGE_SIZE) } else { 0 };
    pages.map(move |page| {
        let start = offset.max(page * PAGE_SIZE);
        (page as u64, start - offset..end.min((page + 1) * PAGE_SIZE) - offset)
    })
}

/// A read, as three in one call, two of which mostly share a page.
fn read_in_three(file: &File, into: &mut [u8], offset: u64) -> refolio::Result<usize> {
    let third = into.len().div_ceil(3);
    let parts = into.chunks_mut(third.max(1)).enumerate();
    let mut reads: Vec<_> =
        parts.map(|(n, part)| ReadAt::new(offset + (n * third) as u64, part)).collect();
    file.read_many(&mut reads)?;
    Ok(reads.iter().map(ReadAt::done).sum())
}

impl<'a> Player<'a> {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::Read { file, offset, len } => self.read(*file, *offset, *len),
            Op::Write { file, offset, len, fill } => self.write(*file, *offset, *len, *fill),
            Op::SetLen { file, len } => self.set_len(*file, *len),
            Op::Punch { file, offset, len } => self.punch(*file, *offset, *len),
            Op::Sync { file } => self.sync(*file),
            Op::WriteBack => {
                let result = self.stage.cache.write_back();
                unless_poisoned(&self.stage.files, result);
            }
            Op::Load { file, first, pages } => {
                let handle = self.file(*file).1.writer();
                if !first.is_multiple_of(3) {
                    let advice = if first % 3 == 1 { Advice::WillNeed } else { Advice::Sequential };
                    handle.advise(*first..first.saturating_add(*pages), advice).unwrap();
                }
                handle.load(*first..first.saturating_add(*pages)).map(drop).unwrap();
            }
            Op::Evict { file, first, pages } => self.evict(*file, *first, *pages),
            Op::Reopen { file } => self.reopen(*file),
            Op::Pin { file, page } => self.pin(*file, *page),
            Op::PinView { view, page } => self.pin_view(*view, *page),
            Op::Unpin { pin } if *pin < self.held.len() => drop(self.held.swap_remove(*pin)),
            Op::Unpin { .. } => {}
            Op::Guard { file, page, fill, what } => self.guard(*file, *page, *fill, what),
            Op::ReadView { view, offset, len } => self.read_view(*view, *offset, *len),
            Op::WriteView { view, offset, len, fill } => {
                self.write_view(*view, *offset, *len, *fill);
            }
            Op::Discard { view, first, pages } => self.discard(*view, *first, *pages),
            Op::BriefView { file, first, pages, sharing, fill } => {
                self.brief_view(*file, *first, *pages, *sharing, *fill);
            }
            Op::Migrate { what, to, how } => self.migrate(what, *to, how),
            Op::Drain { node, how } => self.drain(*node, how),
            Op::Undrain { node } => {
                let node = NodeId((node % self.stage.nodes) as u8);
                self.stage.cache.undrain(node).unwrap();
            }
            Op::Compare => self.stage.files.iter().for_each(Tested::compare),
        }
    }

    /// Bytes to write, like none before: so what was written shows.
    pub fn some(&mut self, fill: u16, len: usize) -> Vec<u8> {
        self.serial += 1;
        let mut bytes = vec![0; len];
        fastrand::Rng::with_seed(self.serial << 16 | u64::from(fill)).fill(&mut bytes);
        bytes
    }

    /// What must hold after every operation.
    fn look_around(&self) {
        for held in &self.held {
            same(&held.page, &held.copy, "a pinned page");
            assert_eq!(held.page.frame(), held.frame);
        }
        for file in &self.stage.files {
            assert_eq!(file.writer().len(), file.bytes.borrow().len() as u64);
        }
    }

    /// File number `n`, counted around.
    pub fn file(&self, n: usize) -> (usize, &'a Tested) {
        let n = n % self.stage.files.len();
        (n, &self.stage.files[n])
    }

    pub fn hold(&mut self, page: Page<'a>, of: Of) {
        if self.held.len() < PINS {
            let (copy, frame) = (page.to_vec(), page.frame());
            self.held.push(Held { page, copy, frame, of });
        }
    }

    /// Whether one of these pages may be held by a pin, perhaps of another page of its folio.
    pub fn may_be_pinned(&self, file: usize, pages: Range<u64>) -> bool {
        let order = self.stage.files[file].order;
        self.held.iter().any(|held| match held.of {
            Of::File(f, page) if f == file => {
                let first = page >> order << order;
                first < pages.end && pages.start < first + (1 << order)
            }
            _ => false,
        })
    }

    /// As [`may_be_pinned`](Self::may_be_pinned), of a view's own page.
    pub fn may_be_pinned_in_view(&self, view: usize, page: u64) -> bool {
        let order = match self.stage.views[view].backing {
            ViewSetup::Anonymous { order, .. } => order,
            ViewSetup::File { .. } => 0,
        };
        let block = |page: u64| page >> order;
        self.held.iter().any(|held| match held.of {
            Of::View(v, pinned) => v == view && block(pinned) == block(page),
            Of::File(..) => false,
        })
    }

    fn read(&mut self, n: usize, offset: usize, len: usize) {
        let file = self.file(n).1;
        let mut into = vec![0xEE; len];
        let result = if (offset / PAGE_SIZE + len).is_multiple_of(2) {
            file.reader(len).read_at(&mut into, offset as u64)
        } else {
            read_in_three(file.reader(len), &mut into, offset as u64)
        };
        let bytes = file.bytes.borrow();
        let there = bytes.len().saturating_sub(offset).min(len);
        match (result.map_err(|error| *error), file.poisoned_in(offset, there)) {
            (Ok(got), None) => {
                assert_eq!(got, there, "bytes read");
                same(&into[..got], &bytes[bytes.len().min(offset)..][..there], "a read");
                assert!(into[got..].iter().all(|byte| *byte == 0xEE), "bytes behind the end");
            }
            (Err(Error::Poisoned { index }), Some(page)) => assert_eq!(index.0, page),
            other => panic!("read at {offset}+{len}: {other:?}"),
        }
    }

    fn write(&mut self, n: usize, offset: usize, len: usize, fill: u16) {
        let (n, file) = self.file(n);
        let from = self.some(fill, len);
        if file.read_only_first && fill.is_multiple_of(4) {
            let refused = file.handles[0].write_at(&from, offset as u64).map_err(|error| *error);
            assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
        }
        let partly = |(page, part): &(u64, Range<usize>)| {
            part.len() < PAGE_SIZE && file.poisoned.borrow().contains(page)
        };
        let done = match file.writer().write_at(&from, offset as u64).map_err(|error| *error) {
            Ok(()) => {
                assert!(
                    parts(offset, len).find(partly).is_none(),
                    "wrote a part of a poisoned page"
                );
                len
            }
            Err(Error::Poisoned { index }) => {
                let (page, part) = parts(offset, len).find(partly).expect("no page is poisoned");
                assert_eq!(index.0, page);
                part.start
            }
            Err(Error::Held { holders }) => {
                assert!(!holders.is_empty());
                self.written_before_held(n, offset, &from)
            }
            Err(other) => panic!("write: {other}"),
        };
        put(&mut file.bytes.borrow_mut(), offset, &from[..done]);
        let whole = parts(offset, done).filter(|(_, part)| part.len() == PAGE_SIZE);
        whole.for_each(|(page, _)| _ = file.poisoned.borrow_mut().remove(&page));
    }

    /// A write was stopped by a pin: how many bytes were written before, which are whole parts.
    fn written_before_held(&self, n: usize, offset: usize, from: &[u8]) -> usize {
        let file = &self.stage.files[n];
        let mut len = file.bytes.borrow().len();
        let now = file.writer().len() as usize;
        for (page, part) in parts(offset, from.len()) {
            let (start, end) = (offset + part.start, offset + part.end);
            let mut found = vec![0; part.len()];
            let got = file.writer().read_at(&mut found, start as u64);
            if now >= end && got.is_ok() && found == from[part.clone()] {
                len = len.max(end);
                continue;
            }
            let behind = start > len && len > 0;
            let last = (len.max(1) as u64 - 1) / PAGE_SIZE as u64;
            // Of this part or of one before it, of few bytes that happened to be there already.
            let first = (offset / PAGE_SIZE) as u64;
            let pinned = self.may_be_pinned(n, first..page + 1)
                || behind && self.may_be_pinned(n, last..last + 1);
            assert!(pinned, "the write of page {page} was stopped, but not by a pin");
            return part.start;
        }
        let pages = (offset / PAGE_SIZE) as u64..(offset + from.len()).div_ceil(PAGE_SIZE) as u64;
        assert!(self.may_be_pinned(n, pages), "a write was refused that is complete");
        from.len()
    }

    fn set_len(&mut self, n: usize, len: usize) {
        let (n, file) = self.file(n);
        let before = file.bytes.borrow().len();
        match file.writer().set_len(len as u64).map_err(|error| *error) {
            Ok(()) => {
                file.bytes.borrow_mut().resize(len, 0);
                file.forget(file.pages(), u64::MAX);
            }
            Err(Error::Held { .. }) => {
                let last = (before as u64).saturating_sub(1) / PAGE_SIZE as u64;
                assert!(len >= before && self.may_be_pinned(n, last..last + 1));
            }
            Err(other) => panic!("set_len: {other}"),
        }
    }

    fn punch(&mut self, n: usize, offset: usize, len: usize) {
        let (n, file) = self.file(n);
        let end = (offset + len).min(file.bytes.borrow().len());
        match file.writer().punch_hole(offset as u64, len as u64).map_err(|error| *error) {
            Ok(()) if offset >= end => {}
            Ok(()) => {
                let mut bytes = file.bytes.borrow_mut();
                bytes[offset..end].fill(0);
                let to_the_end = end == bytes.len();
                drop(bytes);
                let last = if to_the_end { end.div_ceil(PAGE_SIZE) } else { end / PAGE_SIZE };
                file.forget(offset.div_ceil(PAGE_SIZE) as u64, last as u64);
            }
            Err(error @ (Error::Held { .. } | Error::Poisoned { .. })) => {
                let pages = (offset / PAGE_SIZE) as u64..end.div_ceil(PAGE_SIZE) as u64;
                match error {
                    Error::Held { .. } => assert!(self.may_be_pinned(n, pages), "not by a pin"),
                    _ => assert!(file.poisoned_in(offset, len).is_some()),
                }
                adopt_zeros(file, offset, end);
            }
            Err(other) => panic!("punch_hole: {other}"),
        }
    }

    fn sync(&mut self, n: usize) {
        let file = self.file(n).1;
        if !unless_poisoned([file], file.writer().sync()) {
            return;
        }
        let (stored, bytes) = (file.stored(), file.bytes.borrow());
        assert_eq!(stored.len(), bytes.len(), "length of the store after sync");
        for (page, part) in parts(0, bytes.len()) {
            if !file.poisoned.borrow().contains(&page) {
                same(&stored[part.clone()], &bytes[part], &format!("the store, page {page}"));
            }
        }
    }

    fn evict(&mut self, n: usize, first: u64, pages: u64) {
        let (n, file) = self.file(n);
        let range = first..first.saturating_add(pages);
        let evicted = file.writer().evict(range.clone());
        unless_poisoned([file], evicted.map(drop));
        if !self.stage.quiet || !file.poisoned.borrow().is_empty() {
            return;
        }
        for page in range.start..range.end.min(file.pages()) {
            let stays = self.may_be_pinned(n, page..page + 1);
            let node = file.writer().node_of(PageIndex(page));
            assert!(stays || node.is_none(), "page {page} was not evicted");
        }
    }

    /// One more handle comes and goes.
    fn reopen(&mut self, n: usize) {
        let file = self.file(n).1;
        if let Some(reader) = file.another(&self.stage.cache, true) {
            let mut into = [0; 300];
            if file.poisoned.borrow().is_empty() {
                let got = reader.read_at(&mut into, 5).unwrap();
                let bytes = file.bytes.borrow();
                same(&into[..got], &bytes[bytes.len().min(5)..][..got], "another handle");
            }
            let refused = reader.set_len(0).unwrap_err();
            assert!(matches!(*refused, Error::ReadOnly { .. }), "{refused}");
            reader.close().unwrap();
        }
        if let Some(writer) = file.another(&self.stage.cache, false) {
            let len = file.bytes.borrow().len();
            if self.held.is_empty() && file.poisoned.borrow().is_empty() {
                writer.write_at(b"one more handle", len as u64).unwrap();
                put(&mut file.bytes.borrow_mut(), len, b"one more handle");
            }
        }
    }

    fn pin(&mut self, n: usize, page: u64) {
        let (n, file) = self.file(n);
        match file.reader(page as usize).page(PageIndex(page)).map_err(|error| *error) {
            Ok(pin) => {
                let bytes = file.bytes.borrow();
                let rest = &bytes[page as usize * PAGE_SIZE..];
                same(&pin, &rest[..rest.len().min(PAGE_SIZE)], "a new pin");
                assert!(!file.poisoned.borrow().contains(&page));
                self.check_word(n, page, pin.private());
                self.hold(pin, Of::File(n, page));
            }
            Err(Error::OutOfRange { index, pages }) => {
                assert_eq!((index.0, pages), (page, file.pages()));
                assert!(page >= pages);
            }
            Err(Error::Poisoned { index }) => assert!(file.poisoned.borrow().contains(&index.0)),
            Err(other) => panic!("pin: {other}"),
        }
    }
}

/// Whether everything was written back: a poisoned page that is dirty is not, and that is said.
fn unless_poisoned<'a>(
    files: impl IntoIterator<Item = &'a Tested>,
    result: refolio::Result<()>,
) -> bool {
    let result = result.map_err(|error| *error);
    match &result {
        Err(Error::Poisoned { index }) => {
            let mut files = files.into_iter();
            assert!(files.any(|file| file.poisoned.borrow().contains(&index.0)));
        }
        result => assert!(result.is_ok(), "{result:?}"),
    }
    result.is_ok()
}

/// A hole was not punched whole: each page's part is as it was, or zeros.
fn adopt_zeros(file: &Tested, offset: usize, end: usize) {
    let mut bytes = file.bytes.borrow_mut();
    for (page, part) in parts(offset, end - offset) {
        let part = offset + part.start..offset + part.end;
        let mut found = vec![0xEE; part.len()];
        match file.writer().read_at(&mut found, part.start as u64).map_err(|error| *error) {
            Err(Error::Poisoned { .. }) => continue,
            got => assert_eq!(got.unwrap(), part.len()),
        }
        file.poisoned.borrow_mut().remove(&page);
        if found.iter().all(|byte| *byte == 0) {
            bytes[part].fill(0);
        } else {
            same(&found, &bytes[part], "a page where a hole was not punched");
        }
    }
}
