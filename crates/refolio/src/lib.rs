//! A page cache for Rust programs whose pages can be **moved while they are in use**: between
//! memory nodes, off a node that must be given back, into large contiguous runs.
//!
//! Start with [`Cache`], [`File`] and [`View`]. How it works, and why it is right, is told in
//! [`protocol`]; `ARCHITECTURE.md` in the repository shows the rooms in reading order.

mod clock;
mod sync;
mod trace;
mod units;

mod buddy;
mod errseq;
mod evict;
mod folio;
mod frame;
mod holder;
mod node;
mod store;
mod wait;

mod ahead;
mod error;
mod hand;
mod hint;
mod lru;
mod mapping;
mod registry;
mod shadow;
mod table;

mod core;
mod still;

mod batch;
mod drain;
mod fault;
mod fill;
mod form;
mod many;
mod migrate;
mod passes;
mod place;
mod read;
mod reclaim;
mod report;
mod truncate;
mod watch;
mod write;
mod writeback;
mod zap;

mod builder;
mod cache;
mod file;
mod housekeeper;
mod page;
mod stats;
mod view;

#[doc = include_str!("../protocol.md")]
pub mod protocol {}

#[cfg(all(any(test, feature = "testing"), not(refolio_explore)))]
pub mod testing;

#[cfg(all(feature = "broken", not(refolio_model)))]
pub use refolio_xarray::sync::take_away;

#[cfg(refolio_model)]
pub mod model;

pub use ahead::Advice;
pub use builder::{CacheBuilder, NodeOptions, OpenOptions};
pub use cache::Cache;
pub use core::Why;
pub use error::{Error, Result};
pub use file::File;
pub use form::Form;
pub use frame::{Backing, FillBuf, HugeBacking, HugePages, NumaBacking, ReserveError};
pub use holder::{Holder, HolderKind};
pub use many::ReadAt;
pub use page::{Page, PageMut};
pub use passes::{Migrate, Mode};
pub use report::{Counts, Kind, Outcome, Owner, PageOutcome, Report};
pub use stats::{NodeStats, Stats};
pub use store::{BatchRead, FileStore, FileStoreOptions, MemStore, OpenError, ReadBatch, Store};
pub use table::Sharing;
pub use trace::{Event, FolioState, Look, Step, Watcher};
pub use units::{FrameNo, MAX_FILE_BYTES, MAX_ORDER, NodeId, PAGE_SIZE, PageIndex, Vpn};
pub use view::{EntryState, View};
