//! `refolio lab`: the suite on a kernel of one's choice, in a machine of its own.
//!
//! 1. refuse [input] that cannot be used;
//! 2. make [disks] in a temporary folder; find or fetch the [kernel], order its [modules], and make
//!    an [initramfs]: the guest runs this very program;
//! 3. switch on a [machine](qemu) with several memory nodes, and [watch] it: the verdicts come over
//!    one line, the kernel's log ([klog]) over another;
//! 4. once it is off, check the disks, lay what the kernel told of to the cases that ran
//!    ([verdicts]), and report.
//!
//! See `docs/lab.md`.

pub mod args;
mod build;
mod disks;
pub mod guest;
mod initramfs;
mod input;
mod kernel;
mod klog;
mod modules;
mod plan;
mod qemu;
mod report;
mod verdicts;
mod watch;

use std::path::Path;
use std::time::Duration;

use crate::cmd::conform::outputs::Outputs;
use crate::exit::{Exit, Failure};
use crate::signal::{self, Scratch, tell};
use crate::size;
use args::{Lab, LabVerb};
use disks::Disk;
use kernel::Kernel;
use modules::{Module, Modules};
use plan::{Job, PLACES, Plan};
use qemu::{Accel, Machine, Shape};
use watch::{End, Patience, Session};

/// A machine that says nothing for so long at power-on, under KVM, hangs in it.
const KVM_PROBE: Duration = Duration::from_secs(10);

/// Translation on a busy host is slow; no kernel needs as long as this between two lines.
const BOOT: Duration = Duration::from_secs(90);

/// Once the suite has ended, a guest unmounts its disks and is off. Whoever hangs in that is told of
/// by the kernel sooner than this.
const AFTER: Duration = Duration::from_secs(120);

/// So often a kernel may be lost in translation before that is its own fault.
const LOST: u32 = 2;

/// What the kernel needs of a machine with PCI disks and a port; file systems come on top.
const DRIVERS: [&str; 3] = ["virtio_pci", "virtio_blk", "virtio_console"];

/// Runs the command.
pub fn run(args: &Lab) -> Result<Exit, Failure> {
    if let Some(LabVerb::Build(args)) = &args.verb {
        return build::run(args);
    }
    signal::listen()?;
    match run_suite(args) {
        // What Ctrl-C has ended on the way is no mistake of the input.
        Err(_) if signal::stopped() => Err(Failure::stopped("stopped before there was a verdict")),
        done => done,
    }
}

fn run_suite(args: &Lab) -> Result<Exit, Failure> {
    let own = args.kernel.as_ref().map(|image| kernel::own(image, args.modules.as_deref()));
    let own = own.transpose()?;
    input::check(args)?;
    let log = args.log.as_deref().map(report::create_log).transpose()?;
    let outputs = Outputs::open(&args.reports, false)?;
    let scratch = Scratch::new()?;
    let disks = args.fs.iter().map(|fs| Disk::make(fs, args.disk, scratch.path()));
    let disks = disks.collect::<Result<Vec<_>, _>>()?;
    let kernel = match own {
        Some(kernel) => kernel,
        None => kernel::packaged(args.debian.as_deref(), &mut |line| tell(line))?,
    };
    let modules = in_order(&kernel, &args.fs)?;
    let plan = plan(args, &modules, &disks);
    let initramfs = scratch.path().join("initramfs");
    initramfs::write(&initramfs, &plan, &modules).map_err(|error| {
        Failure::unusable(format!("{}: {error}: is there space?", initramfs.display()))
    })?;
    let shape = Shape {
        kernel: &kernel.image,
        initramfs: &initramfs,
        append: &command_line(args),
        nodes: args.nodes,
        cpus: args.cpus,
        mem_mib: args.mem >> 20,
        module_mib: module_mib(args),
        disks: &disks,
        folder: scratch.path(),
    };
    let mut session = boot(&shape, args)?;
    let damage = check_disks(&session, &disks)?;
    // The folder goes before the report comes: whoever reads the report finds nothing left.
    drop(scratch);
    if let Some(log) = log {
        report::write_log(log, &session)?;
    }
    refuse(&session, args)?;
    session.end_with(damage);
    session.told.command = Some(args.command());
    Ok(report::tell(&mut session, outputs))
}

/// The modules that the machine and the file systems need.
fn in_order(kernel: &Kernel, fs: &[String]) -> Result<Vec<Module>, Failure> {
    let Some(dir) = &kernel.modules else { return Ok(Vec::new()) };
    let wanted: Vec<_> = DRIVERS.into_iter().chain(fs.iter().map(String::as_str)).collect();
    Modules::below(dir)?.in_order(&wanted)
}

fn plan(args: &Lab, modules: &[Module], disks: &[Disk]) -> Plan {
    let disks: Vec<_> = disks.iter().map(|disk| disk.fs().to_owned()).collect();
    Plan {
        modules: modules.iter().map(|module| module.name.clone()).collect(),
        job: match args.drill {
            Some(drill) => Job::Drill(drill),
            None => Job::Suite(suite(args, &disks)),
        },
        disks,
        nodes: args.nodes,
    }
}

