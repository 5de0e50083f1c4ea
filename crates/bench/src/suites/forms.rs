//! The four forms of the check before the freeze, while a share of the pages is pinned for moments:
//! what a moved page costs, how many copies are for nothing, how many attempts are taken back.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use refolio::{Event, File, Form, Migrate, NodeId, Page, PageIndex, Step};

use super::Run;
use super::beside::beside;
use super::migrate::{Kind, Pages};
use crate::contest::Contest;
use crate::error::{Error, Result};
use crate::noise::{Lap, Timing, short};
use crate::resident;
use crate::results::{Group, Role};

/// The forms, the default first.
const FORMS: [(Form, &str); 4] = [
    (Form::FreezeOnly, "freeze-only (Linux since 5.16)"),
    (Form::LoadThenFreeze, "load-then-freeze"),
    (Form::EarlyCheck, "early-check"),
    (Form::CheckThenFreeze, "check-then-freeze (Linux until 5.15)"),
];

/// Pages of 100 that are pinned at any moment.
const SHARES: [u64; 4] = [0, 1, 10, 50];

/// Pins that are let go and taken between two looks whether the mover is done.
const TURNS: usize = 64;

/// Measures.
pub fn run(run: &mut Run<'_>) -> Result<String> {
    let bytes = run.plan.bytes / 4;
    let cache = resident::cache(bytes)?;
    let pages = Pages::new(&cache, Kind::Clean, bytes, 0, run.host)?;
    pages.round(0)?;
    pages.round(0)?;
    let Pages::File(file) = &pages else { return Ok(String::new()) };
    for share in SHARES {
        let group = timed(run, file, share)?;
        run.note(answer(share, &group));
        run.groups.push(group);
        if share > 0 {
            for (what, of) in [
                ("copies for nothing", (|seen: &Seen| seen.wasted()) as fn(&Seen) -> f64),
                ("attempts taken back", |seen| seen.per_thousand(seen.undone.get())),
            ] {
                counted(run, file, share, what, of)?;
            }
        }
    }
    run.note(
        "copies for nothing and attempts taken back are counted under a watcher, under which the time \
         between copy and switch is many times as long: they compare the forms, and are far more than \
         where nobody watches. The times are of moves that nobody watches",
    );
    run.note(
        "how long the lock of i_pages is held cannot be seen from outside of the engine; what a moved \
         page costs has it in it",
    );
    pages.verify()?;
    Ok(format!(
        "{} pages there and back, one mover; pins are taken and let go at random",
        pages.count()
    ))
}

/// Which form costs what.
fn answer(share: u64, group: &Group) -> String {
    let costs = group.lines.iter().map(|line| {
        let more = line.of_refolio.map_or(0.0, |times| (times - 1.0) * 100.0);
        let name = line.name.split(' ').next().unwrap_or_default();
        format!("{name} {} ns ({more:+.1} %)", short(line.spread.median))
    });
    let costs: Vec<_> = costs.collect();
    format!("{share} % pinned: {}", costs.join(", "))
}

/// The time for a page that moves.
fn timed(run: &Run<'_>, file: &File, share: u64) -> Result<Group> {
    let title = format!("each form, {share} % of the pages pinned for moments");
    let mut contest = Contest::of_times(title, "ns per page moved");
    for (form, name) in FORMS {
        let role = if form == Form::FreezeOnly { Role::Refolio } else { Role::Other };
        contest.add(role, name, move || {
            let mover = || there_and_back(file, &Migrate::new().form(form));
            if share == 0 {
                return Ok(crate::cpus::on(1, mover)?.0);
            }
            pinned(file, share, mover)
        });
    }
    contest.run(run.plan, run.host)
}

/// Something that is counted, for each thousand pages that move.
fn counted(
    run: &mut Run<'_>,
    file: &File,
    share: u64,
    what: &str,
    of: fn(&Seen) -> f64,
) -> Result<()> {
    let title = format!("each form, {share} % of the pages pinned for moments: {what}");
    let mut contest = Contest::of_times(title, "per 1,000 pages moved");
    for (form, name) in FORMS {
        let role = if form == Form::FreezeOnly { Role::Refolio } else { Role::Other };
        contest.add(role, name, move || {
            let mut count = 0.0;
            let timing = pinned(file, share, || {
                let seen = Seen::default();
                let watcher = |event: &Event| seen.see(event);
                let how = Migrate::new().form(form).watch(&watcher);
                let ended = there_and_back(file, &how)?;
                count = of(&seen);
                Ok(ended)
            })?;
            Ok(Timing { each: count, ..timing })
        });
    }
    run.contest(contest)
}

/// What a watcher has seen.
#[derive(Default)]
struct Seen {
    copied: Cell<u64>,
    switched: Cell<u64>,
    undone: Cell<u64>,
}

impl Seen {
    fn see(&self, event: &Event) {
        let count = match event.step {
            Step::Copy => &self.copied,
            Step::Switch => &self.switched,
            Step::Undo => &self.undone,
            _ => return,
        };
        count.set(count.get() + 1);
    }

    fn per_thousand(&self, count: u64) -> f64 {
        count as f64 * 1000.0 / self.switched.get().max(1) as f64
    }

    fn wasted(&self) -> f64 {
        self.per_thousand(self.copied.get().saturating_sub(self.switched.get()))
    }
}

/// Moves what can be moved to the second node, and all of it back; the time for a page that moved.
fn there_and_back(file: &File, how: &Migrate<'_>) -> Result<(Timing, ())> {
    let pages = file.len() / refolio::PAGE_SIZE as u64;
    let (lap, mut moved) = (Lap::start(), 0);
    for node in [NodeId(1), NodeId(0)] {
        let report = file.migrate(0..pages, node, how).map_err(Error::while_("moving pages"))?;
        moved += report.counts().moved;
    }
    Ok((lap.stop(moved), ()))
}

/// The mover, while so many pages of 100 are pinned at any moment, each for as long as it takes to
/// have all the others have their turn.
fn pinned(
    file: &File,
    share: u64,
    mover: impl FnOnce() -> Result<(Timing, ())> + Send,
) -> Result<Timing> {
    let pages = file.len() / refolio::PAGE_SIZE as u64;
    let most = (pages * share / 100) as usize;
    let pinner = |done: &AtomicBool| {
        // Pins stay on their thread.
        let (mut pins, mut rng, mut turns) = (VecDeque::new(), fastrand::Rng::new(), 0);
        while !done.load(Relaxed) {
            for _ in 0..TURNS {
                if pins.len() >= most {
                    pins.pop_front();
                }
                let pin: Page<'_> = file
                    .page(PageIndex(rng.u64(..pages)))
                    .map_err(Error::while_("pinning a page"))?;
                pins.push_back(pin);
            }
            turns += 1;
        }
        Ok(turns)
    };
    Ok(beside(mover, pinner)?.0)
}
