//! A place for swapped pages, and file systems that are mounted for a while.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::answer;

fn name(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// Begins to swap to a file.
pub(in super::super) fn swap_on(path: &Path) -> io::Result<()> {
    let path = name(path)?;
    // SAFETY: reads a name that ends with a zero.
    answer(unsafe { libc::swapon(path.as_ptr(), 0) }.into()).map(drop)
}

/// Ends it: all swapped pages come back.
pub(in super::super) fn swap_off(path: &Path) -> io::Result<()> {
    let path = name(path)?;
    // SAFETY: as above.
    answer(unsafe { libc::swapoff(path.as_ptr()) }.into()).map(drop)
}
