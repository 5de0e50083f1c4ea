//! Runs of bytes, and what files should hold.

use refolio::PAGE_SIZE;

/// Compares bytes, and names the first page that differs.
#[track_caller]
pub fn same(found: &[u8], expected: &[u8], what: &str) {
    if found == expected {
        return;
    }
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap();
    let (page, within) = (at / PAGE_SIZE, at % PAGE_SIZE);
    let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
    panic!(
        "{what}: byte {within} of page {page} is {:#x}, not {:#x}; {differ} bytes differ",
        found[at], expected[at]
    );
}

/// Writes bytes to what a file should hold.
pub fn put(bytes: &mut Vec<u8>, offset: usize, from: &[u8]) {
    if from.is_empty() {
        return;
    }
    let end = offset + from.len();
    if end > bytes.len() {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(from);
}
