//! The player's hands for views.

use refolio::{Error, PAGE_SIZE, Sharing, Vpn};

use super::ops::ViewSetup;
use super::play::{Of, Player, parts};
use super::stage::TestedView;
use crate::bytes::same;

impl<'a> Player<'a> {
    fn view(&self, n: usize) -> Option<(usize, &'a TestedView)> {
        let n = n.checked_rem(self.stage.views.len())?;
        Some((n, &self.stage.views[n]))
    }

    /// Why a page of the view cannot be used, if it cannot.
    fn refusal(&self, view: &TestedView, page: u64) -> Option<Refusal> {
        if page >= view.view.pages() || view.expected(&self.stage.files, page).is_none() {
            return Some(Refusal::OutOfRange);
        }
        let (file, index) = view.shows(page)?;
        let poisoned = self.stage.files[file].poisoned.borrow().contains(&index);
        poisoned.then_some(Refusal::Poisoned)
    }

    pub fn read_view(&mut self, n: usize, offset: usize, len: usize) {
        let Some((_, view)) = self.view(n) else { return };
        self.read_tested(view, offset, len);
    }

    fn read_tested(&self, view: &TestedView, offset: usize, len: usize) {
        let mut into = vec![0xEE; len];
        let result = view.view.read(&mut into, offset as u64).map_err(|error| *error);
        let within = offset + len <= view.view.pages() as usize * PAGE_SIZE;
        let refused = match within {
            false => Some(Refusal::OutOfRange),
            true => parts(offset, len).find_map(|(page, _)| self.refusal(view, page)),
        };
        match (result, refused) {
            (Ok(()), None) => {
                for (page, part) in parts(offset, len) {
                    let expected = view.expected(&self.stage.files, page).unwrap();
                    let from = (offset + part.start) % PAGE_SIZE;
                    check_known(&into[part.clone()], &expected[from..from + part.len()], page);
                }
            }
            (Err(Error::OutOfRange { .. }), Some(Refusal::OutOfRange)) => {}
            (Err(Error::Poisoned { .. }), Some(Refusal::Poisoned)) => {}
            other => panic!("read of a view at {offset}+{len}: {other:?}"),
        }
    }

    pub fn write_view(&mut self, n: usize, offset: usize, len: usize, fill: u16) {
        let Some((n, view)) = self.view(n) else { return };
        let from = self.some(fill, len);
        let result = view.view.write(&from, offset as u64).map_err(|error| *error);
        if offset + len > view.view.pages() as usize * PAGE_SIZE {
            assert!(matches!(result, Err(Error::OutOfRange { .. })), "{result:?}");
            return;
        }
        let done = match &result {
            Err(Error::Held { .. }) => self.written_in_view(n, offset, &from),
            result => {
                let refused = parts(offset, len)
                    .find_map(|(page, part)| Some((self.refusal(view, page)?, part.start)));
                match (result, refused) {
                    (Ok(()), None) => len,
                    (Err(Error::OutOfRange { .. }), Some((Refusal::OutOfRange, done))) => done,
                    (Err(Error::Poisoned { .. }), Some((Refusal::Poisoned, done))) => done,
                    other => panic!("write of a view at {offset}+{len}: {other:?}"),
                }
            }
        };
        for (page, part) in parts(offset, done) {
            self.put_in_view(view, page, (offset + part.start) % PAGE_SIZE, &from[part]);
        }
    }

    /// A write was stopped by a pin: how many bytes were written before, which are whole parts and
    /// not the last one.
    fn written_in_view(&self, n: usize, offset: usize, from: &[u8]) -> usize {
        let view = &self.stage.views[n];
        let last = (offset + from.len() - 1) / PAGE_SIZE;
        let mut pinned = false;
        for (page, part) in parts(offset, from.len()) {
            assert!(self.refusal(view, page).is_none(), "page {page} cannot be written at all");
            pinned |= self.may_be_pinned_through(n, page);
            let mut found = vec![0; part.len()];
            view.view.read(&mut found, (offset + part.start) as u64).unwrap();
            if found != from[part.clone()] || page == last as u64 {
                assert!(pinned, "the write of page {page} was stopped, but not by a pin");
                return part.start;
            }
        }
        unreachable!("a run of bytes has a last part");
    }

