//! What the kernel says while cases run: root may listen.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The kernel's log, from now on.
#[derive(Debug)]
pub struct KernelLog {
    file: Option<File>,
    /// Counters that are wrong stay so: each is told of once.
    drifts: HashSet<String>,
}

/// What in a line means that the kernel is broken.
const BROKEN: &[&str] = &[
    "BUG:",
    "kernel BUG at",
    "WARNING: CPU",
    "WARNING: mm/",
    "KASAN",
    "KCSAN",
    "Oops",
    "general protection fault",
    "bad page state",
    "Bad page state",
    "Bad page map",
    "blocked for more than",
    "soft lockup",
    "rcu_preempt detected stalls",
    "possible recursive locking",
    "possible circular locking",
    "page_table_check",
    "list_add corruption",
    "list_del corruption",
];

impl KernelLog {
    /// Listens, if that is allowed.
    pub fn open() -> Self {
        let options = &mut std::fs::OpenOptions::new();
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let opened = options.read(true).custom_flags(flags).open("/dev/kmsg");
        let file = opened.ok().filter(|mut file| file.seek(SeekFrom::End(0)).is_ok());
        Self { file, drifts: HashSet::new() }
    }

    /// The warnings since the last call, and worse.
    pub fn warnings(&mut self) -> Vec<String> {
        let Some(file) = &mut self.file else { return Vec::new() };
        // Has the kernel add up its counters: it says which are below nothing.
        let _ = std::fs::read("/proc/sys/vm/stat_refresh");
        let (mut lines, mut record) = (Vec::new(), [0; 8192]);
        // Each read is one record; a record that was overwritten is an error, and the next goes on.
        let mut overwritten = 0;
        while overwritten < 3 {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(read) => lines.extend(warning(&String::from_utf8_lossy(&record[..read]))),
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => overwritten += 1,
                Err(_) => break,
            }
        }
        let drifts = &mut self.drifts;
        lines.retain(|line| !line.starts_with(DRIFT) || drifts.insert(line.clone()));
        lines
    }
}

/// How the kernel tells of a counter below nothing.
const DRIFT: &str = "vmstat_refresh:";

/// What a line says is wrong, if it does.
pub fn wrong(line: &str) -> Option<&'static str> {
    if line.starts_with(DRIFT) {
        return Some("miscounted");
    }
    is_broken(line).then_some("kernel log")
}

/// The text of a record, if it is a warning: `priority,number,microseconds,flags;text`.
fn warning(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let line = text.lines().next()?;
    // The lines that follow a BUG, of whatever priority, tell its story.
    (priority & 7 <= 4 || is_broken(line)).then(|| line.to_owned())
}

/// Whether the line says that the kernel is broken.
fn is_broken(line: &str) -> bool {
    BROKEN.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_heard_and_bugs_are_known() {
        assert_eq!(warning("4,12,99,-;a warning\n SUBSYSTEM=x\n").as_deref(), Some("a warning"));
        assert_eq!(warning("6,12,99,-;mounted\n"), None);
        assert_eq!(warning("nonsense"), None);
        assert_eq!(wrong("vmstat_refresh: nr_isolated_anon -511"), Some("miscounted"));
        assert!(is_broken("BUG: Bad page state in process refolio"));
        assert!(!is_broken("EXT4-fs (vda): mounted filesystem"));
    }
}
