//! Copies between the program's own bytes and frames as words of 64 bits: relaxed atomic loads
//! and stores of whole, aligned words and nothing else, since the memory model forbids accesses
//! of different sizes to race. This is what runs on processors other than x86-64, under the model
//! checker, and (`--cfg refolio_tsan`) under ThreadSanitizer, which sees no inline assembly.
//!
//! A part of a word is written by loading the word and storing it back changed. That is no race
//! with other writers, of which there is never more than one (rule 3), and to a reader the rest
//! of the word is written with what it held.

use crate::sync::{AtomicU64, Relaxed};

/// Bytes in a word.
pub(super) const WORD: usize = 8;

/// Reads the bytes from `start` on.
pub(super) fn load(words: &[AtomicU64], start: usize, into: &mut [u8]) {
    let (first, skip) = (start / WORD, start % WORD);
    let head_len = ((WORD - skip) % WORD).min(into.len());
    let (head, rest) = into.split_at_mut(head_len);
    let (whole, tail) = rest.as_chunks_mut::<WORD>();
    // Relaxed, here and below: who reads while another writes looks at the folio's version
    // before and after, and that orders the two.
    let word = |index: usize| words[index].load(Relaxed).to_ne_bytes();
    if !head.is_empty() {
        head.copy_from_slice(&word(first)[skip..skip + head_len]);
    }
    let body = first + usize::from(skip != 0);
    for (index, bytes) in (body..).zip(whole.iter_mut()) {
        *bytes = word(index);
    }
    if !tail.is_empty() {
        tail.copy_from_slice(&word(body + whole.len())[..tail.len()]);
    }
}

/// Writes the bytes from `start` on.
pub(super) fn store(words: &[AtomicU64], start: usize, from: &[u8]) {
    let (first, skip) = (start / WORD, start % WORD);
    let (head, rest) = from.split_at(((WORD - skip) % WORD).min(from.len()));
    let (whole, tail) = rest.as_chunks::<WORD>();
    if !head.is_empty() {
        store_part(&words[first], skip, head);
    }
    let body = first + usize::from(skip != 0);
    for (index, bytes) in (body..).zip(whole) {
        words[index].store(u64::from_ne_bytes(*bytes), Relaxed); // Relaxed: see `load`.
    }
    if !tail.is_empty() {
        store_part(&words[body + whole.len()], 0, tail);
    }
}

fn store_part(word: &AtomicU64, skip: usize, from: &[u8]) {
    // Relaxed: nobody else writes this word; for readers see `load`.
    let mut bytes = word.load(Relaxed).to_ne_bytes();
    bytes[skip..skip + from.len()].copy_from_slice(from);
    word.store(u64::from_ne_bytes(bytes), Relaxed);
}

/// Writes zeros to the `len` bytes from `start` on.
pub(super) fn zero(words: &[AtomicU64], start: usize, len: usize) {
    const ZEROS: [u8; 256] = [0; 256];
    for at in (0..len).step_by(ZEROS.len()) {
        store(words, start + at, &ZEROS[..ZEROS.len().min(len - at)]);
    }
}

/// Copies `len` bytes, where all three numbers are multiples of a word.
pub(super) fn copy(words: &[AtomicU64], from: usize, to: usize, len: usize) {
    debug_assert!([from, to, len].iter().all(|n| n % WORD == 0), "frames are whole words");
    for at in 0..len / WORD {
        // Relaxed: see `load`.
        words[to / WORD + at].store(words[from / WORD + at].load(Relaxed), Relaxed);
    }
}