/// What the guest runs: `refolio conform` with these.
fn suite(args: &Lab, disks: &[String]) -> Vec<String> {
    let mut words: Vec<_> =
        ["--subject", "linux", "--stream", "--disruptive"].map(String::from).into();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    option("--profile", Some(args.profile.name().into()));
    option("--case", args.case.clone());
    option("--seed", args.seed.map(|seed| seed.to_string()));
    option("--repeat", args.repeat.map(|repeat| repeat.to_string()));
    for fs in disks.iter().map(String::as_str).chain(["tmpfs"]) {
        words.extend(["--dir".into(), format!("{PLACES}/{fs}")]);
    }
    words
}

/// How much of each node is in a module: a quarter, in blocks that go online and offline as one; none
/// where that is less than one block.
fn module_mib(args: &Lab) -> u64 {
    const BLOCK_MIB: u64 = 128;
    (args.mem >> 22) / args.nodes / BLOCK_MIB * BLOCK_MIB
}

fn command_line(args: &Lab) -> String {
    // A quarter of the memory takes nothing but movable pages. Best is a module that can be unplugged:
    // what a kernel has from its boot on holds some pages of its own even in movable zones, and the
    // block that they are in never goes offline.
    let movable = match module_mib(args) {
        0 => format!("movablecore={}M", args.mem >> 22),
        _ => "memhp_default_state=online_movable".into(),
    };
    // A panic ends the machine at once. Pages move when the suite moves them, not by themselves.
    // The limits for stalls, and no check of the timer, are for translated code on a busy host.
    format!(
        "console=ttyS0 earlyprintk=ttyS0 printk.time=1 panic=-1 oops=panic \
         numa_balancing=disable {movable} \
         no_timer_check watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 {}",
        args.append
    )
}

/// Boots, with KVM if that says a word; again where QEMU lost its way in code that changed.
fn boot(shape: &Shape<'_>, args: &Lab) -> Result<Session, Failure> {
    let tries = args.accel.map_or_else(Accel::to_try, |accel| vec![accel]);
    let mut tries = tries.into_iter().peekable();
    // There is always one: the last is not left by `continue`.
    let mut accel = tries.next().unwrap_or(Accel::Tcg);
    let mut lost = 0;
    loop {
        let first = if tries.peek().is_some() { KVM_PROBE } else { BOOT };
        let work = args.silence();
        let patience = Patience { first, boot: BOOT, work, end: AFTER.min(work) };
        tell(&format!(
            "booting {} under {}: {} nodes, {} CPUs, {}",
            shape.kernel.display(),
            accel.name(),
            shape.nodes,
            shape.cpus,
            size::show(args.mem)
        ));
        let machine = Machine::start(shape, accel)?;
        let session = watch::watch(machine, patience, &mut report::see);
        let mute = session.log.lines.is_empty() && session.end != End::Stopped;
        if mute && let Some(next) = tries.next() {
            tell(&format!("{} does not run a kernel here; trying the next", accel.name()));
            accel = next;
            continue;
        }
        if accel == Accel::Tcg && session.lost_in_translation() && lost < LOST {
            lost += 1;
            tell(
                "it met a breakpoint (int3) that it had taken away: QEMU 7.2 can translate code \
                 while another processor changes it; booting once more",
            );
            continue;
        }
        return Ok(session);
    }
}

/// File systems are to be whole, once they are unmounted.
fn check_disks(session: &Session, disks: &[Disk]) -> Result<Vec<String>, Failure> {
    let mut damage = Vec::new();
    for disk in disks.iter().filter(|_| session.unmounted) {
        damage.extend(disk.check()?);
    }
    // A check that Ctrl-C has ended has found nothing.
    Ok(if signal::stopped() { Vec::new() } else { damage })
}

/// A kernel that never got to work is no verdict, but input that cannot be used.
fn refuse(session: &Session, args: &Lab) -> Result<(), Failure> {
    if session.end == End::Stopped || !session.told.cases.is_empty() {
        return Ok(());
    }
    let kernel = args.kernel.as_deref().unwrap_or(Path::new("Debian's kernel")).display();
    let mute = session.log.lines.is_empty();
    let hint = if args.log.is_some() { "see its log" } else { "see its log with --log FILE" };
    let last = session.log.lines.iter().rev().find(|line| !line.trim().is_empty());
    let line = match &session.end {
        End::Cannot(why) => why.clone(),
        End::Broken(why) => why.clone(),
        _ if mute && !session.qemu.is_empty() => {
            let words = session.qemu.join("; ");
            let hint = if args.accel == Some(Accel::Kvm) { "; try --accel tcg" } else { "" };
            format!("{kernel} does not boot: {words}{hint}")
        }
        _ if mute => format!(
            "{kernel} does not boot: it has not said a word; is it for x86-64, with \
             CONFIG_SERIAL_8250_CONSOLE?"
        ),
        _ => match session.blamed.first() {
            Some(blamed) => format!("{kernel} does not boot: {}; {hint}", blamed.fault.line),
            None => format!(
                "{kernel} does not boot: its last words were \"{}\"; {hint}",
                klog::without_time(last.map_or("", String::as_str))
            ),
        },
    };
    Err(Failure::unusable(line))
}