    /// Whether a pin may be in the way of a write to this page of a view.
    fn may_be_pinned_through(&self, n: usize, page: u64) -> bool {
        match self.stage.views[n].file_page(page) {
            Some((file, Sharing::Shared, index)) => self.may_be_pinned(file, index..index + 1),
            _ => self.may_be_pinned_in_view(n, page),
        }
    }

    /// Writes to what a view, or its file, should hold.
    fn put_in_view(&self, view: &TestedView, page: u64, within: usize, from: &[u8]) {
        if let Some((file, Sharing::Shared, index)) = view.file_page(page) {
            let mut bytes = self.stage.files[file].bytes.borrow_mut();
            let start = index as usize * PAGE_SIZE + within;
            // What is written behind the end of the file is lost.
            let len = bytes.len().saturating_sub(start).min(from.len());
            if len > 0 {
                bytes[start..start + len].copy_from_slice(&from[..len]);
            }
            return;
        }
        let mut own = view.expected(&self.stage.files, page).unwrap();
        for (byte, new) in own[within..].iter_mut().zip(from) {
            *byte = Some(*new);
        }
        view.own.borrow_mut().insert(page, own);
    }

    pub fn pin_view(&mut self, n: usize, page: u64) {
        let Some((n, view)) = self.view(n) else { return };
        match (view.view.pin(Vpn(page)).map_err(|error| *error), self.refusal(view, page)) {
            (Ok(pin), None) => {
                let expected = view.expected(&self.stage.files, page).unwrap();
                check_known(&pin, &expected, page);
                let of = match view.shows(page) {
                    Some((file, index)) => Of::File(file, index),
                    None => Of::View(n, page),
                };
                self.hold(pin, of);
            }
            (Err(Error::OutOfRange { .. }), Some(Refusal::OutOfRange)) => {}
            (Err(Error::Poisoned { .. }), Some(Refusal::Poisoned)) => {}
            other => panic!("pin of page {page} of a view: {other:?}"),
        }
    }

    pub fn discard(&mut self, n: usize, first: u64, pages: u64) {
        let Some((_, view)) = self.view(n) else { return };
        view.view.discard(first..first + pages).unwrap();
        view.own.borrow_mut().retain(|page, _| !(first..first + pages).contains(page));
        for page in first..(first + pages).min(view.view.pages()) {
            assert_eq!(view.view.entry(Vpn(page)), refolio::EntryState::Empty);
        }
    }

    /// A view that is made, used and dropped.
    pub fn brief_view(&mut self, n: usize, first: u64, pages: u64, sharing: Sharing, fill: u16) {
        let (n, file) = self.file(n);
        let setup = ViewSetup::File { file: n, first, pages, sharing };
        if file.read_only_first {
            let view = file.handles[0].view(first..first + pages, Sharing::Shared).unwrap();
            if first < file.pages() && !file.poisoned.borrow().contains(&first) {
                let refused = view.write(b"no", 0).map_err(|error| *error);
                assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
            }
        }
        let view = TestedView::new(&self.stage.cache, &self.stage.files, setup);
        self.read_tested(&view, 0, PAGE_SIZE);
        let blocked = sharing == Sharing::Shared && self.may_be_pinned(n, first..first + 1);
        if self.refusal(&view, 0).is_none() && !blocked {
            let from = self.some(fill, 100);
            view.view.write(&from, 50).unwrap();
            self.put_in_view(&view, 0, 50, &from);
            self.read_tested(&view, 0, pages as usize * PAGE_SIZE);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Refusal {
    OutOfRange,
    Poisoned,
}

/// Compares the bytes that are known.
#[track_caller]
fn check_known(found: &[u8], expected: &[Option<u8>], page: u64) {
    let expected: Vec<u8> =
        found.iter().zip(expected.iter()).map(|(found, known)| known.unwrap_or(*found)).collect();
    same(found, &expected, &format!("page {page} of a view"));
}
