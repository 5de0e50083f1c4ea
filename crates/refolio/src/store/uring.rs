//! Many reads of a file in flight at a time, by io_uring.
//!
//! The thread that reads submits and waits; there is no other one, so nothing runs when nothing is
//! read. Rings are kept for the next reader, whoever it is; one is used by one thread at a time.

#![allow(unsafe_code)] // The room of reads in flight: see `InFlight`.

use super::batch::BatchRead;
use super::run::{Run, Runs};
use super::scatter::Pieces;
use crate::sync::plain::{self, Mutex};
use io_uring::{IoUring, opcode, squeue, types};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Runs in flight at most: more than disks have use for.
const DEPTH: usize = 128;

/// Bytes in flight beyond which no further run is begun.
const MAX_BYTES: usize = 2 << 20;

/// Bytes of one run at most: large enough for a disk, small enough that the first ones are on their
/// way while the others are prepared.
pub(super) const RUN_BYTES: u64 = 256 << 10;

/// Runs that are submitted together, while others are still being prepared.
const TOGETHER: usize = 8;

/// Bytes that are not held back for that.
const TOGETHER_BYTES: usize = 64 << 10;

/// Rings that nobody uses.
static IDLE: Mutex<Vec<IoUring>> = Mutex::new(Vec::new());

/// Rings that are kept at most.
const MAX_IDLE: usize = 16;

/// Whether the kernel lets this process have a ring.
pub(super) fn probe() -> io::Result<()> {
    give_back(take()?);
    Ok(())
}

fn take() -> io::Result<IoUring> {
    let idle = plain::lock(&IDLE).pop();
    // Its completion queue has twice as many entries, so it cannot overflow.
    idle.map_or_else(|| IoUring::new(DEPTH as u32), Ok)
}

/// Keeps a ring of which nothing is in flight.
fn give_back(ring: IoUring) {
    let mut idle = plain::lock(&IDLE);
    if idle.len() < MAX_IDLE {
        idle.push(ring);
    }
}

/// Reads all runs of a batch from `fd`, as far as they are `fit` for it.
///
/// Where the system has no further ring (too many files are open, say), the runs are read one after
/// the other, and a warning says so.
pub(super) fn read<'a>(
    fd: BorrowedFd<'_>,
    runs: &mut Runs<'_, 'a>,
    fits: impl Fn(&mut BatchRead<'a>) -> bool + Copy,
    alone: impl Fn(&mut BatchRead<'a>) -> io::Result<usize> + Copy,
) {
    let Some(first) = runs.next(fits, alone) else { return };
    let mut ring = match take() {
        Ok(ring) => ring,
        Err(error) => {
            tracing::warn!(%error, "no further ring for io_uring: reads go one after the other");
            let mut next = Some(first);
            while let Some(mut run) = next {
                let result = Pieces::of(&mut run).read(fd, run.offset());
                runs.answer(run, result);
                next = runs.next(fits, alone);
            }
            return;
        }
    };
    let mut flight = InFlight::new(&mut ring, fd);
    flight.begin(first);
    let mut more = true;
    let mut finished = Vec::new();
    loop {
        // Before what came is answered, so that the disk is not idle meanwhile.
        while more && flight.has_room() {
            match runs.next(fits, alone) {
                Some(run) => flight.begin(run),
                None => more = false,
            }
        }
        if !finished.is_empty() {
            finished.drain(..).for_each(|(run, result)| runs.answer(run, result));
            more = true;
            continue;
        }
        if flight.count == 0 {
            break;
        }
        flight.wait(1);
        finished.extend(std::iter::from_fn(|| flight.finished()));
    }
    drop(flight);
    give_back(ring);
}

/// One read in flight.
struct Reading<'a> {
    run: Run<'a>,
    /// Never looked at again; the kernel may do, until the read is completed.
    _pieces: Pieces<'a>,
}

