//! What one would use instead of Refolio to keep pages in memory: each behind [`Peer`], filled with
//! all pages of a file, so that every look is a hit. And one that keeps them on a disk, too:
//! [`disk`].
//!
//! Each is set up as its own documentation has it for reads by many threads. Pages are values of
//! 4 KiB of their own on the heap, as these libraries hold them. Maps that hand out a guard hold a
//! `Box`; caches that hand out a clone hold an `Arc`, so that no page is copied by a look.

mod dashmap;
pub mod disk;
mod foyer;
mod moka;
mod papaya;
mod quick_cache;

pub use dashmap::DashMap;
pub use foyer::Foyer;
pub use moka::Moka;
pub use papaya::Papaya;
pub use quick_cache::QuickCache;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// A page.
pub type Page = [u8; PAGE];

/// A page of a file: what users of a page cache would take for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which file.
    pub file: u32,
    /// Which of its pages.
    pub page: u64,
}

impl Key {
    /// Of the one file that there is here.
    pub fn of(page: u64) -> Self {
        Self { file: 1, page }
    }
}

/// Something that keeps pages by key, for many threads at a time.
pub trait Peer: Sized + Send + Sync {
    /// What it is called, with what matters of its configuration.
    const NAME: &'static str;

    /// Holds the pages `0..pages` (and has room for as many again, so that it evicts none).
    ///
    /// # Errors
    /// One line, when it did not keep all of them.
    fn filled(pages: u64, content: &dyn Fn(u64) -> Page) -> Result<Self, String>;

    /// Looks at a page; None when it is not there.
    fn with<R>(&self, page: u64, look: impl FnOnce(&Page) -> R) -> Option<R>;
}

/// An error when not all pages are there.
fn all_there(name: &str, kept: u64, pages: u64) -> Result<(), String> {
    match kept == pages {
        true => Ok(()),
        false => Err(format!("{name} has kept {kept} of {pages} pages")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(page: u64) -> Page {
        let mut bytes = [7; PAGE];
        bytes[..8].copy_from_slice(&page.to_le_bytes());
        bytes
    }

    fn keeps_all<P: Peer>() {
        let peer = P::filled(1000, &content).unwrap();
        for page in 0..1000 {
            assert_eq!(peer.with(page, |bytes| *bytes == content(page)), Some(true), "{}", P::NAME);
        }
        assert_eq!(peer.with(1000, |_| ()), None, "{}", P::NAME);
    }

    #[test]
    fn every_peer_keeps_all_pages_and_no_other() {
        keeps_all::<DashMap>();
        keeps_all::<Foyer>();
        keeps_all::<Moka>();
        keeps_all::<Papaya>();
        keeps_all::<QuickCache>();
    }
}
