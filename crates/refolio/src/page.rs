//! Pages in the hands of an embedder: pins and write guards.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use crate::core::Core;
use crate::folio::state::Flag;
use crate::holder::Hold;
use crate::mapping::Mapping;
use crate::still::StillPage;
use crate::units::{FrameNo, NodeId, PAGE_SIZE};
use crate::write::Exclusive;

/// A pin: the bytes of one page, which stand still while it lives.
///
/// While there is a pin, the page is not moved, not evicted and not written; it can be read by
/// everybody. Only truncation takes it out of its file: then the pin holds an orphan, with the
/// bytes it had.
///
/// A pin stays on its thread, since *a thread that holds a page never waits for another one*.
/// Others may read through a reference to it.
pub struct Page<'c>(StillPage<'c>);

impl<'c> Page<'c> {
    #[inline]
    pub(crate) fn new(page: StillPage<'c>) -> Self {
        Self(page)
    }

    /// The node that the page is on, and stays on. (It is looked up, under a lock of the process.)
    pub fn node(&self) -> NodeId {
        self.0.node()
    }

    /// The frame that the page is in, and stays in. (It is looked up, as the node is.)
    pub fn frame(&self) -> FrameNo {
        self.0.frame()
    }

    /// The embedder's word of the page's folio; see [`PageMut::set_private`].
    pub fn private(&self) -> Option<u64> {
        self.0.folio().private()
    }
}

impl Deref for Page<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Page<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("frame", &self.frame()).field("len", &self.len()).finish()
    }
}

/// A write guard: one page that is this thread's alone.
///
/// Readers, movers and other writers wait until it is dropped; the page is dirty then, if it was
/// written. The bytes are not handed out as `&mut [u8]`, because a reader that takes no reference
/// may be looking at them: [`write`](Self::write) stores them in a way that such a reader notices.
///
/// A thread may hold several guards, but it does not wait for a page in another's hands while it
/// holds one: the call then answers [`Error::GuardHeld`](crate::Error::GuardHeld).
pub struct PageMut<'c> {
    core: &'c Core,
    mapping: &'c Mapping,
    exclusive: Option<Exclusive<'c>>,
    start: usize,
    len: usize,
    written: Cell<bool>,
    hold: Option<Hold<true>>,
}

impl<'c> PageMut<'c> {
    pub(crate) fn new(
        exclusive: Exclusive<'c>,
        mapping: &'c Mapping,
        page: u32,
        len: usize,
        hold: Hold<true>,
    ) -> Self {
        exclusive.folio().state.set(Flag::GUARDED);
        Self {
            core: exclusive.core(),
            mapping,
            exclusive: Some(exclusive),
            start: page as usize * PAGE_SIZE,
            len,
            written: Cell::new(false),
            hold: Some(hold),
        }
    }

    fn exclusive(&self) -> &Exclusive<'c> {
        self.exclusive.as_ref().unwrap_or_else(|| unreachable!("there until the guard is dropped"))
    }

    /// Bytes of the page that belong to the file: fewer than [`PAGE_SIZE`] only for its last page.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes of the page, from `at` on, into `into`.
    ///
    /// # Panics
    /// When `at + into.len()` is more than [`len`](Self::len), as indexing a slice does.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        self.check(at, into.len());
        self.exclusive().read(self.start + at, into);
    }

    /// Writes bytes to the page, from `at` on.
    ///
    /// # Panics
    /// When `at + from.len()` is more than [`len`](Self::len), as indexing a slice does.
    pub fn write(&mut self, at: usize, from: &[u8]) {
        self.check(at, from.len());
        self.exclusive().write(self.start + at, from);
        self.written.set(true);
    }

    fn check(&self, at: usize, len: usize) {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len);
        assert!(fits, "bytes {at}+{len} of a page that has {}", self.len);
    }

    /// The embedder's word of the page's folio, if it has one.
    pub fn private(&self) -> Option<u64> {
        self.exclusive().folio().private()
    }

    /// Gives the page's folio a word of the embedder's (a log sequence number, an index into a
    /// table of its own), or takes it away. The word travels with the page from node to node; it is
    /// gone when the page is evicted or truncated. The kernel calls this private data.
    #[doc(alias = "folio_attach_private")]
    #[doc(alias = "folio_detach_private")]
    pub fn set_private(&mut self, word: Option<u64>) {
        if let Some(exclusive) = &mut self.exclusive {
            exclusive.set_private(word);
        }
    }

    /// Says that the bytes of the page's folio are not to be trusted (a checksum did not match). It
    /// is not read, moved or written back any more, until it is overwritten whole, truncated, or
    /// punched out.
    #[doc(alias = "PG_hwpoison")]
    pub fn poison(&mut self) {
        self.exclusive().folio().state.poison();
    }
}

impl Drop for PageMut<'_> {
    fn drop(&mut self) {
        let Some(exclusive) = self.exclusive.take() else { return };
        exclusive.folio().state.test_and_clear(Flag::GUARDED);
        if self.written.get() {
            exclusive.dirty(Some(self.mapping));
        } else {
            exclusive.release();
        }
        drop(self.hold.take());
        self.core.finish_zaps();
    }
}

impl fmt::Debug for PageMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageMut").field("len", &self.len).finish_non_exhaustive()
    }
}
