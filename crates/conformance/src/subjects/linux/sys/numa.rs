//! Memory nodes: where pages are, and how they are moved.

use std::io;

use super::answer;

/// What the kernel says of where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Where {
    /// On this node.
    Node(usize),
    /// Nowhere, or not to be moved: an error number.
    Not(i32),
}

/// Who may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mover {
    /// Pages that only this process has.
    Own = 1 << 1,
    /// Pages of several processes, too.
    All = 1 << 2,
}

/// Most pages that are asked about at a time.
const BATCH: usize = 1024;

/// Where the pages at these addresses are.
pub(in super::super) fn where_are(addresses: &[usize]) -> io::Result<Vec<Where>> {
    let mut found = Vec::with_capacity(addresses.len());
    for addresses in addresses.chunks(BATCH) {
        let mut status = vec![-libc::ENOENT; addresses.len()];
        // SAFETY: reads `len` addresses and writes `len` numbers; without nodes nothing moves.
        answer(unsafe {
            libc::syscall(
                libc::SYS_move_pages,
                0,
                addresses.len(),
                addresses.as_ptr(),
                std::ptr::null::<i32>(),
                status.as_mut_ptr(),
                0,
            )
        })?;
        found.extend(status.into_iter().map(place));
    }
    Ok(found)
}

fn place(status: i32) -> Where {
    usize::try_from(status).map_or(Where::Not(-status), Where::Node)
}

/// Moves the pages at these addresses to a node; the kernel's word on each.
pub(in super::super) fn move_to(
    addresses: &[usize],
    node: usize,
    mover: Mover,
) -> io::Result<Vec<Where>> {
    let mut found = Vec::with_capacity(addresses.len());
    for addresses in addresses.chunks(BATCH) {
        found.extend(move_each(addresses, &vec![node as i32; addresses.len()], mover)?);
    }
    Ok(found)
}

/// Moves the page at each address to the node that belongs to it, one after the other in one call;
/// an address may be there several times.
pub(in super::super) fn move_each(
    addresses: &[usize],
    nodes: &[i32],
    mover: Mover,
) -> io::Result<Vec<Where>> {
    assert_eq!(addresses.len(), nodes.len(), "a node for each address");
    // A page that the kernel says nothing of has not been reached.
    let mut status = vec![-libc::EAGAIN; addresses.len()];
    // SAFETY: reads `len` addresses and nodes, writes `len` numbers. Moving a page changes neither
    // its address nor its bytes, or that is what we are here to find.
    let answered = answer(unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            addresses.len(),
            addresses.as_ptr(),
            nodes.as_ptr(),
            status.as_mut_ptr(),
            mover as i32,
        )
    });
    match answered {
        Ok(_) => {}
        // Older kernels answer so when there was nothing to move.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        Err(error) => return Err(error),
    }
    Ok(status.into_iter().map(place).collect())
}

/// Moves all memory of a process (0: this one) from a node to another; how many pages did not.
pub(in super::super) fn migrate_all(process: u32, from: usize, to: usize) -> io::Result<usize> {
    let (from, to) = (1u64 << from, 1u64 << to);
    // SAFETY: reads two masks of 64 bits each (the kernel takes one bit less than it is told).
    answer(unsafe {
        libc::syscall(libc::SYS_migrate_pages, process, 65, &raw const from, &raw const to)
    })
}

/// Binds a range to a node, and moves its pages there. Whether all went.
pub(in super::super) fn bind(
    start: usize,
    len: usize,
    node: usize,
    mover: Mover,
) -> io::Result<bool> {
    let mask = 1u64 << node;
    // STRICT: an error when a page did not move.
    let flags = mover as usize | 1;
    let (policy, most) = (libc::MPOL_BIND, 65);
    // SAFETY: reads a mask of 64 bits. A policy changes no byte and no address.
    let bound = answer(unsafe {
        libc::syscall(libc::SYS_mbind, start, len, policy, &raw const mask, most, flags)
    });
    match bound {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
        Err(error) => Err(error),
    }
}

/// New pages of the calling thread come from this node, while it has some.
pub(in super::super) fn prefer(node: usize) -> io::Result<()> {
    let mask = 1u64 << node;
    // SAFETY: reads a mask of 64 bits. A policy changes no byte and no address.
    answer(unsafe {
        libc::syscall(libc::SYS_set_mempolicy, libc::MPOL_PREFERRED, &raw const mask, 65)
    })
    .map(drop)
}
