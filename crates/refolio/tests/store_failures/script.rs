//! The operations of a run. Each of them is within one page where it writes, so it is done or not.

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
    /// The first page, and how many.
    Punch(usize, usize),
    Evict,
    Migrate(u8),
}

/// A write of any length, in pieces that lie within one page each.
fn write(script: &mut Vec<Op>, offset: usize, len: usize) {
    let mut at = offset;
    while at < offset + len {
        let end = (offset + len).min((at / PAGE_SIZE + 1) * PAGE_SIZE);
        script.push(Op::Write(at, end - at));
        at = end;
    }
}

/// Something of everything, for a file of `len` bytes, more than the cache holds: pages are written
/// back because they are synced, evicted, in the way of others, or about to be cut off.
pub fn script(len: usize) -> Vec<Op> {
    let mut script = vec![Op::Read(0, 9 * PAGE_SIZE)];
    write(&mut script, PAGE_SIZE + 100, 3 * PAGE_SIZE);
    write(&mut script, 20 * PAGE_SIZE, 5 * PAGE_SIZE);
    script.push(Op::Sync);
    write(&mut script, len - 10, 2 * PAGE_SIZE);
    write(&mut script, len + 5 * PAGE_SIZE + 7, 20);
    for at in (0..90).step_by(2) {
        write(&mut script, (30 + at) * PAGE_SIZE + at, PAGE_SIZE / 2);
    }
    script.push(Op::Migrate(1));
    script.push(Op::Read(0, 150 * PAGE_SIZE));
    script.extend([Op::Guard(3, 7), Op::View(61, 5), Op::Migrate(0), Op::Punch(8, 4)]);
    script.push(Op::SetLen(120 * PAGE_SIZE + 11));
    script.push(Op::Sync);
    script.push(Op::SetLen(131 * PAGE_SIZE));
    write(&mut script, 118 * PAGE_SIZE, 3 * PAGE_SIZE);
    script.push(Op::Punch(116, 4));
    write(&mut script, 90 * PAGE_SIZE, 7 * PAGE_SIZE);
    script.push(Op::Evict);
    script.push(Op::Read(80 * PAGE_SIZE, 50 * PAGE_SIZE));
    write(&mut script, 0, 100);
    write(&mut script, 140 * PAGE_SIZE, 5 * PAGE_SIZE);
    script.push(Op::Guard(141, 2));
    script.push(Op::Punch(132, 4));
    script.push(Op::Sync);
    write(&mut script, 9, 9);
    script.push(Op::SetLen(50));
    // Only the length is new: `sync` makes the store longer.
    write(&mut script, 10 * PAGE_SIZE, 3);
    script.extend([Op::Migrate(1), Op::Evict, Op::SetLen(10 * PAGE_SIZE), Op::Sync]);
    script
}
