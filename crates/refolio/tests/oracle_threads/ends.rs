//! The others of the crowd: who moves pages about, and who changes the file's end.

use std::time::{Duration, Instant};

use fastrand::Rng;
use refolio::{Error, File, Form, Migrate, Mode, NodeId, PAGE_SIZE, PageIndex, Report};

use super::crowd::Crowd;
use crate::bytes::{put, same};

/// Folios that a mover has in hand at a time, at most.
pub const MOVED: usize = 8;

/// Migrates, drains, evicts and syncs at random.
pub struct Mover<'a> {
    crowd: &'a Crowd,
    rng: Rng,
}

impl<'a> Mover<'a> {
    pub fn new(crowd: &'a Crowd, rng: Rng) -> Self {
        Self { crowd, rng }
    }

    pub fn step(&mut self) {
        let (crowd, node) = (self.crowd, NodeId(self.rng.usize(..self.crowd.nodes) as u8));
        let first = self.rng.u64(..crowd.pages);
        let range = first..first + self.rng.u64(1..60);
        let file = crowd.file(&mut self.rng);
        let how = self.how();
        match self.rng.u8(..40) {
            0..16 => moved(file.migrate(range, node, &how)),
            16..20 => moved(crowd.shared.migrate(range, node, &how)),
            20..26 => {
                let from = NodeId(self.rng.usize(..crowd.nodes) as u8);
                moved(crowd.cache.migrate(from, node, &how));
            }
            26..28 => drop(file.would_move(range, node).unwrap()),
            28..30 => moved(crowd.cache.drain(node, &how)),
            30..34 => crowd.cache.undrain(node).unwrap(),
            34 => drop(file.evict(range).unwrap()),
            35..37 => file.sync().unwrap(),
            37 => crowd.cache.write_back().unwrap(),
            38 => crowd.shared.discard(range).unwrap(),
            _ => drop(file.load(first..first + 20).unwrap()),
        }
    }

    fn how(&mut self) -> Migrate<'static> {
        let soon = Instant::now() + Duration::from_micros(300);
        let modes = [Mode::Async, Mode::Light, Mode::Sync, Mode::Until(soon)];
        let batch = *self.rng.choice([1, 4, MOVED].iter()).unwrap();
        Migrate::new()
            .mode(*self.rng.choice(modes.iter()).unwrap())
            .form(*self.rng.choice(Form::ALL.iter()).unwrap())
            .batch(batch)
    }
}

/// A node that is out of use is the one reason to refuse.
fn moved(result: refolio::Result<Report>) {
    match result.map_err(|error| *error) {
        Ok(_) | Err(Error::Node { .. }) => {}
        Err(other) => panic!("a mover: {other}"),
    }
}

/// Pages that the tail may have.
const TAIL: usize = 60;

/// Has what lies behind the records to itself: writes it, cuts it off, punches holes into it.
pub struct Tail<'a> {
    crowd: &'a Crowd,
    rng: Rng,
    start: usize,
    holds: Vec<u8>,
}

impl<'a> Tail<'a> {
    pub fn new(crowd: &'a Crowd, rng: Rng) -> Self {
        Self { crowd, rng, start: crowd.pages as usize * PAGE_SIZE, holds: Vec::new() }
    }

    pub fn step(&mut self) {
        let file = self.crowd.file(&mut self.rng);
        let offset = self.rng.usize(..TAIL * PAGE_SIZE);
        let at = (self.start + offset) as u64;
        match self.rng.u8(..10) {
            0..4 => {
                let mut bytes = vec![0; self.rng.usize(1..3 * PAGE_SIZE)];
                self.rng.fill(&mut bytes);
                file.write_at(&bytes, at).unwrap();
                put(&mut self.holds, offset, &bytes);
            }
            4..6 => {
                file.set_len(at).unwrap();
                self.holds.resize(offset, 0);
            }
            6 => {
                let len = self.rng.usize(1..10 * PAGE_SIZE);
                file.punch_hole(at, len as u64).unwrap();
                let end = self.holds.len().min(offset + len);
                self.holds[end.min(offset)..end].fill(0);
            }
            7 => self.orphan(file),
            _ => self.compare(file),
        }
        assert_eq!(file.len() as usize, self.start + self.holds.len());
    }

    fn compare(&mut self, file: &File) {
        let offset = self.rng.usize(..=self.holds.len());
        let mut found = vec![0; self.rng.usize(1..20 * PAGE_SIZE)];
        let got = file.read_at(&mut found, (self.start + offset) as u64).unwrap();
        let expected = &self.holds[offset..];
        assert_eq!(got, expected.len().min(found.len()), "the tail, from {offset} on");
        same(&found[..got], &expected[..got], "the tail");
    }

    /// A pin outlives what it pins.
    fn orphan(&mut self, file: &File) {
        let pages = self.holds.len() / PAGE_SIZE;
        if pages == 0 {
            return;
        }
        let page = self.rng.usize(..pages);
        let pin = file.page(PageIndex((self.crowd.pages as usize + page) as u64)).unwrap();
        same(&pin, &self.holds[page * PAGE_SIZE..][..PAGE_SIZE], "a pin of the tail");
        let copy = pin.to_vec();
        file.set_len((self.start + page * PAGE_SIZE) as u64).unwrap();
        self.holds.truncate(page * PAGE_SIZE);
        std::thread::yield_now();
        assert!(pin[..] == copy[..], "a page that was cut off changed under its pin");
    }
}
