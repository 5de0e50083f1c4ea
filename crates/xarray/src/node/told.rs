//! What the words of an array are called in the trace of a model.

use super::{Arena, BITS, Node};
use crate::sync::{Show, name};

impl Arena {
    /// Names the lock and the head, and the slots of every node that comes into use.
    pub fn christen(&self, lock: &str, show: Show) {
        self.show.get_or_init(|| show);
        name(&self.pool, || lock.into(), |_, _| String::new());
        name(&self.head.0.0, || "slot 0 (head)".into(), show);
    }

    pub(super) fn christen_slots(&self, node: &Node, place: u64) {
        let Some(show) = self.show.get() else { return };
        let shift = place.trailing_zeros();
        let first = place & (place - 1);
        for (offset, slot) in node.slots.iter().enumerate() {
            let index = first | (offset as u64) << shift;
            let named = || match shift {
                0 => format!("slot {index}"),
                _ => format!("slot {index}..{}", index + (1 << shift)),
            };
            name(&slot.0, named, *show);
        }
        let named = || format!("node {first}..{}", first + (1 << (shift + BITS)));
        name(&node.generation, named, |before, after| {
            let word = match (before % 2, after % 2) {
                (0, 1) => "comes into use",
                (1, 0) => "goes out of use",
                (_, 0) => "not in use",
                _ if before == after => "in use",
                _ => "other siblings",
            };
            word.into()
        });
    }
}
