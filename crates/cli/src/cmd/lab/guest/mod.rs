//! The guest's side: this program as the first process of the machine.
//!
//! 1. mount what every program expects; load the modules; find the port and the disks;
//! 2. refuse what the plan needs and the machine lacks, by name;
//! 3. run the job with the port as its standard output;
//! 4. unmount, look whether the machine's accounts add up, say so, and power off, whatever has
//!    happened.

mod accounts;
mod drill;
mod system;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::system::{RebootCommand, reboot};

use accounts::Accounts;

use super::plan::{Drill, Job, MARK, PLACES, PLAN, PORT, Plan, Said};

/// Devices show up within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this program is the first process of a laboratory's machine.
pub fn is_here() -> bool {
    std::process::id() == 1 && Path::new(PLAN).exists()
}

/// Does it all; does not return.
pub fn run() -> ! {
    let told = std::panic::catch_unwind(|| match prepare() {
        Ok((plan, mut port, before)) => {
            work(&plan, &mut port, before);
            Ok(())
        }
        Err(why) => Err(why),
    });
    match told {
        Ok(Ok(())) => {}
        Ok(Err(why)) => complain(&why),
        Err(_) => complain("the guest's own program failed; its words are above"),
    }
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    // A machine that cannot be switched off is ended by its host.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Says it where nothing but the kernel's log is there yet.
fn complain(why: &str) {
    if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        // Warnings reach the console with any log level that tells of failures. Each write is a line.
        let _ = log.write_all(format!("<4>{MARK}{why}\n").as_bytes());
    }
}

/// Everything up to the job; the error is what is missing, with its remedy.
fn prepare() -> Result<(Plan, File, Accounts), String> {
    system::mount_all()?;
    let plan = fs::read(PLAN).map_err(|error| format!("{PLAN}: {error}"))?;
    let plan: Plan = serde_json::from_slice(&plan).map_err(|error| format!("{PLAN}: {error}"))?;
    system::load(&plan.modules)?;
    let mut port = open_port()?;
    match equip(&plan) {
        Ok(before) => Ok((plan, port, before)),
        Err(why) => {
            let _ = writeln!(port, "{}", Said::Cannot { why: why.clone() }.line());
            Err(why)
        }
    }
}

/// Nodes, disks, folders; and the accounts as they were before.
fn equip(plan: &Plan) -> Result<Accounts, String> {
    system::check_nodes(plan.nodes)?;
    system::settle();
    let before = Accounts::take();
    system::mount_tmpfs(&format!("{PLACES}/tmpfs"))?;
    for fs in &plan.disks {
        let device = until(|| system::disk(fs)).ok_or_else(|| {
            format!("the kernel shows no disk {fs}: it lacks virtio_blk (CONFIG_VIRTIO_BLK)")
        })?;
        system::mount_disk(&device, fs, &format!("{PLACES}/{fs}"))?;
    }
    Ok(before)
}

fn open_port() -> Result<File, String> {
    let device = until(|| system::port(PORT)).ok_or(
        "the kernel shows no virtio port: it lacks virtio_pci or virtio_console \
         (CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_CONSOLE), or --modules has to name its modules",
    )?;
    let port = OpenOptions::new().read(true).write(true).open(&device);
    port.map_err(|error| format!("{}: {error}", device.display()))
}

/// Runs the job, and says how it ended.
fn work(plan: &Plan, port: &mut File, before: Accounts) {
    let say = |port: &mut File, said: Said| {
        let _ = writeln!(port, "{}", said.line());
    };
    watch_host(port);
    say(port, Said::Up);
    let ended = match &plan.job {
        Job::Drill(drill) => drill::run(*drill, port),
        Job::Suite(args) => run_suite(args, port),
    };
    match ended {
        Ok(said) => say(port, said),
        Err(why) => say(port, Said::Cannot { why }),
    }
    if plan.job == Job::Drill(Drill::Linger)
        && let Err(why) = drill::linger()
    {
        complain(&why);
    }
    let mut drifts = Vec::new();
    if let Some(fs) = plan.disks.first() {
        let place = Path::new(PLACES).join(fs);
        drifts = accounts::dirty_is_counted(&place).unwrap_or_else(|error| {
            complain(&format!("{}: {error}", place.display()));
            Vec::new()
        });
    }
    if let Err(why) = system::unmount(&plan.disks) {
        return complain(&why);
    }
    drifts.extend(Accounts::take().since(before));
    say(port, Said::Unmounted { drifts });
}

fn run_suite(args: &[String], port: &File) -> Result<Said, String> {
    let out = port.try_clone().map_err(|error| format!("the port: {error}"))?;
    let mut suite = Command::new("/init");
    suite.arg("conform").args(args).stdin(Stdio::null()).stdout(out).env("TMPDIR", "/tmp");
    let mut child = suite.spawn().map_err(|error| format!("refolio conform: {error}"))?;
    let status = child.wait().map_err(|error| format!("refolio conform: {error}"))?;
    Ok(Said::Ended { code: status.code(), signal: status.signal() })
}

/// Powers off once nobody is at the port's other end. Nothing is ever read: that waits until then.
///
/// (Who polls the port instead takes back what the host has done with; where that is just before the
/// interrupt for it, this finds nothing to do, and whoever waits to write sleeps for ever.)
fn watch_host(port: &File) {
    let Ok(mut port) = port.try_clone() else { return };
    std::thread::spawn(move || {
        loop {
            if matches!(port.read(&mut [0]), Ok(0)) {
                let _ = reboot(RebootCommand::PowerOff);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
}

/// Asks until there is an answer, or patience ends.
fn until<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
