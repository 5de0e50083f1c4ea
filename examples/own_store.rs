//! A store of one's own: pages that are kept XORed with a key.
//!
//! `cargo run --example own_store`

use std::io::{self, IoSlice};

use refolio::{Cache, FillBuf, MemStore, NodeOptions, OpenOptions, Store};

/// Hides the bytes of another store.
struct Scrambled<S> {
    inner: S,
    key: u8,
}

impl<S: Store> Store for Scrambled<S> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, into: &mut FillBuf<'_>) -> io::Result<usize> {
        // What a store is given to fill may be looked at by readers that are late: it is written to
        // by its methods only, never as a slice. A buffer of our own is in between.
        let mut bytes = vec![0; into.len()];
        let n = self.inner.read(offset, &mut FillBuf::over(&mut bytes))?;
        bytes.iter_mut().for_each(|byte| *byte ^= self.key);
        into.write(0, &bytes[..n]);
        Ok(n)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter()).map(|b| b ^ self.key).collect();
        self.inner.write(offset, &[IoSlice::new(&bytes)])
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}

fn main() -> refolio::Result<()> {
    let cache =
        Cache::builder().node(NodeOptions::new(1 << 20)).node(NodeOptions::new(1 << 20)).build()?;
    let kept = MemStore::new();
    let store = Scrambled { inner: kept.clone(), key: 0x5a };
    let file = cache.open_store(store, &OpenOptions::new())?;
    file.write_at(b"plain in the cache", 0)?;
    file.sync()?;
    let mut bytes = [0; 18];
    file.read_at(&mut bytes, 0)?;
    println!("in the cache: {}", String::from_utf8_lossy(&bytes));
    println!("in the store: {:02x?}", &kept.bytes()[..18]);
    assert_ne!(&kept.bytes()[..18], &bytes);
    Ok(())
}
