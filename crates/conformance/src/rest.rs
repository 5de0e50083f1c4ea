//! When nobody acts any more: everything moves, every byte is where it belongs, in the cache and
//! behind it, and the accounts add up.

use std::time::{Duration, Instant};

use refolio::PAGE_SIZE;

use crate::ledger::PAGES;
use crate::stage::{Play, refused};
use crate::subject::{At, Counters, How, Kind, Need, NodeCounters, Refusal, VIEWS, Via};
use crate::tally::Fact;
use crate::verdict::{Failure, Wrong};

/// Looks at everything, and closes the files.
pub(crate) fn look(play: &Play) -> Result<(), Failure> {
    let looked = look_and_close(play);
    if looked.is_err() {
        // The next case begins with no files; one of these may be closed already.
        (0..play.kinds.len() as u32).for_each(|file| drop(play.subject.close(file)));
    }
    looked
}

fn look_and_close(play: &Play) -> Result<(), Failure> {
    let has = play.subject.about().has;
    if has.contains(&Need::TwoNodes) {
        everything_moves(play)?;
    }
    let files = 0..play.kinds.len() as u32;
    let mut images = Vec::new();
    for file in files.clone() {
        let image = image(play, file, Via::Call)?;
        if has.contains(&Need::Views) {
            for view in 0..VIEWS {
                same(play, file, &image, &self::image(play, file, Via::View(view))?, "a view")?;
            }
        }
        images.push(image);
    }
    for file in files.clone() {
        play.subject.sync(file).map_err(|refusal| refused("the last sync", &refusal))?;
    }
    settle(play, "with the files open", open)?;
    for (file, image) in files.zip(&images) {
        let stored = play.subject.close(file);
        let stored = stored.map_err(|refusal| refused("closing a file", &refusal))?;
        same(play, file, image, &padded(stored), "what is stored")?;
    }
    settle(play, "with the files closed", closed)
}

/// Nobody holds a page: each can be moved. The last move is to node 1, the lower one: from there a
/// subject does not move pages of its own accord.
fn everything_moves(play: &Play) -> Result<(), Failure> {
    for (to, file) in [0, 1].into_iter().flat_map(|to| (0..play.kinds.len()).map(move |f| (to, f)))
    {
        let file = file as u32;
        let moves = play.subject.migrate(file, 0..PAGES, to, How::Patiently);
        let moves = moves.map_err(|refusal| refused("migrating at rest", &refusal))?;
        play.tally.add_moves(&moves);
        if moves.again + moves.busy > 0 {
            let detail = format!("of file {file}, which nobody uses: {moves:?}");
            return Err(Failure { wrong: Wrong::Stuck, detail });
        }
        let there = |page: &u64| play.subject.node_of(file, *page).is_none_or(|node| node == to);
        let left = (0..PAGES).filter(|page| !there(page)).count() as u64;
        if to == 1 && left > moves.no_room {
            let detail = format!("{left} pages of file {file} are not on node {to}: {moves:?}");
            return Err(Failure { wrong: Wrong::Stuck, detail });
        }
    }
    Ok(())
}

/// The bytes of a file, each of which is as it must be.
fn image(play: &Play, file: u32, via: Via) -> Result<Vec<u8>, Failure> {
    let ledger = &play.ledgers[file as usize];
    let mut image = vec![0; PAGES as usize * PAGE_SIZE];
    for (page, bytes) in (0..PAGES).zip(image.chunks_exact_mut(PAGE_SIZE)) {
        let at = At { file, via, offset: page * PAGE_SIZE as u64 };
        let read = match play.subject.read(at, bytes) {
            Ok(read) => read,
            Err(Refusal::Beyond) => 0,
            Err(refusal) => return Err(refused("reading at rest", &refusal)),
        };
        // (A large folio may go on behind the end.)
        let of_one_page = play.kinds[file as usize] == Kind::File;
        if read == 0 && of_one_page && play.subject.node_of(file, page).is_some() {
            let detail = format!("page {page} of file {file} is cached beyond the end");
            return Err(Failure { wrong: Wrong::ResurrectedPage, detail });
        }
        for (part, bytes) in ledger.parts_of(page).zip(bytes.chunks_exact(ledger.part_len())) {
            let found = (read == PAGE_SIZE).then_some(bytes);
            ledger.judge(ledger.before(part), found).map_err(|(wrong, detail)| {
                // At rest, what is not there is lost.
                let lost = wrong == Wrong::StalePage;
                Failure { wrong: if lost { Wrong::LostWrite } else { wrong }, detail }
            })?;
        }
    }
    Ok(image)
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(PAGES as usize * PAGE_SIZE, 0);
    bytes
}

