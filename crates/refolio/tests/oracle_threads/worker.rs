//! A worker of the crowd: writes its own blocks, and reads everybody's.

use fastrand::Rng;
use refolio::{Error, File, PAGE_SIZE, PageIndex, ReadAt, Sharing, View, Vpn};

use super::crowd::{Crowd, PER_PAGE};
use crate::record::{BLOCK, decode, encode};

/// Pages of a worker's anonymous memory.
pub const ANONYMOUS: usize = 10;

/// Pages of its private view.
pub const PRIVATE: usize = 8;

pub struct Worker<'a> {
    crowd: &'a Crowd,
    n: usize,
    rng: Rng,
    memory: View,
    memory_holds: Vec<u8>,
    private: View,
    /// Where the private view begins, and the pages of its own.
    private_first: u64,
    private_holds: Vec<Option<Vec<u8>>>,
}

impl<'a> Worker<'a> {
    pub fn new(crowd: &'a Crowd, n: usize, mut rng: Rng) -> Self {
        let private_first = rng.u64(..crowd.pages - PRIVATE as u64);
        let range = private_first..private_first + PRIVATE as u64;
        Self {
            crowd,
            n,
            memory: crowd.cache.anonymous(ANONYMOUS as u64, rng.u32(0..=3)).unwrap(),
            memory_holds: vec![0; ANONYMOUS * PAGE_SIZE],
            private: crowd.handles[0].view(range, Sharing::Private).unwrap(),
            private_first,
            private_holds: vec![None; PRIVATE],
            rng,
        }
    }

    pub fn step(&mut self) {
        match self.rng.u8(..100) {
            0..25 => self.read_one(),
            25..33 => self.read_run(),
            33..58 => drop(self.write_run()),
            58..68 => self.write_in_view(),
            68..75 => self.guard(),
            75..82 => self.pin(),
            82..86 => self.pin_in_view(),
            86..94 => self.use_memory(),
            94..99 => self.use_private(),
            _ => self.reopen(),
        }
    }

