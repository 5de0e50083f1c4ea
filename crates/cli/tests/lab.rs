//! The laboratory: a machine boots, each way of failing is told by name, and nothing is left.
//!
//! Machines are booted where QEMU and the file systems' tools are, and a kernel can be fetched;
//! `.ci/run` installs them. Elsewhere those tests say what is missing, and try nothing.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{Ended, assert_empty, refolio, run, start};
use rustix::process::{Pid, Signal, kill_process};

/// What every machine here has: one disk, and memory as little as goes.
const SMALL: [&str; 4] = ["lab", "--fs=ext4", "--disk=64M", "--mem=768M"];

/// What keeps machines from being booted here, if anything does.
fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let there = |tool: &str| {
            ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
                .iter()
                .any(|at| Path::new(at).join(tool).exists())
        };
        let tools = ["qemu-system-x86_64", "mkfs.ext4", "e2fsck", "apt-get", "dpkg-deb"];
        if let Some(tool) = tools.iter().find(|tool| !there(tool)) {
            return Some(format!("there is no {tool}"));
        }
        // The kernel is fetched once, before tests ask for it side by side.
        let ended = Command::new("apt-cache").args(["show", "linux-image-cloud-amd64"]).output();
        let listed = ended.is_ok_and(|output| output.status.success());
        (!listed).then(|| "apt lists no kernel".to_owned())
    });
    missing.as_deref()
}

/// Boots a machine with a drill; none where that is not possible.
fn drill(name: &str, more: &[&str]) -> Option<Ended> {
    if let Some(missing) = missing() {
        eprintln!("SKIPPED, no machine was booted: {missing}");
        return None;
    }
    let drill = format!("--drill={name}");
    let args: Vec<_> = SMALL.iter().chain(more).copied().chain([drill.as_str()]).collect();
    Some(run(&args))
}

/// In the output, all the words stand.
#[track_caller]
fn tells(ended: &Ended, words: &[&str]) {
    let told = format!("{}{}", ended.out, ended.err);
    for word in words {
        assert!(told.contains(word), "no '{word}' in\n{told}");
    }
}

#[test]
fn a_machine_boots_runs_and_goes_off_and_its_disk_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let log_arg = format!("--log={}", log.display());
    let Some(ended) = drill("none", &["--nodes=3", &log_arg]) else { return };
    let ended = ended.expect(0);
    tells(&ended, &["drill-before", "drill-during", "drill-after"]);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("Linux version"), "{log}");
    assert!(log.contains("EXT4-fs (vda): unmounting"), "{log}");
}

#[test]
fn a_warning_is_a_failure_of_the_case_that_ran() {
    let Some(ended) = drill("warn", &[]) else { return };
    let ended = ended.expect(1);
    tells(&ended, &["drill-during", "kernel warning", "WARNING: CPU: 0 PID: 1 at drill"]);
    // The run went on.
    tells(&ended, &["drill-after"]);
}

#[test]
fn a_panic_loses_no_verdict_and_comes_with_the_log_and_the_case() {
    let Some(ended) = drill("panic", &[]) else { return };
    let ended = ended.expect(1);
    tells(&ended, &["drill-before", "drill-during", "kernel panic", "sysrq triggered crash"]);
    assert!(!ended.out.contains("drill-after"), "{}", ended.out);
}

#[test]
fn a_silent_guest_is_a_failure_of_the_case_that_ran() {
    let Some(ended) = drill("silence", &["--silence=6"]) else { return };
    tells(&ended.expect(1), &["drill-before", "drill-during", "silent for"]);
}

#[test]
fn a_suite_that_is_killed_is_a_failure_of_the_case_that_ran() {
    let Some(ended) = drill("killed", &[]) else { return };
    tells(&ended.expect(1), &["drill-before", "drill-during", "killed by signal 9"]);
}

#[test]
fn a_guest_that_complains_and_does_not_end_is_ended_and_named() {
    let Some(ended) = drill("linger", &["--silence=6"]) else { return };
    let ended = ended.expect(1);
    tells(&ended, &["drill-after", "machine", "the guest did not end after the suite", "drill:1"]);
}

#[test]
fn a_kernel_without_nodes_is_refused_with_the_remedy() {
    let Some(ended) = drill("none", &["--append=numa=off"]) else { return };
    tells(&ended.expect(2), &["1 of 2 memory nodes", "CONFIG_NUMA"]);
}

#[test]
fn a_kernel_that_panics_while_it_boots_is_refused() {
    let Some(ended) = drill("none", &["--append=init=/no rdinit=/no root=/dev/no"]) else { return };
    tells(&ended.expect(2), &["does not boot", "Kernel panic", "--log"]);
}

#[test]
fn modules_of_another_kernel_are_refused() {
    // It fetches the kernel, if nothing has.
    let Some(_) = drill("none", &[]) else { return };
    let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|_| Path::new(&std::env::var("HOME").unwrap()).join(".cache"));
    let fetched = fs::read_dir(cache.join("refolio/kernels")).unwrap().flatten();
    let image = fetched.map(|it| it.path().join("vmlinuz")).find(|it| it.is_file()).unwrap();
    let modules = tempfile::tempdir().unwrap();
    for name in ["virtio_pci", "virtio_blk", "virtio_console", "ext4"] {
        fs::write(modules.path().join(format!("{name}.ko")), "\x7fELF\0depends=\0").unwrap();
    }
    let (kernel, modules) = (image.display().to_string(), modules.path().display().to_string());
    let Some(ended) = drill("none", &["--kernel", &kernel, "--modules", &modules]) else { return };
    tells(&ended.expect(2), &["refuses its module", "do --kernel and --modules match?"]);
}

