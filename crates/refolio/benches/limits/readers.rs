//! A reader while every page is moving, against the same reader beside a thread that only copies
//! memory.

use std::sync::atomic::{AtomicBool, Ordering};

use refolio::{File, NodeId, PAGE_SIZE};

use crate::Plan;
use crate::arena::{self, Arena, Copier};
use crate::hit;
use crate::moves::{self, Pages};
use crate::noise::{self, Lap, Timing};
use crate::resident;
use crate::table::{Must, Row};

/// Pages in one call of `migrate`, so that the mover sees in time that the reader is done.
const CHUNK: u64 = 4096;

/// The reader, on a CPU of its own, while `other` is called over and over on the first one. The
/// reader's time for an operation; lost is what either thread lost.
fn beside(file: &File, mut other: impl FnMut() + Send) -> Timing {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            noise::stay_on(0);
            let (lap, mut calls) = (Lap::start(), 0);
            while !done.load(Ordering::Relaxed) {
                other();
                calls += 1;
            }
            lap.stop(calls.max(1)).lost
        });
        let reader = scope.spawn(|| {
            noise::stay_on(1);
            let mut line = [0; 64];
            let bytes = file.len() as usize;
            let timing = hit::random(bytes, |page, at| hit::read(file, &mut line, page, at));
            done.store(true, Ordering::Relaxed);
            timing
        });
        let reader = reader.join().expect("the reader");
        Timing { lost: reader.lost.max(worker.join().expect("the worker")), ..reader }
    })
}

fn mover(pages: &Pages, count: u64) -> impl FnMut() + Send {
    let (mut at, mut node) = (0, 1);
    move || {
        let end = (at + CHUNK).min(count);
        pages.shift(at..end, NodeId(node));
        at = end % count;
        node ^= u8::from(at == 0);
    }
}

fn copier(arena: &mut Arena, copier: Copier, half: usize) -> impl FnMut() + Send {
    move || {
        moves::copy(arena, copier, half, PAGE_SIZE, CHUNK as usize * PAGE_SIZE);
    }
}

/// The rows of this bench.
pub fn rows(plan: Plan) -> Vec<Row> {
    if plan.cpus < 2 {
        eprintln!("limits: readers need a second CPU: left out");
        return Vec::new();
    }
    let cache = resident::cache(plan.bytes);
    let pages = Pages::File(resident::file(&cache, plan.bytes, 0));
    let Pages::File(file) = &pages else { unreachable!("just made") };
    let mut arena = Arena::new(2 * plan.bytes);
    let memcpy = arena::copiers()[0].1;
    let mut mover = mover(&pages, file.len() / PAGE_SIZE as u64);
    let reps = noise::repeat(plan.reps, || {
        let copying = beside(file, copier(&mut arena, memcpy, plan.bytes));
        let moving = beside(file, &mut mover);
        let mut line = [0; 64];
        let resting = hit::random(plan.bytes, |page, at| hit::read(file, &mut line, page, at));
        vec![copying, moving, resting]
    });
    resident::verify(file);
    let row = |at: usize, what: &str, must| Row {
        what: what.into(),
        unit: "ns",
        ours: reps.spread(at),
        limit: Some((reps.spread(0), "the reader beside memcpy")),
        ratio: Some(reps.ratio(0, at)),
        must,
        rejected: reps.rejected,
    };
    vec![
        row(1, "read 64 bytes while every page is moving", Must::AtLeast(0.70)),
        row(2, "the same while nothing is", Must::Nothing),
    ]
}
