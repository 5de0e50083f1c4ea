//! The guest's disks: image files, each formatted with one file system, and checked at the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::exit::Failure;
use crate::size;

/// A file system that the laboratory can make and check.
#[derive(Debug)]
struct Maker {
    name: &'static str,
    /// The Debian package of the tools.
    package: &'static str,
    make: &'static [&'static str],
    check: &'static [&'static str],
}

const MAKERS: &[Maker] = &[
    Maker {
        name: "ext4",
        package: "e2fsprogs",
        make: &["mkfs.ext4", "-q", "-F"],
        check: &["e2fsck", "-f", "-n"],
    },
    Maker {
        name: "xfs",
        package: "xfsprogs",
        make: &["mkfs.xfs", "-q", "-f"],
        check: &["xfs_repair", "-n", "-f"],
    },
    Maker {
        name: "btrfs",
        package: "btrfs-progs",
        make: &["mkfs.btrfs", "-q", "-f"],
        check: &["btrfs", "check", "--readonly"],
    },
    Maker {
        name: "f2fs",
        package: "f2fs-tools",
        make: &["mkfs.f2fs", "-q", "-f"],
        check: &["fsck.f2fs", "--dry-run"],
    },
];

/// Refuses file systems that nobody knows, that are named twice, or whose tools are not there.
pub fn check(names: &[String]) -> Result<(), Failure> {
    for (at, name) in names.iter().enumerate() {
        let maker = maker(name)?;
        if names[..at].contains(name) {
            return Err(Failure::unusable(format!("--fs: {name} is named twice; once is enough")));
        }
        let tools = [maker.make[0], maker.check[0]];
        if let Some(tool) = tools.iter().find(|tool| !found(tool).is_file()) {
            return Err(maker.lacks(tool, "it is missing"));
        }
    }
    Ok(())
}

fn maker(fs: &str) -> Result<&'static Maker, Failure> {
    MAKERS.iter().find(|maker| maker.name == fs).ok_or_else(|| {
        let known: Vec<_> = MAKERS.iter().map(|maker| maker.name).collect();
        let known = known.join(", ");
        Failure::unusable(format!("--fs {fs}: unknown; known are {known} (and tmpfs, always)"))
    })
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    maker: &'static Maker,
    /// Its image.
    pub image: PathBuf,
}

impl Disk {
    /// Makes the image (it takes space as it is written to) and formats it.
    pub fn make(fs: &str, bytes: u64, folder: &Path) -> Result<Self, Failure> {
        let maker = maker(fs)?;
        let image = folder.join(format!("{fs}.img"));
        File::create(&image).and_then(|file| file.set_len(bytes)).map_err(|error| {
            let bytes = size::show(bytes);
            Failure::unusable(format!("{}: {error}: {bytes} are needed", image.display()))
        })?;
        let output = maker.tool(maker.make, &image)?;
        if output.status.success() {
            Ok(Self { maker, image })
        } else {
            let tool = maker.make[0];
            Err(Failure::unusable(format!("{tool}: {}: see --disk", last_words(&output))))
        }
    }

    /// The name of its file system.
    pub fn fs(&self) -> &'static str {
        self.maker.name
    }

    /// Checks the file system after the guest has unmounted it: what is wrong, if anything is.
    pub fn check(&self) -> Result<Option<String>, Failure> {
        let output = self.maker.tool(self.maker.check, &self.image)?;
        Ok((!output.status.success()).then(|| {
            format!("{} is damaged: {}: {}", self.fs(), self.maker.check[0], last_words(&output))
        }))
    }
}

impl Maker {
    fn tool(&self, words: &[&str], image: &Path) -> Result<Output, Failure> {
        let output = Command::new(found(words[0])).args(&words[1..]).arg(image).output();
        output.map_err(|error| self.lacks(words[0], &error.to_string()))
    }

    fn lacks(&self, tool: &str, why: &str) -> Failure {
        let Self { name, package, .. } = self;
        Failure::unusable(format!(
            "{tool}: {why}: apt-get install {package}, or leave {name} out with --fs"
        ))
    }
}

/// A program, also where only root's search path leads.
pub fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path);
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let there = |place: PathBuf| Some(place.join(name)).filter(|program| program.is_file());
    places.chain(more).find_map(there).unwrap_or_else(|| name.into())
}

fn last_words(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}
