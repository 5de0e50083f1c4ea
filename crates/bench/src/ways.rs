//! The ways to reach a page that are no limits: Refolio's, and a system call.

use std::fs;
use std::hint::black_box;

use refolio::{File, PAGE_SIZE, Page, PageIndex};

use crate::error::Result;
use crate::reach::{Hand, Reach, sum};

/// Optimistic reads.
#[derive(Clone, Copy, Debug)]
pub struct Read<'f>(pub &'f File);

impl Reach for Read<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        let at = page * PAGE_SIZE as u64 + at as u64;
        if !matches!(self.0.read_at(&mut hand.line.0, at), Ok(64)) {
            hand.fail();
        }
        black_box(&hand.line.0);
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        let done = self.0.read_at(&mut hand.page, page * PAGE_SIZE as u64);
        if !matches!(done, Ok(PAGE_SIZE)) {
            hand.fail();
        }
    }
}

/// Pin, read, unpin.
#[derive(Clone, Copy, Debug)]
pub struct Pin<'f>(pub &'f File);

impl Reach for Pin<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        let Ok(pin) = self.0.page(PageIndex(page)) else { return hand.fail() };
        let Some(line) = pin[at..].first_chunk() else { return hand.fail() };
        black_box(sum(line));
    }

    #[inline(always)]
    fn chain(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) -> u64 {
        match self.0.page(PageIndex(page)).as_deref().map(|bytes| bytes[at..].first_chunk()) {
            Ok(Some(line)) => sum(line),
            _ => {
                hand.fail();
                0
            }
        }
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        match self.0.page(PageIndex(page)) {
            Ok(pin) => hand.page.copy_from_slice(&pin),
            Err(_) => hand.fail(),
        }
    }
}

/// The same, by a function that hands the pin on, as a program's own pool would.
#[derive(Clone, Copy, Debug)]
pub struct Handed<'f>(pub &'f File);

#[inline(never)]
fn hand_on(file: &File, page: u64) -> Option<Page<'_>> {
    file.page(PageIndex(page)).ok()
}

impl Reach for Handed<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        let Some(pin) = hand_on(self.0, page) else { return hand.fail() };
        let Some(line) = pin[at..].first_chunk() else { return hand.fail() };
        black_box(sum(line));
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, own: &mut (), page: u64) {
        Pin(self.0).page(hand, own, page);
    }
}

/// Another way to the same file, whose pages are asked for before [`AHEAD`] others have their turn.
#[derive(Clone, Copy, Debug)]
pub struct Ahead<'f, R>(pub &'f File, pub R);

/// Pages that are asked for before they are needed.
pub const AHEAD: usize = 16;

/// What is to be read later (page, and byte in there), and which of them is next.
#[derive(Debug)]
pub struct Later([(u64, usize); AHEAD], usize);

impl<R: Reach<Own = ()>> Ahead<'_, R> {
    /// Asks for a page, and says which one has its turn.
    #[inline(always)]
    fn turn(&self, later: &mut Later, page: u64, at: usize) -> (u64, usize) {
        self.0.prefetch(page * PAGE_SIZE as u64 + at as u64);
        later.1 = (later.1 + 1) % AHEAD;
        std::mem::replace(&mut later.0[later.1], (page, at))
    }
}

impl<R: Reach<Own = ()>> Reach for Ahead<'_, R> {
    type Own = Later;

    fn own(&self) -> Result<Later> {
        Ok(Later([(0, 0); AHEAD], 0))
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, later: &mut Later, page: u64, at: usize) {
        let (page, at) = self.turn(later, page, at);
        self.1.line(hand, &mut (), page, at);
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, later: &mut Later, page: u64) {
        let (page, _) = self.turn(later, page, 0);
        self.1.page(hand, &mut (), page);
    }
}

/// `pread`, through the system's page cache.
#[derive(Clone, Copy, Debug)]
pub struct Pread<'f>(pub &'f fs::File);

impl Reach for Pread<'_> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        let at = page * PAGE_SIZE as u64 + at as u64;
        if !matches!(rustix::io::pread(self.0, &mut hand.line.0[..], at), Ok(64)) {
            hand.fail();
        }
        black_box(&hand.line.0);
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        let done = rustix::io::pread(self.0, &mut hand.page[..], page * PAGE_SIZE as u64);
        if !matches!(done, Ok(PAGE_SIZE)) {
            hand.fail();
        }
    }
}
