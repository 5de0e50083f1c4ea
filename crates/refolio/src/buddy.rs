//! The free frames of one node: a buddy allocator. Plain data under the node's lock.
//!
//! A free block of order `o` is `2^o` frames whose first number is a multiple of `2^o`. Each order
//! has a list of its free blocks. To allocate, the smallest block that is large enough is halved
//! until it fits; to free, a block is joined with its buddy (the block it was once halved from,
//! whose number differs in one bit) as long as that one is free too.
//!
//! Lists are last in, first out: the frame freed last is the one that may still be in the
//! processor's cache. They are doubly linked through flat arrays, 9 bytes a frame; an array of
//! zeros is an empty allocator, so what was never free costs no memory.

use crate::sync::rule;
use crate::units::{FrameNo, MAX_ORDER, pages};

/// The free frames of a node by order.
///
/// # Invariants
/// - A frame's tag is `order + 1` if it is the first of a free block of that order, else 0.
/// - The blocks with tag `o + 1` are exactly the members of list `o`; bit `o` of `orders` is set
///   exactly if it has any.
/// - Free blocks do not overlap, and no two free blocks of one order below the largest are
///   buddies.
#[derive(Hash)]
pub(crate) struct Buddy {
    first: u32,
    tags: Vec<u8>,
    links: Vec<Links>,
    heads: [u32; MAX_ORDER as usize + 1],
    orders: u32,
    free_frames: u32,
}

/// The neighbours in the list, as index + 1; 0 is the end.
#[derive(Clone, Copy, Hash)]
struct Links {
    next: u32,
    prev: u32,
}

impl Buddy {
    /// All of the `frames` frames from `first` on, free.
    pub fn new(first: FrameNo, frames: u32) -> Self {
        let none = Links { next: 0, prev: 0 };
        let mut new = Self {
            first: first.0,
            tags: vec![0; frames as usize],
            links: vec![none; frames as usize],
            heads: [0; MAX_ORDER as usize + 1],
            orders: 0,
            free_frames: frames,
        };
        // From the end, so that the lowest frames are handed out first.
        let mut end = frames;
        while end > 0 {
            let order = new.largest_block_before(end);
            end -= pages(order);
            new.push(end, order);
        }
        new
    }

    /// The order of the largest block that ends at `end` and starts at 0 or later.
    fn largest_block_before(&self, end: u32) -> u32 {
        let aligned = (u64::from(self.first) + u64::from(end)).trailing_zeros();
        aligned.min(end.ilog2()).min(MAX_ORDER)
    }

    /// `2^order` frames, of which the first has a number that is a multiple of as much. `None` if
    /// no free block is that large.
    #[doc(alias = "__rmqueue_smallest")]
    pub fn alloc(&mut self, order: u32) -> Option<FrameNo> {
        debug_assert!(order <= MAX_ORDER);
        let large_enough = self.orders & (u32::MAX << order);
        if large_enough == 0 {
            return None;
        }
        let from = large_enough.trailing_zeros();
        let block = self.heads[from as usize] - 1;
        self.remove(block, from);
        for half in (order..from).rev() {
            self.push(block + pages(half), half);
        }
        self.free_frames -= pages(order);
        Some(FrameNo(self.first + block))
    }

    /// Takes back what [`alloc`](Self::alloc) gave out, whole or in aligned parts.
    #[doc(alias = "__free_one_page")]
    pub fn free(&mut self, frame: FrameNo, mut order: u32) {
        let mut block = frame.0 - self.first;
        debug_assert!(
            frame.0.is_multiple_of(pages(order)),
            "{frame:?} is not aligned to order {order}"
        );
        rule(!self.is_free(block), "a frame is freed twice");
        self.free_frames += pages(order);
        while order < MAX_ORDER
            && let Some(buddy) = self.free_buddy(block, order)
        {
            self.remove(buddy, order);
            block = block.min(buddy);
            order += 1;
        }
        self.push(block, order);
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> u32 {
        self.free_frames
    }

    /// The largest order that [`alloc`](Self::alloc) can serve now.
    pub fn largest_free_order(&self) -> Option<u32> {
        self.orders.checked_ilog2()
    }

    /// The block that `block` was halved from together with, if it is free as a whole.
    fn free_buddy(&self, block: u32, order: u32) -> Option<u32> {
        let buddy = ((self.first + block) ^ pages(order)).checked_sub(self.first)?;
        let tag = *self.tags.get(buddy as usize)?;
        (u32::from(tag) == order + 1).then_some(buddy)
    }

    /// Whether any free block covers the frame: for assertions.
    fn is_free(&self, index: u32) -> bool {
        (0..=MAX_ORDER).any(|order| {
            let head = (self.first + index) & !(pages(order) - 1);
            let tag = head.checked_sub(self.first).map(|head| self.tags[head as usize]);
            tag == Some(order as u8 + 1)
        })
    }

    fn push(&mut self, block: u32, order: u32) {
        let head = &mut self.heads[order as usize];
        let next = std::mem::replace(head, block + 1);
        self.links[block as usize] = Links { next, prev: 0 };
        if next != 0 {
            self.links[next as usize - 1].prev = block + 1;
        }
        self.tags[block as usize] = order as u8 + 1;
        self.orders |= 1 << order;
    }

    fn remove(&mut self, block: u32, order: u32) {
        let Links { next, prev } = self.links[block as usize];
        if next != 0 {
            self.links[next as usize - 1].prev = prev;
        }
        if prev != 0 {
            self.links[prev as usize - 1].next = next;
        } else {
            self.heads[order as usize] = next;
            if next == 0 {
                self.orders &= !(1 << order);
            }
        }
        self.tags[block as usize] = 0;
    }
}

#[cfg(all(test, not(refolio_model)))]
mod tests {
    use super::*;

