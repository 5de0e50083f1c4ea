//! The kernel's log: what in it is a failure, and which lines tell of it.

/// Words of the log that tell of a failure, and its name. The first that fits names it.
const SIGNS: &[(&str, &str)] = &[
    ("Kernel panic - not syncing", "kernel panic"),
    ("BUG: KASAN", "KASAN report"),
    ("BUG: KCSAN", "KCSAN report"),
    ("BUG: KMSAN", "KMSAN report"),
    ("BUG: KFENCE", "KFENCE report"),
    ("BUG: Bad page", "bad page"),
    ("BUG: Bad rss-counter", "bad counter"),
    ("BUG: soft lockup", "soft lockup"),
    ("BUG: unable to handle", "kernel oops"),
    ("kernel BUG at", "kernel BUG"),
    ("BUG: ", "kernel BUG"),
    ("general protection fault", "kernel oops"),
    ("Oops: ", "kernel oops"),
    // As 6.1 says it: with nothing before the trap's name.
    (": 0000 [#", "kernel oops"),
    ("UBSAN: ", "UBSAN report"),
    ("WARNING: ", "kernel warning"),
    ("list_add corruption", "kernel BUG"),
    ("list_del corruption", "kernel BUG"),
    ("refcount_t: ", "kernel warning"),
    ("blocked for more than", "hung task"),
    ("detected stalls", "stalled CPU"),
    ("self-detected stall", "stalled CPU"),
    ("Out of memory: Killed", "out of memory"),
    ("EXT4-fs error", "file system error"),
    ("EXT4-fs warning", "file system error"),
    ("JBD2: Error", "file system error"),
    ("Corruption detected", "file system error"),
    ("Metadata corruption", "file system error"),
    ("Internal error", "file system error"),
    ("BTRFS error", "file system error"),
    ("BTRFS critical", "file system error"),
    ("BTRFS: error", "file system error"),
    ("F2FS-fs error", "file system error"),
    ("I/O error", "I/O error"),
];

/// A report's last line, where it has one.
const ENDS: &[&str] = &["---[ end trace", "---[ end Kernel panic", "</TASK>"];

/// A report is no longer than this, in lines.
pub const LONGEST: usize = 70;

/// So many reports are told apart; a kernel that says more has said enough.
const MANY: usize = 100;

/// Something that the log tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name: "kernel warning", for example.
    pub name: &'static str,
    /// The line that gave it away, without its time.
    pub line: String,
    /// Which lines of the log tell of it.
    pub lines: std::ops::Range<usize>,
}

/// The log as it comes in.
#[derive(Debug, Default)]
pub struct Log {
    /// All lines.
    pub lines: Vec<String>,
    /// What was found in them.
    pub faults: Vec<Fault>,
    /// Whether the last fault's report goes on.
    open: bool,
}

impl Log {
    /// One more line; whether it is the first of a new fault.
    pub fn push(&mut self, line: &str) -> bool {
        let at = self.lines.len();
        self.lines.push(line.to_owned());
        let ends = ENDS.iter().any(|end| line.contains(end));
        if let Some(fault) = self.faults.last_mut().filter(|_| self.open) {
            fault.lines.end = at + 1;
            self.open = !ends && fault.lines.len() < LONGEST;
            return false;
        }
        let sign = SIGNS.iter().find(|(sign, _)| line.contains(sign));
        let Some((_, name)) = sign.filter(|_| self.faults.len() < MANY) else {
            return false;
        };
        let cut = at > 0 && self.lines[at - 1].contains("cut here");
        let line = without_time(line).to_owned();
        self.faults.push(Fault { name, line, lines: at - usize::from(cut)..at + 1 });
        self.open = !ends;
        true
    }

    /// The lines that tell of a fault.
    pub fn report(&self, fault: &Fault) -> &[String] {
        &self.lines[fault.lines.clone()]
    }
}

/// A line of the log without `[   12.345678] ` and the like.
pub fn without_time(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match rest {
        Some((time, text)) if time.trim().starts_with(|c: char| c.is_ascii_digit()) => {
            text.trim_start()
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Log {
        let mut log = Log::default();
        text.lines().for_each(|line| {
            log.push(line);
        });
        log
    }

    #[test]
    fn a_report_is_one_fault_from_its_cut_to_its_end() {
        let log = log("\
[    1.0] all is well\n\
[    2.0] ------------[ cut here ]------------\n\
[    2.0] WARNING: CPU: 1 PID: 9 at mm/migrate.c:1 f+0x1/0x2\n\
[    2.0] BUG: whatever is said within a report\n\
[    2.0] ---[ end trace 0000000000000000 ]---\n\
[    3.0] quiet again\n\
[    4.0] Kernel panic - not syncing: Fatal exception\n");
        let names: Vec<_> = log.faults.iter().map(|fault| fault.name).collect();
        assert_eq!(names, ["kernel warning", "kernel panic"]);
        assert_eq!(log.faults[0].line, "WARNING: CPU: 1 PID: 9 at mm/migrate.c:1 f+0x1/0x2");
        assert_eq!(log.report(&log.faults[0]).len(), 4);
    }

    #[test]
    fn every_kind_of_report_is_known() {
        for (line, name) in [
            ("[ 1.0] BUG: KASAN: use-after-free in f", "KASAN report"),
            ("[ 1.0] BUG: KCSAN: data-race in f / g", "KCSAN report"),
            ("[ 1.0] BUG: Bad page state in process x  pfn:1", "bad page"),
            ("[ 1.0] BUG: Bad rss-counter state mm:0 type:MM_FILEPAGES val:1", "bad counter"),
            ("[ 1.0] kernel BUG at mm/rmap.c:1!", "kernel BUG"),
            ("[ 1.0] INFO: task x:1 blocked for more than 60 seconds.", "hung task"),
            ("[ 1.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "stalled CPU"),
            ("[ 1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", "soft lockup"),
            ("[ 1.0] Oops: 0000 [#1] PREEMPT SMP NOPTI", "kernel oops"),
            ("[ 1.0] int3: 0000 [#1] PREEMPT SMP NOPTI", "kernel oops"),
            ("[ 1.0] EXT4-fs error (device vda): f:1: bad", "file system error"),
        ] {
            let log = log(line);
            assert_eq!(log.faults.len(), 1, "{line}");
            assert_eq!(log.faults[0].name, name, "{line}");
        }
        for line in ["[ 1.0] Soft offlining pfn 0x1234", "[ 1.0] EXT4-fs (vda): mounted", "x"] {
            assert!(log(line).faults.is_empty(), "{line}");
        }
    }
}
