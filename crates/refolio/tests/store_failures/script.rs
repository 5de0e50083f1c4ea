//! The operations of a run.

use refolio::PAGE_SIZE;

#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Offset and length.
    Read(usize, usize),
    Write(usize, usize),
    /// By a guard, or through a view: page, and offset within it.
    Guard(usize, usize),
    View(usize, usize),
    Sync,
    SetLen(usize),
    /// Offset and length.
    Punch(usize, usize),
    Evict,
    Migrate(u8),
}

/// Something of everything, for a file of `len` bytes, more than the cache holds: pages are written
/// back because they are synced, evicted, in the way of others, or about to be cut off.
pub fn script(len: usize) -> Vec<Op> {
    const PAGE: usize = PAGE_SIZE;
    let mut script = vec![
        Op::Read(0, 9 * PAGE),
        Op::Write(PAGE + 100, 3 * PAGE),
        Op::Write(20 * PAGE, 5 * PAGE),
        Op::Sync,
        Op::Write(len - 10, 2 * PAGE),
        Op::Write(len + 5 * PAGE + 7, 20),
    ];
    // More than fits in the nodes, each of them within a page.
    script.extend((0..70).map(|at| Op::Write((30 + at) * PAGE + at, PAGE / 2)));
    script.extend([
        Op::Migrate(1),
        Op::Read(0, 150 * PAGE),
        Op::Guard(3, 7),
        Op::View(61, 5),
        Op::Migrate(0),
        Op::Punch(6 * PAGE + 50, 4 * PAGE),
        Op::Punch(12 * PAGE, 4 * PAGE),
        Op::SetLen(120 * PAGE + 11),
        Op::Sync,
        Op::SetLen(131 * PAGE),
        Op::Write(118 * PAGE, 3 * PAGE),
        Op::Punch(117 * PAGE, 2 * PAGE),
        Op::Write(90 * PAGE, 7 * PAGE),
        Op::Evict,
        Op::Read(80 * PAGE, 50 * PAGE),
        Op::Write(0, 100),
        Op::Write(131 * PAGE, 3 * PAGE),
        Op::Write(140 * PAGE, 5 * PAGE),
        Op::Guard(141, 2),
        Op::Punch(132 * PAGE, 4 * PAGE),
        Op::Sync,
        Op::Write(9, 9),
        Op::SetLen(50),
        // Only the length is new: `sync` makes the store longer.
        Op::Write(10 * PAGE, 3),
        Op::Migrate(1),
        Op::Evict,
        Op::SetLen(10 * PAGE),
        Op::Sync,
    ]);
    script
}
