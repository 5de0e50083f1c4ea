//! The actors that hold pages: a page that is held stays where it is, and as it is.

use std::time::Duration;

use refolio::PAGE_SIZE;

use crate::actors::Me;
use crate::ledger::{Before, PAGES};
use crate::stage::{Play, refused};
use crate::subject::{Look, Refusal};
use crate::tally::Fact;
use crate::verdict::{Failure, Wrong};

/// How a page is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// For one look.
    Moment,
    /// For a while.
    While,
    /// For as long as it takes to ask for its eviction.
    Evicting,
}

/// Holds a page, and looks whether it stays where it is and as it is.
pub(crate) fn pin(play: &Play, me: &mut Me, hold: Hold) -> Result<(), Failure> {
    let file = me.file(play);
    let page = me.rng.u64(0..PAGES);
    let ledger = &play.ledgers[file as usize];
    let cuts = ledger.cuts();
    let before: Vec<_> = ledger.parts_of(page).map(|part| ledger.before(part)).collect();
    // Decided before it is known whether there is a page: the seed decides, not the others.
    let (for_long, mut seen) = (Duration::from_micros(me.rng.u64(1..1500)), Ok(()));
    let mut held = |look: Look<'_>| {
        seen = holding(play, me, (hold, for_long), (file, page), &before, look).and_then(|node| {
            // Only truncation takes a page from its file while somebody holds it.
            let moved = node != play.subject.node_of(file, page);
            if moved && cuts.is_some() && cuts == ledger.cuts() {
                let detail = format!("page {page} of file {file} was on node {node:?}");
                return Err(Failure { wrong: Wrong::PinMoved, detail });
            }
            Ok(())
        });
    };
    match play.subject.pin(file, page, &mut held) {
        Ok(()) => play.tally.add(Fact::Pinned, 1),
        Err(Refusal::Beyond) => play.tally.add(Fact::Beyond, 1),
        Err(refusal) => return Err(refused("pinning", &refusal)),
    }
    // Who holds a page for a moment only gets where others are by not resting.
    if hold != Hold::Moment {
        me.pause();
    }
    seen
}

/// While a page is held: where it is, and whether its bytes stand still.
fn holding(
    play: &Play,
    me: &mut Me,
    (hold, for_long): (Hold, Duration),
    (file, page): (u32, u64),
    before: &[Before],
    look: Look<'_>,
) -> Result<Option<usize>, Failure> {
    let node = play.subject.node_of(file, page);
    let ledger = &play.ledgers[file as usize];
    look(&mut me.page[..PAGE_SIZE]);
    let mut generations = Vec::with_capacity(before.len());
    for (before, part) in before.iter().zip(me.page.chunks_exact(ledger.part_len())) {
        let judged = ledger.judge(*before, Some(part));
        generations.push(judged.map_err(|(wrong, detail)| Failure { wrong, detail })?);
    }
    generations.iter().for_each(|generation| me.saw(play, file, page, *generation));
    match hold {
        Hold::Moment => return Ok(node),
        Hold::While => std::thread::sleep(for_long),
        Hold::Evicting => {
            let evicted = play.subject.evict(file, page..page + 1);
            if evicted.map_err(|refusal| refused("evicting", &refusal))? > 0 {
                let detail = format!("page {page} of file {file} was evicted by its holder");
                return Err(Failure { wrong: Wrong::PinMoved, detail });
            }
            play.tally.add(Fact::Kept, 1);
        }
    }
    let (first, now) = me.page[..2 * PAGE_SIZE].split_at_mut(PAGE_SIZE);
    look(now);
    if first != now {
        let detail = format!("page {page} of file {file}, which had generations {generations:?}");
        return Err(Failure { wrong: Wrong::PinChanged, detail });
    }
    let cut = |(part, generation): (usize, &Option<u64>)| {
        generation.is_some_and(|generation| ledger.is_cut(part, generation))
    };
    let orphan = ledger.parts_of(page).zip(&generations).any(cut);
    play.tally.add(Fact::Orphaned, u64::from(orphan));
    Ok(node)
}