#[test]
fn an_interrupted_machine_leaves_nothing_behind() {
    if let Some(missing) = missing() {
        eprintln!("SKIPPED, no machine was booted: {missing}");
        return;
    }
    let tmp = tempfile::tempdir().unwrap();
    let args: Vec<_> = SMALL.iter().copied().chain(["--drill=silence"]).collect();
    let mut child = start(&args, tmp.path());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("drill-before") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it never came to the first verdict");
    }
    // QEMU is the command's child, and must not outlive it.
    let qemu = children_of(child.id());
    assert!(!qemu.is_empty(), "no machine runs");
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for pid in qemu {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "QEMU {pid} still runs");
    }
    assert_empty(tmp.path());
}

fn children_of(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).unwrap().flatten();
    let lists = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|it| it.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// The command ends with 2 and one line, in which all the words stand.
#[track_caller]
fn refused(ended: Ended, words: &[&str]) {
    let ended = ended.expect(2);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    tells(&ended, words);
}

#[test]
fn a_host_without_qemu_is_told_the_package() {
    let tmp = tempfile::tempdir().unwrap();
    let mut command = refolio(&["lab"], tmp.path());
    let output = command.env("PATH", tmp.path()).output().unwrap();
    if !Path::new("/usr/sbin/qemu-system-x86_64").exists() {
        refused(Ended::new(&["lab"], output), &["qemu-system-x86_64", "apt-get install"]);
    }
}

#[test]
fn what_is_no_kernel_is_refused() {
    if missing().is_some_and(|it| it.contains("qemu")) {
        eprintln!("SKIPPED: without QEMU, that is what is told");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    refused(run(&["lab", "--kernel", &at("gone")]), &["gone", "bzImage"]);
    fs::write(at("text"), "a text").unwrap();
    refused(run(&["lab", "--kernel", &at("text")]), &["text", "not an x86 kernel"]);

    // It looks like a kernel, and is none: nothing is ever said.
    let mut image = vec![0_u8; 1 << 16];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    fs::write(at("hollow"), image).unwrap();
    let ended = run(&["lab", "--fs=ext4", "--kernel", &at("hollow")]).expect(2);
    let told: Vec<_> = ended.err.lines().filter(|line| !line.starts_with("booting")).collect();
    assert!(matches!(told[..], [line] if line.contains("hollow")), "{}", ended.err);
    fs::create_dir(at("empty")).unwrap();
    let args = ["lab", "--kernel", &at("hollow"), "--modules", &at("empty")];
    refused(run(&args), &["empty", "no kernel module"]);
}

/// One line each: before anything is fetched, which would be told in another one.
#[test]
fn machines_that_make_no_sense() {
    if missing().is_some_and(|it| it.contains("qemu")) {
        eprintln!("SKIPPED: without QEMU, that is what is told");
        return;
    }
    for (args, words) in [
        (&["--nodes=1"][..], &["--nodes", "2"][..]),
        (&["--cpus=0"], &["--cpus"]),
        (&["--mem=64Q"], &["--mem", "64Q"]),
        (&["--drill=fire"], &["--drill", "panic"]),
        (&["--log=/nowhere/at/all"], &["/nowhere/at/all", "--log"]),
        (&["--accel=magic"], &["--accel", "tcg"]),
        (&["--profile=long"], &["--profile", "quick"]),
        (&["--case=special/nothing"], &["--case special/nothing", "--list"]),
        (&["--seed=0x7"], &["--seed", "a whole number"]),
        (&["--repeat=0"], &["--repeat", "until-failure"]),
        (&["--debian=trixie"], &["--debian", "6.12"]),
        (&["--fs=zfs"], &["--fs zfs", "ext4"]),
        (&["--fs=ext4,ext4"], &["ext4", "twice"]),
        (&["--fs=ext4", "--mem=256M"], &["--mem", "2 nodes need 512 MiB"]),
        (&["--fs=ext4", "--mem=4T"], &["--mem", "available"]),
        (&["--fs=ext4", "--disk=900T"], &["TMPDIR", "--disk"]),
    ] {
        let args: Vec<_> = ["lab"].iter().chain(args).copied().collect();
        refused(run(&args), words);
    }
}

#[test]
fn a_kernel_is_built_from_what_fits_only() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let build = |more: &[&str]| {
        let (source, out) = (at("source"), at("out"));
        let args = ["lab", "build", "--source", &source, "--out", &out];
        run(&args.iter().chain(more).copied().collect::<Vec<_>>())
    };
    refused(build(&[]), &["source", "no source tree"]);
    fs::create_dir_all(at("source/mm")).unwrap();
    fs::write(at("source/mm/migrate.c"), "int moved;\n").unwrap();
    refused(build(&["--patch", "/no/such.patch"]), &["/no/such.patch", "cannot be read"]);
    let patch = "--- a/mm/migrate.c\n+++ b/mm/migrate.c\n@@ -1 +1 @@\n-int other;\n+int mine;\n";
    fs::write(at("other.patch"), patch).unwrap();
    let ended = build(&["--patch", &at("other.patch")]);
    if ended.err.contains("tools are missing") {
        eprintln!("SKIPPED, nothing was built: {}", ended.err);
        return;
    }
    tells(&ended.expect(2), &["other.patch does not apply", "source"]);
    // The tree is as it was.
    assert_eq!(fs::read_to_string(at("source/mm/migrate.c")).unwrap(), "int moved;\n");
}
