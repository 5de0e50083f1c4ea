//! What a case needs of the machine. What can be told beforehand ([`Need::is_met`]) is looked at before
//! the case is begun; what only a try can tell, the case says when it has tried.

use std::fmt;

use super::column::Column;
use super::kind::{Kind, State};
use super::machine::{Fs, Machine};
use super::movers::Trigger;

/// Something that a case cannot be played without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Two memory nodes.
    Nodes,
    /// Root.
    Root,
    /// Leave to disturb other programs, and root.
    Disruptive,
    /// A folder on this file system.
    Folder(Fs),
    /// A folder on a file system with a disk behind it.
    Disk,
    /// Something that the kernel may be built or set up without.
    Kernel(&'static str),
}

impl Need {
    /// Its name.
    pub fn text(self) -> &'static str {
        match self {
            Self::Nodes => "two memory nodes",
            Self::Root => "root",
            Self::Disruptive => "--disruptive, and root: it touches the whole machine",
            Self::Folder(fs) => fs.missing(),
            Self::Disk => "a folder on ext4 or xfs (--dir)",
            Self::Kernel(what) => what,
        }
    }

    /// Whether the machine has it; true where only a try can tell.
    pub(crate) fn is_met(self, machine: &Machine) -> bool {
        match self {
            Self::Nodes => machine.nodes.len() >= 2,
            Self::Root => machine.root,
            Self::Disruptive => machine.may_disrupt().is_ok(),
            Self::Folder(fs) => machine.dir(fs).is_ok(),
            Self::Disk => machine.disk_dir().is_ok(),
            Self::Kernel(_) => true,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Trigger {
    pub fn needs(self) -> &'static [Need] {
        match self {
            Self::MovePages | Self::MigratePages | Self::Mbind => &[Need::Nodes],
            Self::Cpuset => {
                &[Need::Nodes, Need::Disruptive, Need::Kernel("cpusets in cgroups (version 2)")]
            }
            Self::Compaction => &[Need::Disruptive],
            Self::Offline => &[Need::Disruptive, Need::Kernel("memory that can go offline")],
            Self::SoftOffline => {
                &[Need::Disruptive, Need::Kernel("frames that can be taken offline")]
            }
            Self::LongtermPin => {
                &[Need::Root, Need::Kernel("io_uring"), Need::Kernel("a movable zone")]
            }
        }
    }
}

impl Kind {
    pub fn needs(self) -> Vec<Need> {
        match self {
            Self::Anon | Self::AnonShared | Self::Memfd | Self::Mlocked => Vec::new(),
            Self::Thp => vec![Need::Kernel("transparent huge pages")],
            Self::MemfdHuge => vec![Need::Disruptive, Need::Kernel("huge pages of shmem")],
            Self::Hugetlb => vec![Need::Disruptive, Need::Kernel("a pool of huge pages")],
            Self::Ksm => vec![Need::Disruptive, Need::Kernel("KSM")],
            Self::SwapCache => vec![Need::Disruptive, Need::Disk, Need::Kernel("swap")],
            Self::File(fs, State::Large) => {
                vec![Need::Folder(fs), Need::Root, Need::Kernel("large folios in that file system")]
            }
            Self::File(fs, _) => vec![Need::Folder(fs)],
        }
    }
}

impl Column {
    pub fn needs(self) -> &'static [Need] {
        match self {
            Self::Direct => &[Need::Disk],
            Self::DropCaches => &[Need::Disruptive],
            _ => &[],
        }
    }
}

/// All of these, each once. (Who may disturb others is root.)
pub(crate) fn together(parts: &[&[Need]]) -> Vec<Need> {
    let mut all: Vec<Need> = Vec::new();
    for need in parts.iter().copied().flatten() {
        if !all.contains(need) {
            all.push(*need);
        }
    }
    if all.contains(&Need::Disruptive) {
        all.retain(|need| *need != Need::Root);
    }
    all
}
