//! What the running machine has: memory nodes, folders by file system, privileges; and what of it
//! is changed for a while.
//!
//! A changed setting goes back when its [`Setting`] is dropped. It is written down in a journal
//! before it is changed, so that whoever started the case can [`undo`] it should the case die.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::needs::Need;
use super::sys;
use crate::verdict::{Failure, Wrong};

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fs {
    /// In memory.
    Tmpfs,
    /// The usual one.
    Ext4,
    /// Of large folios.
    Xfs,
    /// With copies on write on the disk.
    Btrfs,
    /// For flash memory.
    F2fs,
}

impl Fs {
    pub(crate) const ALL: [Self; 5] = [Self::Tmpfs, Self::Ext4, Self::Xfs, Self::Btrfs, Self::F2fs];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::F2fs => "f2fs",
        }
    }

    /// What a case lacks that has no folder on it.
    pub(crate) fn missing(self) -> &'static str {
        match self {
            Self::Tmpfs => "a folder on tmpfs (--dir)",
            Self::Ext4 => "a folder on ext4 (--dir)",
            Self::Xfs => "a folder on xfs (--dir)",
            Self::Btrfs => "a folder on btrfs (--dir)",
            Self::F2fs => "a folder on f2fs (--dir)",
        }
    }

    /// The one that a folder is on, if it is one of these.
    pub(crate) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let magic = rustix::fs::statfs(folder)?.f_type as u64;
        Ok(match magic {
            0x0102_1994 => Some(Self::Tmpfs),
            0xEF53 => Some(Self::Ext4),
            0x5846_5342 => Some(Self::Xfs),
            0x9123_683E => Some(Self::Btrfs),
            0xF2F5_2010 => Some(Self::F2fs),
            _ => None,
        })
    }
}

/// Why a case stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It cannot be tried here, for lack of this.
    Lacks(&'static str),
    /// Its claim does not hold.
    Fails(Failure),
}

impl Stop {
    pub fn fails(wrong: Wrong, detail: impl Into<String>) -> Self {
        Self::Fails(Failure { wrong, detail: detail.into() })
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fails(failure)
    }
}

/// A call that failed, and must not.
pub(crate) fn refused<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> Stop {
    move |error| Stop::fails(Wrong::Refused, format!("{doing}: {error}"))
}

/// The machine, as a case sees it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Nodes that have memory, by number.
    pub nodes: Vec<usize>,
    /// Whether everything is allowed.
    pub root: bool,
    /// Whether what can disturb other programs may be done.
    pub disruptive: bool,
    /// Folders for files.
    pub dirs: Vec<(PathBuf, Option<Fs>)>,
}

impl Machine {
    pub fn new(dirs: &[PathBuf], disruptive: bool) -> io::Result<Self> {
        let dirs = dirs.iter().map(|dir| Ok((dir.clone(), Fs::of(dir)?)));
        let root = rustix::process::geteuid().is_root();
        Ok(Self { nodes: nodes(), root, disruptive, dirs: dirs.collect::<io::Result<_>>()? })
    }

    /// The folder on a file system.
    pub fn dir(&self, fs: Fs) -> Result<&Path, Stop> {
        let found = self.dirs.iter().find(|(_, of)| *of == Some(fs));
        found.map(|(dir, _)| &**dir).ok_or(Stop::Lacks(fs.missing()))
    }

    /// A folder on a file system with a disk behind it.
    pub fn disk_dir(&self) -> Result<&Path, Stop> {
        let disks = [Fs::Ext4, Fs::Xfs];
        disks.into_iter().find_map(|fs| self.dir(fs).ok()).ok_or(Stop::Lacks(Need::Disk.text()))
    }

    /// Goes on only where the whole machine may be touched.
    pub fn may_disrupt(&self) -> Result<(), Stop> {
        if self.disruptive && self.root {
            Ok(())
        } else {
            Err(Stop::Lacks(Need::Disruptive.text()))
        }
    }

    /// Changes a setting of the kernel's, until the answer is dropped.
    pub fn set(&self, path: &str, value: &str) -> Result<Setting, Stop> {
        self.may_disrupt()?;
        let old =
            fs::read_to_string(path).map_err(|_| Stop::Lacks("that setting in this kernel"))?;
        let setting = Setting::Value { path: path.into(), old: chosen(&old).into() };
        self.journal(&setting).map_err(refused("writing down a setting"))?;
        fs::write(path, value).map_err(refused(path))?;
        Ok(setting)
    }

    /// Swaps to a file, until the answer is dropped.
    pub fn swap_to(&self, path: &Path) -> Result<Setting, Stop> {
        self.may_disrupt()?;
        let setting = Setting::Swap(path.to_owned());
        self.journal(&setting).map_err(refused("writing down a setting"))?;
        sys::swap_on(path).map_err(refused("swapon"))?;
        Ok(setting)
    }

