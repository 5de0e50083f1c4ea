//! What the device can do: the same reads and writes without a cache, by `O_DIRECT`.

#![allow(unsafe_code)] // A buffer that the kernel writes.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use io_uring::{IoUring, opcode, types};

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// An open file, and aligned memory for what is read from it.
pub struct Raw {
    file: File,
    ring: IoUring,
    memory: *mut u8,
    len: usize,
}

impl Raw {
    /// Opens a file past the system's page cache, with so much memory.
    pub fn open(path: &Path, len: usize) -> Self {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_DIRECT);
        let file = options.open(path).expect("a file that can be opened with O_DIRECT");
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
        let flags = flags | libc::MAP_ANONYMOUS;
        let mapped = len + HUGE;
        // SAFETY: a new mapping, at an address of the kernel's choice; the advice changes no byte,
        // and all that is written is within the mapping.
        let memory = unsafe {
            let map = libc::mmap(std::ptr::null_mut(), mapped, prot, flags, -1, 0);
            assert!(map != libc::MAP_FAILED, "memory for {len} bytes");
            let memory = map.cast::<u8>().wrapping_add(map.cast::<u8>().align_offset(HUGE));
            // As the frames of a cache; without huge pages a device gets many small pieces.
            libc::madvise(memory.cast(), len, libc::MADV_HUGEPAGE);
            memory.write_bytes(1, len);
            memory
        };
        let ring = IoUring::new(256).expect("io_uring");
        Self { file, ring, memory, len }
    }

    /// Reads `bytes` at each of the offsets, of which `depth` are in flight at any time.
    pub fn read_sliding(&mut self, offsets: &[u64], bytes: usize, depth: usize) {
        assert!(depth * bytes <= self.len);
        let (mut vacant, mut next, mut done) = ((0..depth).collect::<Vec<_>>(), 0, 0);
        while done < offsets.len() {
            while next < offsets.len()
                && let Some(place) = vacant.pop()
            {
                self.push(offsets[next], bytes, place);
                next += 1;
            }
            self.ring.submit_and_wait(1).expect("io_uring_enter");
            for completion in self.ring.completion() {
                assert_eq!(completion.result(), bytes as i32, "bytes read");
                vacant.push(completion.user_data() as usize);
                done += 1;
            }
        }
    }

    /// Reads `bytes` at each of the offsets, `depth` at a time, each time until all are there.
    pub fn read_batches(&mut self, offsets: &[u64], bytes: usize, depth: usize) {
        for batch in offsets.chunks(depth) {
            for (place, offset) in batch.iter().enumerate() {
                self.push(*offset, bytes, place);
            }
            self.ring.submit_and_wait(batch.len()).expect("io_uring_enter");
            for completion in self.ring.completion() {
                assert_eq!(completion.result(), bytes as i32, "bytes read");
            }
        }
    }

    fn push(&mut self, offset: u64, bytes: usize, place: usize) {
        let fd = types::Fd(self.file.as_raw_fd());
        let into = self.memory.wrapping_add(place * bytes);
        let read = opcode::Read::new(fd, into, bytes as u32).offset(offset).build();
        // SAFETY: within the mapping, which is there for this only, and until all has completed.
        let pushed = unsafe { self.ring.submission().push(&read.user_data(place as u64)) };
        pushed.expect("room in the ring");
    }

    /// Overwrites the first `bytes` of the file, `piece` at a time, and syncs.
    pub fn write(&self, bytes: u64, piece: usize) {
        // SAFETY: within the mapping; nothing is being read.
        let from = unsafe { std::slice::from_raw_parts(self.memory, piece) };
        for offset in (0..bytes).step_by(piece) {
            self.file.write_all_at(from, offset).expect("a write");
        }
        self.file.sync_data().expect("a sync");
    }
}