/// The reads in flight of one ring.
///
/// # Invariants
/// - A submitted read whose completion was not seen is in `readings`, at the place that its
///   `user_data` names: its pieces stand still, and their memory is writable.
/// - `count` is the number of those that were pushed and not seen to complete. It is 0 before the
///   places are given up: `drop` waits for that, also when a panic unwinds. (The ring borrows from
///   a caller that does not lend it out before. No one can forget this struct: it never leaves
///   [`read`].)
struct InFlight<'r, 'a> {
    ring: &'r mut IoUring,
    fd: BorrowedFd<'r>,
    readings: Vec<Option<Reading<'a>>>,
    vacant: Vec<usize>,
    count: usize,
    bytes: usize,
    unsubmitted: usize,
    unsubmitted_bytes: usize,
}

impl<'r, 'a> InFlight<'r, 'a> {
    fn new(ring: &'r mut IoUring, fd: BorrowedFd<'r>) -> Self {
        let (readings, vacant) = (Vec::with_capacity(DEPTH), Vec::with_capacity(DEPTH));
        Self {
            ring,
            fd,
            readings,
            vacant,
            count: 0,
            bytes: 0,
            unsubmitted: 0,
            unsubmitted_bytes: 0,
        }
    }

    fn has_room(&self) -> bool {
        self.count < DEPTH && self.bytes < MAX_BYTES
    }

    /// Begins to read a run. There is room.
    fn begin(&mut self, mut run: Run<'a>) {
        let pieces = Pieces::of(&mut run);
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.readings.push(None);
            self.readings.len() - 1
        });
        let entry = self.entry(&pieces, run.offset()).user_data(place as u64);
        self.bytes += pieces.len();
        self.unsubmitted_bytes += pieces.len();
        self.readings[place] = Some(Reading { run, _pieces: pieces });
        // SAFETY: the pieces and their memory stay in `readings` until this read has completed
        // (invariants).
        let pushed = unsafe { self.ring.submission().push(&entry) };
        // The queue has DEPTH entries, and no more are in flight.
        assert!(pushed.is_ok(), "the submission queue is full");
        self.count += 1;
        self.unsubmitted += 1;
        if self.unsubmitted == TOGETHER || self.unsubmitted_bytes >= TOGETHER_BYTES {
            self.wait(0);
        }
    }

    fn entry(&self, pieces: &Pieces<'a>, offset: u64) -> squeue::Entry {
        let fd = types::Fd(self.fd.as_raw_fd());
        match pieces.as_slice() {
            [one] => opcode::Read::new(fd, one.iov_base.cast(), one.iov_len as u32)
                .offset(offset)
                .build(),
            many => opcode::Readv::new(fd, many.as_ptr(), many.len() as u32).offset(offset).build(),
        }
    }

    /// Submits, and waits for `wanted` completions.
    fn wait(&mut self, wanted: usize) {
        loop {
            match self.ring.submit_and_wait(wanted.min(self.count)) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel is short of memory for now, or has completions to be fetched first.
                // What has been submitted completes all the same.
                Err(error) => {
                    tracing::debug!(%error, "io_uring_enter");
                    if !self.ring.completion().is_empty() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        (self.unsubmitted, self.unsubmitted_bytes) = (0, 0);
    }

    /// A run that has completed, and how many bytes were read.
    fn finished(&mut self) -> Option<(Run<'a>, io::Result<usize>)> {
        let completion = self.ring.completion().next()?;
        let place = completion.user_data() as usize;
        let Reading { mut run, _pieces } = self.readings.get_mut(place)?.take()?;
        self.vacant.push(place);
        self.count -= 1;
        self.bytes -= _pieces.len();
        let result = match completion.result() {
            // As `pread` does: it had not begun.
            code if code == -libc::EINTR || code == -libc::EAGAIN => {
                Pieces::of(&mut run).read(self.fd, run.offset())
            }
            code => usize::try_from(code).map_err(|_| io::Error::from_raw_os_error(-code)),
        };
        Some((run, result))
    }
}

impl Drop for InFlight<'_, '_> {
    fn drop(&mut self) {
        while self.count > 0 {
            self.wait(1);
            while self.finished().is_some() {}
        }
    }
}
