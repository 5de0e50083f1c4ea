//! Whether a tree is as it must be whenever the lock is free (feature `testing`).

use crate::entry::Mark;
use crate::locked::Locked;
use crate::node::{BITS, Content, Node, SLOTS, place};

impl Locked<'_> {
    /// Asserts that counts, marks, siblings, places and parents agree everywhere.
    ///
    /// # Panics
    /// If they do not.
    pub fn check(&self) {
        let mut nodes = 0;
        match self.guard.head().get().content() {
            Content::Empty => assert_eq!(self.guard.head_marks(), [false; Mark::ALL.len()]),
            Content::Sibling(_) => panic!("a sibling in the head"),
            Content::Entry(entry) => assert_eq!(entry.order(), 0, "needs a node"),
            Content::Node(root) => {
                assert!(root.parent().is_none());
                assert_eq!(root.index(0), 0);
                assert_eq!(self.guard.head_marks(), [false; Mark::ALL.len()]);
                assert_eq!(self.guard.head().get().node_shift(), root.shift());
                let only = (root.present() == 1).then(|| root.slot(0).get().content());
                match only {
                    Some(Content::Node(_)) => panic!("a root too many"),
                    Some(Content::Entry(entry)) => assert!(entry.order() > 0, "fits into the head"),
                    _ => {}
                }
                nodes = check_node(root);
            }
        }
        assert_eq!(nodes, self.guard.used(), "nodes in use");
        for node in self.guard.free() {
            assert!(!node.is_in_use());
            assert_eq!((node.present(), all_marks(node)), (0, 0));
            assert!((0..SLOTS).all(|offset| node.slot(offset).get().is_empty()));
        }
    }
}

fn all_marks(node: &Node) -> u64 {
    Mark::ALL.iter().fold(0, |bits, &mark| bits | node.marked(mark))
}

/// Nodes from here on.
fn check_node(node: &Node) -> usize {
    assert!(node.is_in_use());
    assert_ne!(node.present(), 0, "an empty node");
    assert_eq!(all_marks(node) & !node.present(), 0, "a mark without an entry");
    let (mut nodes, mut offset) = (1, 0);
    while offset < SLOTS {
        assert_eq!(
            node.present() >> offset & 1 == 0,
            matches!(node.slot(offset).get().content(), Content::Empty),
        );
        match node.slot(offset).get().content() {
            Content::Empty => offset += 1,
            Content::Sibling(_) => panic!("a sibling of nothing"),
            Content::Node(child) => {
                assert!(child.parent().is_some_and(|parent| std::ptr::eq(parent, node)));
                assert_eq!(child.place(), place(node.index(offset), node.shift() - BITS));
                for mark in Mark::ALL {
                    let below = child.marked(mark) != 0;
                    assert_eq!(node.marked(mark) >> offset & 1 != 0, below, "{mark:?} below");
                }
                nodes += check_node(child);
                offset += 1;
            }
            Content::Entry(entry) => {
                assert_eq!(entry.order() / BITS * BITS, node.shift(), "an entry's level");
                let span = node.span(entry);
                assert_eq!(offset % span, 0, "an entry's place");
                for sibling in offset + 1..offset + span {
                    assert_eq!(node.slot(sibling).get().as_sibling(), Some(offset));
                    assert_eq!(node.present() >> sibling & 1, 0);
                }
                offset += span;
            }
        }
    }
    nodes
}