    /// What is free, frame by frame.
    struct Naive {
        first: u32,
        free: Vec<bool>,
    }

    impl Naive {
        fn block(&mut self, frame: FrameNo, order: u32) -> &mut [bool] {
            let at = (frame.0 - self.first) as usize;
            &mut self.free[at..][..pages(order) as usize]
        }

        fn can_serve(&self, order: u32) -> bool {
            let size = pages(order);
            let last = self.first + self.free.len() as u32;
            let mut starts = (self.first.next_multiple_of(size)..last).step_by(size as usize);
            starts.any(|start| {
                let at = (start - self.first) as usize;
                self.free.get(at..at + size as usize).is_some_and(|all| all.iter().all(|f| *f))
            })
        }
    }

    fn agree(buddy: &Buddy, naive: &Naive) {
        assert_eq!(buddy.free_frames() as usize, naive.free.iter().filter(|free| **free).count());
        let largest = (0..=MAX_ORDER).rev().find(|order| naive.can_serve(*order));
        assert_eq!(buddy.largest_free_order(), largest);
    }

    #[test]
    fn agrees_with_a_naive_allocator() {
        for seed in 0..60 {
            let mut rng = fastrand::Rng::with_seed(seed);
            // Nodes that start anywhere, and of any length.
            let (first, frames) = (rng.u32(0..3000), rng.u32(1..4000));
            let mut buddy = Buddy::new(FrameNo(first), frames);
            let mut naive = Naive { first, free: vec![true; frames as usize] };
            let mut held = Vec::new();
            for step in 0..3000 {
                // Fills up and empties in turn.
                let fill = if step / 500 % 2 == 0 { 0.7 } else { 0.3 };
                if rng.f64() < fill {
                    let order = rng.u32(0..=MAX_ORDER).min(rng.u32(0..=MAX_ORDER));
                    let got = buddy.alloc(order);
                    assert_eq!(got.is_some(), naive.can_serve(order), "seed {seed}, step {step}");
                    if let Some(frame) = got {
                        assert_eq!(frame.0 % pages(order), 0);
                        let block = naive.block(frame, order);
                        assert!(block.iter().all(|free| *free), "seed {seed}: {frame:?} twice");
                        block.fill(false);
                        held.push((frame, order));
                    }
                } else if !held.is_empty() {
                    let (frame, order) = held.swap_remove(rng.usize(..held.len()));
                    buddy.free(frame, order);
                    naive.block(frame, order).fill(true);
                }
                if step % 50 == 0 {
                    agree(&buddy, &naive);
                }
            }
            for (frame, order) in held {
                buddy.free(frame, order);
            }
            naive.free.fill(true);
            agree(&buddy, &naive);
        }
    }

    #[test]
    fn hands_out_every_frame_from_the_lowest_up() {
        let mut buddy = Buddy::new(FrameNo(1024), 1024);
        for frame in 1024..2048 {
            assert_eq!(buddy.alloc(0), Some(FrameNo(frame)));
        }
        assert_eq!((buddy.free_frames(), buddy.largest_free_order()), (0, None));
    }

    #[test]
    fn the_frame_freed_last_is_handed_out_first() {
        let mut buddy = Buddy::new(FrameNo(0), 512);
        let (a, _b, c) = (buddy.alloc(0).unwrap(), buddy.alloc(0), buddy.alloc(0).unwrap());
        buddy.free(a, 0);
        buddy.free(c, 0);
        // `c` went up with its buddy; the only single frame is `a`.
        assert_eq!(buddy.alloc(0), Some(a));
        assert_eq!(buddy.alloc(1), Some(c));
    }

    #[test]
    fn a_folio_is_taken_back_in_parts() {
        let mut buddy = Buddy::new(FrameNo(512), 512);
        let folio = buddy.alloc(MAX_ORDER).unwrap();
        for part in (0..512).step_by(4) {
            buddy.free(folio.add(part), 2);
        }
        assert_eq!(buddy.alloc(MAX_ORDER), Some(folio));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "freed twice")]
    fn a_frame_freed_twice_is_noticed() {
        let mut buddy = Buddy::new(FrameNo(0), 64);
        let frame = buddy.alloc(0).unwrap();
        buddy.free(frame, 0);
        buddy.free(frame, 0);
    }
}
