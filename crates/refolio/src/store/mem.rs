//! A store in memory.

use super::Store;
use crate::frame::FillBuf;
use crate::sync::{Arc, RwLock};
use std::fmt;
use std::io::{self, IoSlice};

/// Bytes in memory. Clones share them, so that a test can look at what a cache has written.
///
/// Calls run one after the other, reads beside each other.
///
/// ```
/// use refolio::{FillBuf, MemStore, Store};
/// use std::io::IoSlice;
///
/// let store = MemStore::with_bytes(b"abcdef".to_vec());
/// store.write(8, &[IoSlice::new(b"x"), IoSlice::new(b"yz")])?;
/// assert_eq!(store.bytes(), b"abcdef\0\0xyz");
///
/// let mut page = [0xff; 4];
/// assert_eq!(store.clone().read(9, &mut FillBuf::over(&mut page))?, 2);
/// assert_eq!(&page, b"yz\xff\xff");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct MemStore(Arc<RwLock<Vec<u8>>>);

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds `bytes`.
    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        Self(Arc::new(RwLock::new(bytes)))
    }

    /// A copy of what the store holds now.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.read().clone()
    }
}

impl Store for MemStore {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len() as u64)
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        let bytes = self.0.read();
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let done = rest.len().min(into.len());
        into.write(0, &rest[..done]);
        Ok(done)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        let end = offset.checked_add(len as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.0.write();
        if len > 0 && end > bytes.len() as u64 {
            resize(&mut bytes, end)?;
        }
        let mut at = offset as usize; // No further than `bytes` is long.
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            bytes[at..at + buf.len()].copy_from_slice(buf);
            at += buf.len();
        }
        Ok(len)
    }

    /// Does nothing: memory is as durable as it gets.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        resize(&mut self.0.write(), len)
    }

    fn name(&self) -> String {
        "memory".into()
    }
}

/// Makes `bytes` as long as asked, or says that there is no memory for it.
fn resize(bytes: &mut Vec<u8>, len: u64) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    bytes.try_reserve(len.saturating_sub(bytes.len()))?;
    bytes.resize(len, 0);
    Ok(())
}

impl fmt::Debug for MemStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemStore({} bytes)", self.0.read().len())
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;

    fn read(store: &MemStore, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let done = store.read(offset, &mut FillBuf::over(&mut bytes)).unwrap();
        bytes.truncate(done);
        bytes
    }

    #[test]
    fn reads_end_where_the_store_ends() {
        let store = MemStore::with_bytes(b"0123456789".to_vec());
        assert_eq!(read(&store, 0, 4), b"0123");
        assert_eq!(read(&store, 8, 4), b"89");
        for beyond in [10, 11, u64::MAX] {
            assert_eq!(read(&store, beyond, 4), b"");
        }
    }

    #[test]
    fn writes_lengthen_and_leave_zeros_between() {
        let store = MemStore::new();
        assert_eq!(
            store.write(3, &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")]).unwrap(),
            3
        );
        assert_eq!(store.bytes(), b"\0\0\0abc");
        assert_eq!(store.write(100, &[]).unwrap(), 0);
        assert_eq!(store.len().unwrap(), 6);
    }

    #[test]
    fn an_absurd_length_is_an_error_and_changes_nothing() {
        let store = MemStore::with_bytes(vec![7; 3]);
        assert!(store.set_len(u64::MAX).is_err());
        assert!(store.write(u64::MAX - 1, &[IoSlice::new(b"abc")]).is_err());
        assert!(store.write(1 << 62, &[IoSlice::new(b"abc")]).is_err());
        assert_eq!(store.bytes(), [7; 3]);
    }

    #[test]
    fn a_hole_stays_within_the_store() {
        let store = MemStore::with_bytes(vec![7; 10]);
        store.punch(4, 2).unwrap();
        assert_eq!(store.bytes(), [7, 7, 7, 7, 0, 0, 7, 7, 7, 7]);
        store.punch(8, u64::MAX).unwrap();
        store.punch(50, 1).unwrap();
        assert_eq!(store.bytes(), [7, 7, 7, 7, 0, 0, 7, 7, 0, 0]);
    }

    #[test]
    fn clones_share() {
        let store = MemStore::with_bytes(vec![1; 8]);
        store.clone().set_len(2).unwrap();
        store.set_len(4).unwrap();
        assert_eq!(store.bytes(), [1, 1, 0, 0]);
    }
}
