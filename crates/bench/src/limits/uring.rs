//! Reads through io_uring, with a registered file and registered buffers: the least that the
//! kernel can be asked with.
#![allow(unsafe_code)] // The ring is given addresses.

use std::fs::File;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};
use refolio::PAGE_SIZE;

use super::blocks::Blocks;
use crate::error::{Error, Result};
use crate::reach::{Hand, Reach};

/// A ring, and a buffer for each read that is on its way, and for more.
///
/// # Invariants
/// `buffers` has `busy.len()` pieces of `unit` bytes and is registered with the ring, as one. Of each
/// slot there is at most one read on its way (`busy`), so nobody else uses its buffer; the buffers are
/// given back after the ring, which waits for what is on its way when it is dropped (see `Drop`).
pub struct Ring {
    ring: IoUring,
    buffers: Blocks,
    busy: Vec<bool>,
    unit: usize,
}

impl Ring {
    /// For `depth` reads of `unit` bytes (whole pages) of the file at a time.
    pub fn new(file: &File, depth: usize, unit: usize) -> Result<Self> {
        Self::with_slots(file, depth, depth, unit)
    }

    /// The same with more slots than that, which may be used in turn: a device writes faster to memory
    /// that the processor's caches hold than to more of it.
    pub fn with_slots(file: &File, depth: usize, slots: usize, unit: usize) -> Result<Self> {
        let doing = "setting up io_uring (is it forbidden? see kernel.io_uring_disabled)";
        let ring = IoUring::builder()
            .setup_single_issuer()
            .build(depth.next_power_of_two() as u32)
            .map_err(Error::while_(doing))?;
        let mut buffers = Blocks::new(slots * unit)?;
        let all = libc::iovec { iov_base: buffers.base().cast(), iov_len: slots * unit };
        let submitter = ring.submitter();
        submitter.register_files(&[file.as_raw_fd()]).map_err(Error::while_(doing))?;
        // SAFETY: the buffers live as long as the ring (invariants), and at one address.
        unsafe { submitter.register_buffers(&[all]) }
            .map_err(Error::while_("registering buffers (is `ulimit -l` too low?)"))?;
        Ok(Self { ring, buffers, busy: vec![false; slots], unit })
    }

    /// Prepares a read of `len` bytes from `offset` on, into the buffer of a slot that is idle.
    #[inline]
    pub fn prepare(&mut self, slot: usize, offset: u64, len: usize) {
        assert!(!std::mem::replace(&mut self.busy[slot], true) && len <= self.unit);
        let buffer = self.buffers.base().wrapping_add(slot * self.unit);
        let read = opcode::ReadFixed::new(types::Fixed(0), buffer, len as u32, 0);
        let entry = read.offset(offset).build().user_data(slot as u64);
        // SAFETY: the buffer is the slot's own until the read has ended (invariants).
        let pushed = unsafe { self.ring.submission().push(&entry) };
        assert!(pushed.is_ok(), "no more on their way than the ring was made for");
    }

    /// Hands over what was prepared, and waits until so many have ended.
    #[inline]
    pub fn wait(&mut self, least: usize) -> std::io::Result<()> {
        self.ring.submit_and_wait(least).map(drop)
    }

    /// Calls `ended` with the slot and the result of each read that has ended.
    #[inline]
    pub fn ended(&mut self, mut ended: impl FnMut(usize, i32)) {
        for entry in self.ring.completion() {
            let slot = entry.user_data() as usize;
            self.busy[slot] = false;
            ended(slot, entry.result());
        }
    }

    /// The bytes of a slot that is idle.
    pub fn bytes(&self, slot: usize) -> &[u8] {
        assert!(!self.busy[slot], "on its way");
        &self.buffers.bytes()[slot * self.unit..][..self.unit]
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel must not write to buffers that are somebody else's by then.
        while self.busy.iter().any(|busy| *busy) {
            let waiting = self.busy.iter().filter(|busy| **busy).count();
            if self.wait(waiting).is_err() {
                // Nothing more is known of them: their buffers stay theirs.
                let Ok(none) = Blocks::new(0) else { std::process::abort() };
                std::mem::forget(std::mem::replace(&mut self.buffers, none));
                return;
            }
            self.ended(|_, _| ());
        }
    }
}

/// Reads of a file in batches, as many as a ring has slots.
#[derive(Debug)]
pub struct Batched<'f> {
    /// What is read.
    pub file: &'f File,
    /// How many at a time.
    pub batch: usize,
}

/// A ring, and how many reads are prepared.
type Own = (Ring, usize);

impl Batched<'_> {
    #[inline(always)]
    fn read(&self, hand: &mut Hand, own: &mut Own, page: u64, at: usize, len: usize) {
        let (ring, prepared) = own;
        ring.prepare(*prepared, page * PAGE_SIZE as u64 + at as u64, len);
        *prepared += 1;
        if *prepared < self.batch {
            return;
        }
        *prepared = 0;
        let mut wrong = ring.wait(self.batch).is_err();
        ring.ended(|_, result| wrong |= result != len as i32);
        if wrong {
            hand.fail();
        }
    }
}

impl Reach for Batched<'_> {
    type Own = Own;

    fn own(&self) -> Result<Own> {
        Ok((Ring::new(self.file, self.batch, PAGE_SIZE)?, 0))
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, own: &mut Own, page: u64, at: usize) {
        self.read(hand, own, page, at, 64);
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, own: &mut Own, page: u64) {
        self.read(hand, own, page, 0, PAGE_SIZE);
    }
}