    /// Makes a cpuset of its own for this process, until the answer is dropped.
    pub fn cpuset(&self) -> Result<Cpuset, Stop> {
        let (group, _settings) = self.group("+cpuset", "cpusets in cgroups (version 2)")?;
        let cpuset = Cpuset { group, _settings };
        cpuset.give(&self.nodes).map_err(refused("cpuset.mems"))?;
        join(&cpuset.group)?;
        Ok(cpuset)
    }

    /// Has what this process allocates counted for itself, until the answer is dropped.
    pub fn counted(&self) -> Result<Counted, Stop> {
        let lacks = "memory control in cgroups (version 2)";
        let (group, _settings) = self.group("+memory", lacks)?;
        join(&group)?;
        Ok(Counted { group, _settings })
    }

    /// Makes a cgroup that this process can join.
    fn group(
        &self,
        controller: &str,
        lacks: &'static str,
    ) -> Result<(PathBuf, Vec<Setting>), Stop> {
        self.may_disrupt()?;
        let mut settings = Vec::new();
        let root = match mounted() {
            Some(root) => root,
            None => {
                let (dir, _) = self.dirs.first().ok_or(Stop::Lacks("a folder (--dir)"))?;
                let root = dir.join("cgroup");
                fs::create_dir_all(&root).map_err(refused("a folder for cgroups"))?;
                let setting = Setting::Mount(root.clone());
                self.journal(&setting).map_err(refused("writing down a mount"))?;
                let flags = rustix::mount::MountFlags::empty();
                rustix::mount::mount("refolio", &root, "cgroup2", flags, None::<&std::ffi::CStr>)
                    .map_err(|_| Stop::Lacks("a kernel with cgroups (version 2)"))?;
                settings.push(setting);
                root
            }
        };
        fs::write(root.join("cgroup.subtree_control"), controller)
            .map_err(|_| Stop::Lacks(lacks))?;
        let group = root.join(format!("refolio-{}", std::process::id()));
        let setting = Setting::Group { group: group.clone(), home: home(&root) };
        self.journal(&setting).map_err(refused("writing down a cgroup"))?;
        fs::create_dir(&group).map_err(refused("making a cgroup"))?;
        settings.insert(0, setting);
        Ok((group, settings))
    }

    fn journal(&self, setting: &Setting) -> io::Result<()> {
        let Some((dir, _)) = self.dirs.first() else { return Ok(()) };
        let mut file = fs::OpenOptions::new().create(true).append(true).open(dir.join(JOURNAL))?;
        match setting {
            Setting::Value { path, old } => writeln!(file, "{path}\t{old}"),
            Setting::Swap(path) => writeln!(file, "swap\t{}", path.display()),
            Setting::Mount(path) => writeln!(file, "mount\t{}", path.display()),
            Setting::Group { group, home } => {
                writeln!(file, "cgroup\t{}\t{}", group.display(), home.display())
            }
        }
    }
}

/// Of `always [madvise] never`, what is chosen; anything else is a value as it is.
fn chosen(text: &str) -> &str {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text.trim(), |(chosen, _)| chosen)
}

const JOURNAL: &str = "settings";

/// Something that goes back to what it was.
#[derive(Debug)]
pub(crate) enum Setting {
    Value {
        path: String,
        old: String,
    },
    Swap(PathBuf),
    Mount(PathBuf),
    /// A cgroup, and the one that its processes came from.
    Group {
        group: PathBuf,
        home: PathBuf,
    },
}

/// A cpuset that this process is in.
#[derive(Debug)]
pub(crate) struct Cpuset {
    group: PathBuf,
    _settings: Vec<Setting>,
}

impl Cpuset {
    /// Gives it the memory of these nodes, and no other.
    pub fn give(&self, nodes: &[usize]) -> io::Result<()> {
        let nodes: Vec<_> = nodes.iter().map(usize::to_string).collect();
        fs::write(self.group.join("cpuset.mems"), nodes.join(","))
    }

    /// Has all its pages moved to one of these nodes, wherever they are.
    pub fn send(&self, nodes: &[usize], to: usize) -> io::Result<()> {
        steps(nodes, to).iter().try_for_each(|nodes| self.give(nodes))
    }
}

/// What a cpuset is given so that its pages go to a node. The kernel moves what is on nodes that are
/// taken away, and does nothing where it is told what it knows: a page that was busy once would
/// never be asked again. So all is given first, which moves nothing, and then taken away.
fn steps(nodes: &[usize], to: usize) -> [Vec<usize>; 2] {
    [nodes.to_vec(), vec![to]]
}

