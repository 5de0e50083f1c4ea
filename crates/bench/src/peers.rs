//! Other caches, as ways to reach a page.

use std::any::Any;
use std::hint::black_box;
use std::time::Duration;

use refolio::PAGE_SIZE;
use refolio_peers::disk;
use refolio_peers::{DashMap, Foyer, Moka, Page, Papaya, Peer, QuickCache};

use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::noise::Timing;
use crate::plan::{Host, Plan};
use crate::reach::{Hand, Reach, sum};
use crate::resident;
use crate::results::Role;
use crate::suites::{Adds, Run};

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
            Some(line) => _ = black_box(sum(line)),
            None => hand.fail(),
        };
        if self.0.with(page, look).is_none() {
            hand.fail();
        }
    }

    #[inline(always)]
    fn chain(&self, hand: &mut Hand, _own: &mut (), page: u64, at: usize) -> u64 {
        let look = |bytes: &Page| bytes[at..].first_chunk().map(sum);
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

/// Fills one with so many pages.
pub type Weigh = fn(u64) -> Result<Box<dyn Any>>;

/// All of them, to be filled one at a time.
pub fn weighed() -> Vec<(&'static str, Weigh)> {
    fn one<P: Peer + 'static>() -> (&'static str, Weigh) {
        (P::NAME, |pages| match P::filled(pages, &resident::page) {
            Ok(peer) => Ok(Box::new(peer)),
            Err(line) => Err(Error::Failed(line)),
        })
    }
    let all =
        [one::<QuickCache>(), one::<Foyer>(), one::<Moka>(), one::<DashMap>(), one::<Papaya>()];
    all.to_vec()
}

/// The disk cache, if it is wanted.
pub struct Disk(Option<disk::Disk>);

impl Disk {
    /// Fills it with the pages of the scratch file.
    pub fn filled(run: &mut Run<'_>, pages: u64) -> Result<Self> {
        /// As much as Refolio's nodes.
        const PART: usize = 32;
        if !run.plan.wants(disk::NAME) {
            return Ok(Self(None));
        }
        run.host.doing(&format!("filling {}", disk::NAME), 0, 1);
        let memory = pages as usize * PAGE_SIZE / PART;
        match disk::Disk::filled(&run.plan.dir, pages, memory, &resident::page) {
            Ok(disk) => Ok(Self(Some(disk))),
            Err(line) => {
                run.note(format!("left out: {line}"));
                Ok(Self(None))
            }
        }
    }

    /// Lets it take part.
    pub fn add_to<'d>(&'d self, contest: &mut Contest<'d>, depth: usize, span: Duration) {
        let Some(disk) = &self.0 else { return };
        contest.add(Role::Peer, disk::NAME, move || {
            let reads = disk.random(depth, span).map_err(Error::Failed)?;
            if reads.missing * 20 > reads.found {
                let line = format!("{} has dropped {} pages", disk::NAME, reads.missing);
                return Err(Error::Failed(line));
            }
            let each = reads.found as f64 / reads.elapsed.as_secs_f64();
            Ok(Timing { each, lost: 0.0 })
        });
    }
}