/// Two looks at a file agree.
fn same(play: &Play, file: u32, one: &[u8], other: &[u8], what: &str) -> Result<(), Failure> {
    let pages = one.chunks_exact(PAGE_SIZE).zip(other.chunks_exact(PAGE_SIZE));
    for (page, (one, other)) in (0..).zip(pages) {
        if one == other {
            continue;
        }
        let ledger = &play.ledgers[file as usize];
        let mut parts = ledger.parts_of(page).zip(other.chunks_exact(ledger.part_len()));
        let judged =
            parts.find_map(|(part, bytes)| ledger.judge(ledger.before(part), Some(bytes)).err());
        let (wrong, detail) = judged.unwrap_or((Wrong::LostWrite, format!("page {page}")));
        let lost = wrong == Wrong::StalePage;
        let wrong = if lost { Wrong::LostWrite } else { wrong };
        return Err(Failure {
            wrong,
            detail: format!("{what} differs from what is cached: {detail}"),
        });
    }
    Ok(())
}

/// How long a subject's own threads may go on after the last call.
const SETTLE: Duration = Duration::from_secs(1);

/// Waits until the accounts add up.
fn settle(
    play: &Play,
    when: &str,
    wrong: fn(&Play, &Counters) -> Option<String>,
) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let counters = play.subject.counters();
        if counters.unstable_writes > play.start.unstable_writes {
            let detail = "bytes that were being written to the store changed".into();
            return Err(Failure { wrong: Wrong::UnstableWrite, detail });
        }
        let Some(what) = wrong(play, &counters) else { return Ok(()) };
        if start.elapsed() > SETTLE {
            let detail = format!("{what}, {when}: {counters:?}");
            return Err(Failure { wrong: Wrong::Miscounted, detail });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What is wrong with the accounts while the files are open, synced and not used.
fn open(play: &Play, counters: &Counters) -> Option<String> {
    let sum = |of: fn(&NodeCounters) -> u64| counters.nodes.iter().map(of).sum::<u64>();
    let cached = |anonymous: bool| {
        let files =
            (0..).zip(play.kinds).filter(|(_, kind)| (**kind == Kind::Anonymous) == anonymous);
        let pages = files.flat_map(|(file, _)| (0..PAGES).map(move |page| (file, page)));
        pages.filter(|(file, page)| play.subject.node_of(*file, *page).is_some()).count() as u64
    };
    let moved = play.tally.count(Fact::Moved, &play.start, counters);
    let checks = [
        ("pages isolated", sum(|node| node.nr_isolated), 0),
        ("pages dirty after a sync", sum(|node| node.nr_dirty), 0),
        ("pages under writeback", sum(|node| node.nr_writeback), 0),
        ("pages of files", sum(|node| node.nr_file_pages), cached(false)),
        ("anonymous pages", sum(|node| node.nr_anon_pages), cached(true)),
        ("pages migrated", counters.migrated - play.start.migrated, moved),
        (
            "pages not migrated",
            counters.not_migrated - play.start.not_migrated,
            play.tally.refused(),
        ),
    ];
    let wrong = checks.into_iter().find(|(_, counted, there)| counted != there);
    let wrong = wrong.map(|(what, counted, there)| format!("{counted} {what}, not {there}"));
    wrong
        .or_else(|| counters.nodes.iter().find_map(restless))
        .or_else(|| counters.nodes.iter().find_map(unbalanced))
}

/// What a node has that the others make up for: a count that did not move with its page.
fn restless(node: &NodeCounters) -> Option<String> {
    let NodeCounters { nr_dirty, nr_writeback, nr_isolated, .. } = *node;
    let wrong = nr_dirty + nr_writeback + nr_isolated > 0;
    wrong.then(|| "dirty, written back or isolated pages on a node".into())
}

/// What is wrong with a node's accounts.
fn unbalanced(node: &NodeCounters) -> Option<String> {
    let used = node.nr_file_pages + node.nr_anon_pages;
    let wrong = node.frames != node.nr_free_pages + used || node.nr_on_lru != used;
    wrong.then(|| format!("{used} pages in use on a node"))
}

/// What is wrong with the accounts after the files were closed.
fn closed(_: &Play, counters: &Counters) -> Option<String> {
    let used = |node: &&NodeCounters| node.nr_free_pages != node.frames;
    counters.nodes.iter().find(used).map(|_| "pages in use".into())
}
