//! Figures that nothing is held against: writes, a scan, and pages that are mapped.

use refolio::{MemStore, OpenOptions, PAGE_SIZE};

use crate::Plan;
use crate::hit;
use crate::moves;
use crate::noise::{self, Lap};
use crate::resident;
use crate::table::{Must, Row};

/// Bytes of one call of `read_at` in the scan.
const PIECE: usize = 128 << 10;

/// The rows of this bench.
pub fn rows(plan: Plan) -> Vec<Row> {
    noise::stay_on(0);
    let row = |what: &str, unit, ours, rejected| Row {
        what: what.into(),
        unit,
        ours,
        limit: None,
        ratio: None,
        must: Must::Nothing,
        rejected,
    };
    let mut rows = Vec::new();

    let cache = resident::cache(plan.bytes / 4);
    let file = resident::file(&cache, plan.bytes / 4, 0);
    let bytes = [7; PAGE_SIZE];
    let reps = noise::repeat(plan.reps, || {
        vec![hit::random(plan.bytes / 4, |page, _| {
            file.write_at(&bytes, page * PAGE_SIZE as u64).expect("a page that can be written");
        })]
    });
    rows.push(row("write 4 KiB in place", "ns", reps.spread(0), reps.rejected));
    drop((file, cache));

    // Four times what both nodes hold: every page is a miss.
    let cache = resident::cache(plan.bytes / 16);
    let store = MemStore::with_bytes(vec![7; plan.bytes / 2]);
    let file = cache.open_store(store, &OpenOptions::new()).expect("a store");
    let mut piece = vec![0; PIECE];
    let reps = noise::repeat(plan.reps, || {
        let lap = Lap::start();
        for at in (0..file.len()).step_by(PIECE) {
            assert_eq!(file.read_at(&mut piece, at).expect("a readable store"), PIECE);
        }
        let timing = lap.stop(file.len() >> 20);
        vec![noise::Timing { each: 1e9 / timing.each, ..timing }]
    });
    rows.push(row("read through a store in memory", "MiB/s", reps.spread(0), reps.rejected));
    drop((file, cache));

    rows.extend(moves::mapped(plan));
    rows
}
