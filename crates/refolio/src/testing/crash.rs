//! A store that forgets what was not synced.

use crate::frame::FillBuf;
use crate::store::{MemStore, Store};
use crate::sync::Mutex;
use std::io::{self, IoSlice};

/// A store in memory that remembers what of it is durable, and so what a crash could leave.
///
/// ```
/// use refolio::testing::CrashStore;
/// use refolio::Store;
/// use std::io::IoSlice;
///
/// let store = CrashStore::new(Vec::new());
/// store.write(0, &[IoSlice::new(b"old")])?;
/// store.sync()?;
/// store.write(0, &[IoSlice::new(b"new")])?;
/// assert_eq!(store.durable(), b"old");
/// let lucky = (0..20).filter(|seed| store.after_crash(*seed) == b"new").count();
/// assert!(lucky > 0 && lucky < 20);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct CrashStore {
    live: MemStore,
    durable: Mutex<Vec<u8>>,
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

impl CrashStore {
    /// A store that holds `bytes`, durably.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { live: MemStore::with_bytes(bytes.clone()), durable: Mutex::new(bytes) }
    }

    /// What the store holds now.
    pub fn live(&self) -> Vec<u8> {
        self.live.bytes()
    }

    /// What the store held at the last sync: what a crash leaves of it if nothing that was written
    /// since has made it to the disk.
    pub fn durable(&self) -> Vec<u8> {
        self.durable.lock().clone()
    }

    /// What a crash leaves of it, at random by `seed`: each sector of 512 bytes, and the length, as
    /// of now or as of the last sync.
    pub fn after_crash(&self, seed: u64) -> Vec<u8> {
        let (live, durable) = (self.live(), self.durable());
        let mut random = seed;
        let mut survives = || {
            // splitmix64: one bit per question is all it takes.
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = (random ^ random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (bits ^ bits >> 31) & 1 == 1
        };
        let len = if survives() { live.len() } else { durable.len() };
        let mut left = vec![0; len];
        for (index, sector) in left.chunks_mut(SECTOR).enumerate() {
            let from = if survives() { &live } else { &durable };
            let from = from.get(index * SECTOR..).unwrap_or_default();
            let known = from.len().min(sector.len());
            sector[..known].copy_from_slice(&from[..known]);
        }
        left
    }
}

impl Store for CrashStore {
    fn len(&self) -> io::Result<u64> {
        self.live.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        self.live.read(offset, into)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.live.write(offset, bufs)
    }

    fn sync(&self) -> io::Result<()> {
        // Under the lock, so that of two syncs the later one counts.
        let mut durable = self.durable.lock();
        *durable = self.live.bytes();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.live.set_len(len)
    }

    fn name(&self) -> String {
        "memory that may crash".into()
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;

    #[test]
    fn a_crash_leaves_whole_sectors_old_or_new() {
        let store = CrashStore::new(vec![1; 3 * SECTOR]);
        store.write(0, &[IoSlice::new(&[2; 5 * SECTOR])]).unwrap();
        let (mut old, mut new, mut lens) = (0, 0, Vec::new());
        for seed in 0..64 {
            let left = store.after_crash(seed);
            for (index, sector) in left.chunks(SECTOR).enumerate() {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
                match (index, sector[0]) {
                    (0..3, 1) | (3.., 0) => old += 1,
                    (_, 2) => new += 1,
                    other => panic!("{other:?} was never written"),
                }
            }
            lens.push(left.len() / SECTOR);
        }
        assert!(old > 50 && new > 50 && lens.contains(&3) && lens.contains(&5));
        store.sync().unwrap();
        assert!((0..64).all(|seed| store.after_crash(seed) == [2; 5 * SECTOR]));
    }
}