    fn file(&mut self) -> &'a File {
        self.crowd.file(&mut self.rng)
    }

    fn any_block(&mut self) -> usize {
        let blocks = self.crowd.blocks();
        // Some are asked for often, so that threads meet.
        if self.rng.bool() { self.rng.usize(..blocks.min(64)) } else { self.rng.usize(..blocks) }
    }

    /// The first of a stripe of this worker's blocks, if there is one near.
    fn own_block(&mut self) -> Option<usize> {
        let block = self.any_block() / self.crowd.stripe / self.crowd.workers;
        let block = (block * self.crowd.workers + self.n) * self.crowd.stripe;
        (block < self.crowd.blocks()).then_some(block)
    }

    fn read_one(&mut self) {
        let block = self.any_block();
        let (mut bytes, offset) = ([0; BLOCK], (block * BLOCK) as u64);
        let acknowledged = self.crowd.generations.acknowledged(block);
        let how = if self.rng.u8(..3) == 0 {
            self.crowd.shared.read(&mut bytes, offset).unwrap();
            "a read of the shared view"
        } else {
            assert_eq!(self.file().read_at(&mut bytes, offset).unwrap(), BLOCK);
            "a read"
        };
        self.crowd.generations.check(block, acknowledged, &bytes, how);
    }

    fn read_run(&mut self) {
        let first = self.any_block();
        let count = self.rng.usize(1..40).min(self.crowd.blocks() - first);
        let known: Vec<_> = (first..first + count)
            .map(|block| self.crowd.generations.acknowledged(block))
            .collect();
        let mut bytes = vec![0; count * BLOCK];
        if self.rng.bool() {
            self.file().read_at(&mut bytes, (first * BLOCK) as u64).unwrap();
        } else {
            let blocks = (first..).zip(bytes.chunks_mut(BLOCK));
            let mut reads: Vec<_> =
                blocks.map(|(at, into)| ReadAt::new((at * BLOCK) as u64, into)).collect();
            self.rng.shuffle(&mut reads);
            self.file().read_many(&mut reads).unwrap();
            assert!(reads.iter().all(|read| read.done() == BLOCK));
        }
        for ((block, known), bytes) in (first..).zip(known).zip(bytes.chunks(BLOCK)) {
            self.crowd.generations.check(block, known, bytes, "a read of many");
        }
    }

    /// Writes a stripe; false when a pin was in the way and this thread holds pins, too.
    fn write_run(&mut self) -> bool {
        let Some(first) = self.own_block() else { return true };
        let end = (first + self.rng.usize(1..=self.crowd.stripe)).min(self.crowd.blocks());
        let generations = &self.crowd.generations;
        let begun: Vec<_> = (first..end).map(|block| generations.begin(block)).collect();
        let bytes: Vec<u8> = (first..end)
            .zip(&begun)
            .flat_map(|(block, generation)| encode(block as u64, *generation, self.n as u64))
            .collect();
        match self.file().write_at(&bytes, (first * BLOCK) as u64).map_err(|error| *error) {
            Ok(()) => {
                for (block, generation) in (first..end).zip(begun) {
                    generations.acknowledge(block, generation);
                }
                true
            }
            Err(Error::Held { holders }) => {
                assert!(!holders.is_empty());
                false
            }
            Err(other) => panic!("a write: {other}"),
        }
    }

    fn write_in_view(&mut self) {
        let Some(block) = self.own_block() else { return };
        let generation = self.crowd.generations.begin(block);
        let bytes = encode(block as u64, generation, self.n as u64);
        self.crowd.shared.write(&bytes, (block * BLOCK) as u64).unwrap();
        self.crowd.generations.acknowledge(block, generation);
    }

    /// A page in hand: nobody else's blocks change, and its own become new.
    fn guard(&mut self) {
        let Some(block) = self.own_block() else { return };
        let (page, within) = (block / PER_PAGE, block % PER_PAGE * BLOCK);
        let known = self.known(page);
        let mut guard = self.file().page_mut(PageIndex(page as u64)).unwrap();
        let mut bytes = vec![0; PAGE_SIZE];
        guard.read(0, &mut bytes);
        self.check_page(page, &known, &bytes, "a page in hand");
        let generation = self.crowd.generations.begin(block);
        guard.write(within, &encode(block as u64, generation, self.n as u64));
        if self.rng.u8(..4) == 0 {
            guard.set_private(self.rng.bool().then_some(block as u64));
        }
        if self.rng.u8(..4) == 0 {
            // Whoever has a page in hand may read others, or is told to let go first.
            let block = self.any_block();
            let acknowledged = self.crowd.generations.acknowledged(block);
            let mut other = [0; BLOCK];
            match self.file().read_at(&mut other, (block * BLOCK) as u64) {
                Ok(_) => drop(self.crowd.generations.check(block, acknowledged, &other, "beside")),
                Err(error) => assert!(matches!(*error, Error::GuardHeld { .. }), "{error}"),
            }
        }
        let mut again = vec![0; PAGE_SIZE];
        guard.read(0, &mut again);
        bytes[within..within + BLOCK].copy_from_slice(&again[within..within + BLOCK]);
        assert!(bytes == again, "somebody wrote a page that was in another's hands");
        drop(guard);
        self.crowd.generations.acknowledge(block, generation);
    }

    /// The oldest generations allowed on a page from now on.
    fn known(&self, page: usize) -> Vec<u64> {
        let blocks = page * PER_PAGE..(page + 1) * PER_PAGE;
        blocks.map(|block| self.crowd.generations.acknowledged(block)).collect()
    }

    fn check_page(&self, page: usize, known: &[u64], bytes: &[u8], how: &str) {
        for (n, (bytes, known)) in bytes.chunks(BLOCK).zip(known).enumerate() {
            self.crowd.generations.check(page * PER_PAGE + n, *known, bytes, how);
        }
    }

    /// A pinned page stands still, whatever this thread and the others do.
    fn pin(&mut self) {
        let page = self.any_block() / PER_PAGE;
        let known = self.known(page);
        let pin = self.file().page(PageIndex(page as u64)).unwrap();
        self.check_page(page, &known, &pin, "a pin");
        let (copy, node) = (pin.to_vec(), pin.node());
        for _ in 0..self.rng.u8(..4) {
            match self.rng.u8(..3) {
                0 => self.read_one(),
                1 => self.read_run(),
                _ => drop(self.write_run()),
            }
            assert!(pin[..] == copy[..], "a pinned page changed");
        }
        assert_eq!(pin.node(), node);
        assert!(pin[..] == copy[..], "a pinned page changed");
    }

    fn pin_in_view(&mut self) {
        let page = self.any_block() / PER_PAGE;
        let known = self.known(page);
        let pin = self.crowd.shared.pin(Vpn(page as u64)).unwrap();
        self.check_page(page, &known, &pin, "a pin of the shared view");
        let copy = pin.to_vec();
        self.write_run();
        assert!(pin[..] == copy[..], "a pinned page changed");
    }

    /// Memory that nobody else knows is as its one writer left it.
    fn use_memory(&mut self) {
        let offset = self.rng.usize(..self.memory_holds.len());
        let len = self.rng.usize(1..3 * PAGE_SIZE).min(self.memory_holds.len() - offset);
        match self.rng.u8(..8) {
            0..4 => {
                let mut bytes = vec![0; len];
                self.memory.read(&mut bytes, offset as u64).unwrap();
                assert!(bytes == self.memory_holds[offset..offset + len], "anonymous memory");
            }
            4..7 => {
                let piece = &mut self.memory_holds[offset..offset + len];
                self.rng.fill(piece);
                self.memory.write(piece, offset as u64).unwrap();
            }
            _ => {
                let page = self.rng.usize(..ANONYMOUS);
                self.memory.discard(page as u64..page as u64 + 1).unwrap();
                self.memory_holds[page * PAGE_SIZE..][..PAGE_SIZE].fill(0);
            }
        }
    }

    /// A private view shows the file until it is written, and after that its own pages.
    fn use_private(&mut self) {
        let at = self.rng.usize(..self.private_holds.len());
        let page = self.private_first as usize + at;
        let known = self.known(page);
        let mut bytes = vec![0; PAGE_SIZE];
        let offset = (at * PAGE_SIZE) as u64;
        match self.rng.u8(..8) {
            0 => {
                self.private.discard(at as u64..at as u64 + 1).unwrap();
                self.private_holds[at] = None;
            }
            1..4 => {
                let within = self.rng.usize(..PER_PAGE) * BLOCK;
                let mut new = [0; BLOCK];
                self.rng.fill(&mut new);
                self.private.write(&new, offset + within as u64).unwrap();
                self.private.read(&mut bytes, offset).unwrap();
                assert!(bytes[within..within + BLOCK] == new, "a private page lost a write");
                if let Some(holds) = &mut self.private_holds[at] {
                    holds[within..within + BLOCK].copy_from_slice(&new);
                    assert!(bytes == *holds, "a private page changed");
                } else {
                    let own = within / BLOCK;
                    for (n, bytes) in bytes.chunks(BLOCK).enumerate().filter(|(n, _)| *n != own) {
                        let block = page * PER_PAGE + n;
                        self.crowd.generations.check(block, known[n], bytes, "a private copy");
                    }
                    self.private_holds[at] = Some(bytes);
                }
            }
            _ => {
                self.private.read(&mut bytes, offset).unwrap();
                match &self.private_holds[at] {
                    Some(holds) => assert!(bytes == *holds, "a private page changed"),
                    None => self.check_page(page, &known, &bytes, "a private view"),
                }
            }
        }
    }

    /// A handle comes and goes.
    fn reopen(&mut self) {
        let Some(file) = self.crowd.another() else { return };
        let block = self.any_block();
        let mut bytes = [0; BLOCK];
        file.read_at(&mut bytes, (block * BLOCK) as u64).unwrap();
        decode(block as u64, &bytes).unwrap();
        if self.rng.bool() {
            file.close().unwrap();
        }
    }
}
