//! The machine: QEMU with several memory nodes, two lines to the guest, and its disks.
//!
//! The console (the kernel's log) and the virtio port (the verdicts) are sockets to which QEMU
//! connects. Whatever happens to this program, no machine is left behind: dropping a [`Machine`]
//! ends it, and a guest whose port has nobody at the other end powers itself off.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::disks::{Disk, found};
use super::plan;
use crate::exit::Failure;

const QEMU: &str = "qemu-system-x86_64";

/// How the guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// By the processor
    Kvm,
    /// By translation: slower, and works everywhere
    Tcg,
}

impl Accel {
    /// What is worth trying here, the best first. A machine can have `/dev/kvm` and still hang in
    /// it, so KVM is a try only; without the processor's help it is none.
    pub fn to_try() -> Vec<Self> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let helps = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
        let kvm = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
        if helps && kvm.is_ok() { vec![Self::Kvm, Self::Tcg] } else { vec![Self::Tcg] }
    }

    /// Its name, as QEMU knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    fn options(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Under translation a store is slow where code was that has moved away: QEMU looks whether
            // it changes any. A small cache of translations forgets such code soon, and without
            // ERMS the kernel clears frames by words, not by bytes: seconds less for what moves text.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max,-erms"],
        }
    }
}

/// What the machine is to be.
#[derive(Debug)]
pub struct Shape<'a> {
    /// The bzImage.
    pub kernel: &'a Path,
    /// The initramfs.
    pub initramfs: &'a Path,
    /// Words for the kernel's command line.
    pub append: &'a str,
    /// Memory nodes.
    pub nodes: u64,
    /// Processors.
    pub cpus: u64,
    /// Memory of all nodes together, in MiB.
    pub mem_mib: u64,
    /// How much of each node's memory is in a module that can be unplugged, in MiB.
    pub module_mib: u64,
    /// Disks, in the order of their names.
    pub disks: &'a [Disk],
    /// A folder for the sockets.
    pub folder: &'a Path,
}

/// What is heard from the machine.
#[derive(Debug)]
pub enum Heard {
    /// A line of the kernel's log.
    Console(String),
    /// A line from the virtio port.
    Port(String),
    /// A line of QEMU's own.
    Qemu(String),
    /// One of the above has fallen silent for good.
    Closed,
}

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    /// What is heard; three times [`Heard::Closed`], and there will be no more.
    pub heard: Receiver<Heard>,
}

impl Machine {
    /// Switches it on.
    pub fn start(shape: &Shape<'_>, accel: Accel) -> Result<Self, Failure> {
        let (tell, heard) = channel();
        for (name, say) in [("console", Heard::Console as fn(_) -> _), ("port", Heard::Port)] {
            listen(&shape.folder.join(name), say, tell.clone())?;
        }
        let mut command = Command::new(found(QEMU));
        command.args(accel.options()).args(arguments(shape));
        // Ctrl-C is for this program, which then ends the machine.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Failure::unusable(format!("{QEMU} cannot be run: {error}")))?;
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || relay(stderr, Heard::Qemu, &tell));
        }
        Ok(Self { child, heard })
    }

    /// How QEMU ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Refuses a host without QEMU, before anything is made.
pub fn check() -> Result<(), Failure> {
    if found(QEMU).is_file() {
        return Ok(());
    }
    Err(Failure::unusable(format!("{QEMU} is missing: apt-get install qemu-system-x86")))
}

/// Waits for QEMU to connect, then relays what comes.
fn listen(path: &Path, say: fn(String) -> Heard, tell: Sender<Heard>) -> Result<(), Failure> {
    // From a try before this one.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(|error| {
        let path = path.display();
        Failure::unusable(format!("{path}: {error}: set TMPDIR to a folder with a short name"))
    })?;
    thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            relay(stream, say, &tell);
        }
    });
    Ok(())
}

/// Relays line by line; a last line without an end is one, too.
fn relay(from: impl Read, say: fn(String) -> Heard, tell: &Sender<Heard>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let _ = tell.send(say(text));
        line.clear();
    }
    let _ = tell.send(Heard::Closed);
}

fn arguments(shape: &Shape<'_>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
    let socket = |name: &str| {
        let path = shape.folder.join(name).display().to_string().replace(',', ",,");
        format!("socket,id={name},path={path}")
    };
    add("-machine", "q35".into());
    // Each CPU is a socket: cores that share a cache across nodes are none that exist.
    add("-smp", format!("{0},sockets={0}", shape.cpus));
    let (nodes, module) = (shape.nodes, shape.module_mib);
    let soldered = shape.mem_mib - module * nodes;
    let slots =
        if module > 0 { format!(",slots={nodes},maxmem={}M", shape.mem_mib) } else { "".into() };
    add("-m", format!("{soldered}M{slots}"));
    for node in 0..nodes {
        // What does not divide evenly is the first node's.
        let rest = if node == 0 { soldered % nodes } else { 0 };
        let mib = soldered / nodes + rest;
        add("-object", format!("memory-backend-ram,id=m{node},size={mib}M"));
        // A node without a CPU is a node of memory alone, such as CXL's.
        let cpus = (node..shape.cpus).step_by(nodes as usize);
        let cpus: String = cpus.map(|cpu| format!(",cpus={cpu}")).collect();
        add("-numa", format!("node,nodeid={node},memdev=m{node}{cpus}"));
        if module > 0 {
            add("-object", format!("memory-backend-ram,id=d{node},size={module}M"));
            add("-device", format!("pc-dimm,memdev=d{node},node={node}"));
        }
    }
    add("-kernel", shape.kernel.display().to_string());
    add("-initrd", shape.initramfs.display().to_string());
    add("-append", shape.append.to_owned());
    add("-chardev", socket("console"));
    add("-serial", "chardev:console".into());
    add("-device", "virtio-serial-pci".into());
    add("-chardev", socket("port"));
    add("-device", format!("virtserialport,chardev=port,name={}", plan::PORT));
    for disk in shape.disks {
        let (fs, image) = (disk.fs(), disk.image.display().to_string().replace(',', ",,"));
        // What the guest has flushed need not survive the host.
        let how = "format=raw,if=none,cache=unsafe";
        add("-drive", format!("file={image},{how},id={fs}"));
        add("-device", format!("virtio-blk-pci,drive={fs},serial={fs}"));
    }
    words.extend(["-nodefaults", "-no-reboot", "-no-user-config"].map(String::from));
    words.extend(["-display", "none"].map(String::from));
    words
}
