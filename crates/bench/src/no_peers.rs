//! In place of `peers.rs` where other caches are not compiled in.

use std::convert::Infallible;
use std::time::Duration;

use crate::contest::Contest;
use crate::error::Result;
use crate::plan::{Host, Plan};
use crate::suites::{Adds, Run};

/// None of them.
#[derive(Debug)]
pub struct Peers;

impl Peers {
    /// Nothing to fill.
    pub fn filled(_plan: &Plan, _host: &dyn Host) -> Result<Self> {
        Ok(Self)
    }

    /// Nothing to add.
    pub fn add_to(&self, _add: &mut Adds<'_, '_>) {}
}

/// Fills one with so many pages.
pub type Weigh = fn(u64) -> Result<Infallible>;

/// Nothing to weigh.
pub fn weighed() -> Vec<(&'static str, Weigh)> {
    Vec::new()
}

/// No disk cache.
#[derive(Debug)]
pub struct Disk;

impl Disk {
    /// Nothing to fill.
    pub fn filled(_run: &mut Run<'_>, _pages: u64) -> Result<Self> {
        Ok(Self)
    }

    /// Nothing to add.
    pub fn add_to(&self, _contest: &mut Contest<'_>, _depth: usize, _span: Duration) {}
}
