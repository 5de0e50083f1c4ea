//! `refolio lab build`: a kernel from a source tree and patches.
//!
//! The work is done by `lab/build-kernel.sh`, which is not part of this program: kernels are built
//! in a checkout of Refolio, where the patches are, too.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::args::Build;
use crate::exit::{Exit, Failure};

const SCRIPT: &str = "lab/build-kernel.sh";

/// Becomes the script; comes back only if that fails.
pub fn run(args: &Build) -> Result<Exit, Failure> {
    let script = match &args.script {
        Some(script) => script.clone(),
        None => beside_us().ok_or_else(|| {
            Failure::unusable(format!(
                "{SCRIPT} is not found: run this in a checkout of Refolio, or name it with --script"
            ))
        })?,
    };
    let mut command = Command::new("bash");
    command.arg(&script).arg("--source").arg(&args.source).arg("--out").arg(&args.out);
    for patch in &args.patch {
        command.arg("--patch").arg(patch);
    }
    for fragment in &args.config {
        command.arg("--config").arg(fragment);
    }
    if let Some(jobs) = args.jobs {
        command.arg("--jobs").arg(jobs.to_string());
    }
    let error = command.exec();
    Err(Failure::unusable(format!("bash {}: {error}: apt-get install bash", script.display())))
}

/// The script of the checkout that we are in, or were built in.
fn beside_us() -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let above = |path: &Path| {
        let scripts = path.ancestors().map(|folder| folder.join(SCRIPT)).collect::<Vec<_>>();
        scripts.into_iter().find(|script| script.is_file())
    };
    [here, program].into_iter().flatten().find_map(|path| above(&path))
}
