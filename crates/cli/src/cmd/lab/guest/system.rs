//! What the guest asks of its kernel: mounts, modules, devices.

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount};

/// The file systems that every program expects, and those that tests of memory need.
const MOUNTS: &[(&str, &str, bool)] = &[
    // Where, which, and whether nothing goes without it.
    ("/dev", "devtmpfs", true),
    ("/proc", "proc", true),
    ("/sys", "sysfs", true),
    ("/tmp", "tmpfs", true),
    ("/sys/kernel/debug", "debugfs", false),
    ("/sys/kernel/tracing", "tracefs", false),
    ("/sys/fs/cgroup", "cgroup2", false),
];

/// A hung task is told of after this many seconds.
const HUNG_S: &str = "45";

/// Mounts them.
pub fn mount_all() -> Result<(), String> {
    for (place, fs, needed) in MOUNTS {
        let mounted = fs::create_dir_all(place)
            .map_err(|error| error.to_string())
            .and_then(|()| attach(fs, place, fs, None));
        if let Err(why) = mounted
            && *needed
            && !mounted_already(place)
        {
            return Err(format!("the kernel lacks {fs}: {why}"));
        }
    }
    Ok(())
}

/// Kernels with `CONFIG_DEVTMPFS_MOUNT` have mounted `/dev` before.
fn mounted_already(place: &str) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(place))
}

fn attach(source: &str, place: &str, fs: &str, data: Option<&CStr>) -> Result<(), String> {
    mount(source, place, fs, MountFlags::empty(), data).map_err(|error| error.to_string())
}

/// Loads modules, in the order given.
pub fn load(modules: &[String]) -> Result<(), String> {
    for name in modules {
        let refused = |error: String| {
            format!(
                "the kernel refuses its module {name}: {error}: do --kernel and --modules match?"
            )
        };
        let file = fs::File::open(format!("/modules/{name}"));
        let file = file.map_err(|error| refused(error.to_string()))?;
        match rustix::system::finit_module(file, c"", 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A driver of what this machine does not have.
            Err(Errno::NODEV) => {}
            Err(error) => return Err(refused(error.to_string())),
        }
    }
    Ok(())
}

/// Refuses a kernel that does not see as many nodes as there are.
pub fn check_nodes(nodes: u64) -> Result<(), String> {
    let found = fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
    let found = found.filter(|entry| {
        let name = entry.file_name();
        let number = name.to_string_lossy().strip_prefix("node").map(str::to_owned);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    match found.count() as u64 {
        count if count == nodes => Ok(()),
        0 => Err("the kernel knows no memory nodes: build it with CONFIG_NUMA and \
             CONFIG_X86_64_ACPI_NUMA"
            .into()),
        count => Err(format!(
            "the kernel sees {count} of {nodes} memory nodes: build it with CONFIG_NUMA and \
             CONFIG_X86_64_ACPI_NUMA, and leave numa=off out of --append"
        )),
    }
}

/// Settings that a machine for tests wants; a kernel without one of them goes without it.
pub fn settle() {
    for (file, value) in [
        ("kernel/hung_task_timeout_secs", HUNG_S),
        ("kernel/hung_task_warnings", "-1"),
        // Reports are not to be lost to the limits on how often something is printed.
        ("kernel/printk_ratelimit", "0"),
    ] {
        let _ = fs::write(Path::new("/proc/sys").join(file), value);
    }
    let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
    // The first cpuset and the last have the kernel change its own code, and QEMU may run what it has
    // translated in the middle of that (seen once: an oops, int3, where it asks for cpusets).
    let _ = fs::create_dir("/sys/fs/cgroup/kept");
}

/// The port of this name.
pub fn port(name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir("/sys/class/virtio-ports").ok()?.flatten();
    let mut named = entries.filter(|entry| {
        fs::read_to_string(entry.path().join("name")).is_ok_and(|it| it.trim() == name)
    });
    let device = Path::new("/dev").join(named.next()?.file_name());
    device.exists().then_some(device)
}

/// The disk with this serial number.
pub fn disk(serial: &str) -> Option<PathBuf> {
    let entries = fs::read_dir("/sys/block").ok()?.flatten();
    let mut fitting = entries.filter(|entry| {
        fs::read_to_string(entry.path().join("serial")).is_ok_and(|it| it.trim() == serial)
    });
    let device = Path::new("/dev").join(fitting.next()?.file_name());
    device.exists().then_some(device)
}

/// A tmpfs of its own.
pub fn mount_tmpfs(place: &str) -> Result<(), String> {
    fs::create_dir_all(place).map_err(|error| format!("{place}: {error}"))?;
    attach("tmpfs", place, "tmpfs", Some(c"size=50%"))
        .map_err(|why| format!("the kernel lacks tmpfs (CONFIG_TMPFS): {why}"))
}

/// A disk's file system.
pub fn mount_disk(device: &Path, fs: &str, place: &str) -> Result<(), String> {
    fs::create_dir_all(place).map_err(|error| format!("{place}: {error}"))?;
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.split_whitespace().next_back() == Some(fs)) {
        let config = fs.to_uppercase();
        return Err(format!(
            "the kernel lacks {fs}: build it in (CONFIG_{config}_FS=y), name its modules with \
             --modules, or leave it out with --fs"
        ));
    }
    attach(&device.to_string_lossy(), place, fs, None)
        .map_err(|why| format!("{fs} cannot be mounted: {why}"))
}

/// Unmounts the disks, so that they are whole.
pub fn unmount(disks: &[String]) -> Result<(), String> {
    for fs in disks {
        let place = format!("{}/{fs}", super::PLACES);
        rustix::mount::unmount(&place, UnmountFlags::empty())
            .map_err(|error| format!("{place} cannot be unmounted: {error}"))?;
    }
    Ok(())
}
