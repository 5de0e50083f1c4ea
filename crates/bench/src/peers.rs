//! Other caches, as ways to reach a page.

use std::hint::black_box;

use refolio::PAGE_SIZE;
use refolio_peers::{DashMap, Foyer, Moka, Page, Papaya, Peer, QuickCache};

use crate::error::{Error, Result};
use crate::plan::{Host, Plan};
use crate::reach::{Hand, Line, Reach, first_word};
use crate::resident;
use crate::results::Role;
use crate::suites::Adds;

/// Those that are wanted, each with all pages in it.
pub struct Peers {
    quick_cache: Option<Way<QuickCache>>,
    foyer: Option<Way<Foyer>>,
    moka: Option<Way<Moka>>,
    dashmap: Option<Way<DashMap>>,
    papaya: Option<Way<Papaya>>,
}

impl Peers {
    /// Fills those that the plan wants.
    pub fn filled(plan: &Plan, host: &dyn Host) -> Result<Self> {
        Ok(Self {
            quick_cache: filled(plan, host)?,
            foyer: filled(plan, host)?,
            moka: filled(plan, host)?,
            dashmap: filled(plan, host)?,
            papaya: filled(plan, host)?,
        })
    }

    /// Lets them take part.
    pub fn add_to<'p>(&'p self, add: &mut Adds<'_, 'p>) {
        one(&self.quick_cache, add);
        one(&self.foyer, add);
        one(&self.moka, add);
        one(&self.dashmap, add);
        one(&self.papaya, add);
    }
}

fn filled<P: Peer>(plan: &Plan, host: &dyn Host) -> Result<Option<Way<P>>> {
    resident::stop_or_go(host)?;
    if !plan.wants(P::NAME) {
        return Ok(None);
    }
    host.doing(&format!("filling {}", P::NAME), 0, 1);
    let peer = P::filled((plan.bytes / PAGE_SIZE) as u64, &resident::page);
    peer.map(|peer| Some(Way(peer))).map_err(Error::Failed)
}

fn one<'p, P: Peer>(way: &'p Option<Way<P>>, add: &mut Adds<'_, 'p>) {
    if let Some(way) = way {
        add.way(Role::Peer, P::NAME, way);
    }
}

/// One of them.
struct Way<P>(P);

impl<P: Peer> Reach for &Way<P> {
    type Own = ();

    fn own(&self) -> Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn line(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) {
        let look = |bytes: &Page| match bytes[at..].first_chunk() {
            Some(line) => _ = black_box(&Line(*line)),
            None => hand.fail(),
        };
        if self.0.with(page, look).is_none() {
            hand.fail();
        }
    }

    #[inline(always)]
    fn chain(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) -> u64 {
        let look = |bytes: &Page| bytes[at..].first_chunk().map(first_word);
        match self.0.with(page, look).flatten() {
            Some(found) => found,
            None => {
                hand.fail();
                0
            }
        }
    }

    #[inline(always)]
    fn page(&self, hand: &mut Hand, _own: &mut (), page: u64) {
        let room = &mut hand.page;
        if self.0.with(page, |bytes| room.copy_from_slice(bytes)).is_none() {
            hand.fail();
        }
    }
}
