//! A child with a copy of this process's memory.

use std::io;

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

/// A forked child, which is waited for.
#[derive(Debug)]
pub(in super::super) struct Child(Pid);

/// Forks; the child does `act` and ends with the code that it answers.
///
/// `act` may look at memory and make system calls. It must not wait for another thread of ours:
/// there is none in the child, and what one held at the moment of the fork stays held.
pub(in super::super) fn fork(act: impl FnOnce() -> u8) -> io::Result<Child> {
    // SAFETY: the child runs `act` alone, under the conditions above (the C library makes its
    // allocator usable in a child), and leaves without unwinding or running anybody's destructors.
    unsafe {
        match libc::fork() {
            0 => {
                let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
                libc::_exit(acted.unwrap_or(u8::MAX).into())
            }
            -1 => Err(io::Error::last_os_error()),
            pid => Ok(Child(Pid::from_raw(pid).expect("a child's number is not 0"))),
        }
    }
}

impl Child {
    /// How it ended, if it has.
    pub fn ended(&self) -> io::Result<Option<WaitStatus>> {
        Ok(waitpid(Some(self.0), WaitOptions::NOHANG)?.map(|(_, status)| status))
    }

    /// Ends it.
    pub fn kill(&self) {
        // One that has ended is nobody's problem.
        let _ = rustix::process::kill_process(self.0, rustix::process::Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}