/// A cgroup that this process is in, whose memory is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    group: PathBuf,
    _settings: Vec<Setting>,
}

impl Counted {
    /// Pages that are charged to it.
    pub fn pages(&self) -> io::Result<i64> {
        let bytes = fs::read_to_string(self.group.join("memory.current"))?;
        let bytes: i64 = bytes.trim().parse().map_err(io::Error::other)?;
        Ok(bytes / refolio::PAGE_SIZE as i64)
    }
}

fn join(group: &Path) -> Result<(), Stop> {
    let me = std::process::id().to_string();
    fs::write(group.join("cgroup.procs"), me).map_err(refused("joining a cgroup"))
}

/// Where cgroups (version 2) are mounted.
fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.find(|fields| fields.get(2) == Some(&"cgroup2")).map(|fields| fields[1].into())
}

/// The cgroup that this process is in.
fn home(root: &Path) -> PathBuf {
    let all = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let ours = all.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    root.join(ours)
}

impl Drop for Setting {
    fn drop(&mut self) {
        // What cannot be put back now, cannot be put back by anybody.
        let _ = match self {
            Self::Value { path, old } => fs::write(path, old),
            Self::Swap(path) => sys::swap_off(path),
            Self::Mount(path) => {
                rustix::mount::unmount(&*path, rustix::mount::UnmountFlags::DETACH)
                    .map_err(io::Error::from)
                    .and_then(|()| fs::remove_dir(path))
            }
            Self::Group { group, home } => leave(group, home),
        };
    }
}

/// Takes all processes out of a group, and removes it.
fn leave(group: &Path, home: &Path) -> io::Result<()> {
    let processes = fs::read_to_string(group.join("cgroup.procs"))?;
    processes.lines().try_for_each(|process| fs::write(home.join("cgroup.procs"), process))?;
    fs::remove_dir(group)
}

/// Puts back what a case that died has left changed, newest first. `dir` is its first folder.
pub fn undo(dir: &Path) {
    let journal = dir.join(JOURNAL);
    let Ok(text) = fs::read_to_string(&journal) else { return };
    for (path, old) in text.lines().rev().filter_map(|line| line.split_once('\t')) {
        drop(match path {
            "swap" => Setting::Swap(old.into()),
            "mount" => Setting::Mount(old.into()),
            "cgroup" => {
                let (group, home) = old.split_once('\t').unwrap_or((old, "/"));
                Setting::Group { group: group.into(), home: home.into() }
            }
            path => Setting::Value { path: path.into(), old: old.into() },
        });
    }
    let _ = fs::remove_file(journal);
}

/// The nodes that have memory.
fn nodes() -> Vec<usize> {
    let list = fs::read_to_string("/sys/devices/system/node/has_memory");
    numbers(list.as_deref().unwrap_or("0"))
}

/// The numbers of a list such as `0-2,4`.
pub(crate) fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choices_are_understood() {
        assert_eq!(numbers("0-2,4\n"), [0, 1, 2, 4]);
        assert!(numbers("").is_empty());
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen("17\n"), "17");
    }

    /// The kernel's rule, as far as it matters here: pages leave nodes that are taken away, if they
    /// are not busy, and nothing is asked of them when nothing is new.
    struct Mems {
        mems: Vec<usize>,
        page: usize,
    }

    impl Mems {
        fn give(&mut self, mems: &[usize], busy: bool) {
            let taken = self.mems.contains(&self.page) && !mems.contains(&self.page);
            if self.mems != mems && taken && !busy {
                self.page = mems[0];
            }
            self.mems = mems.to_vec();
        }
    }

    #[test]
    fn a_page_that_was_too_busy_for_a_cpuset_is_asked_again() {
        let nodes = [0, 1, 2];
        let mut kernel = Mems { mems: nodes.to_vec(), page: 0 };
        for (to, busy) in [(1, true), (1, true), (1, false), (2, true), (0, false), (0, false)] {
            let stays = kernel.page;
            steps(&nodes, to).iter().for_each(|mems| kernel.give(mems, busy));
            assert_eq!(kernel.page, if busy { stays } else { to });
        }
    }

    #[test]
    fn what_a_dead_case_changed_goes_back_newest_first() {
        let dir = std::env::temp_dir().join(format!("refolio-undo-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let value = dir.join("value");
        fs::write(&value, "9").unwrap();
        let path = value.display();
        fs::write(dir.join(JOURNAL), format!("{path}\tfirst\n{path}\tsecond\n")).unwrap();
        undo(&dir);
        assert_eq!(fs::read_to_string(&value).unwrap(), "first");
        assert!(!dir.join(JOURNAL).exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
