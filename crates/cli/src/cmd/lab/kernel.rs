//! The kernel that is booted: one's own, or Debian's as packaged.
//!
//! A packaged kernel is fetched with `apt-get download` and unpacked into the cache folder
//! (`$XDG_CACHE_HOME/refolio/kernels`); nothing is installed, and no privilege is needed. The
//! "cloud" flavour is taken: it boots in seconds, and has what the suite needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::exit::Failure;

/// A kernel, and where its modules are.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The bzImage.
    pub image: PathBuf,
    /// The folder of its modules; none: everything is built in.
    pub modules: Option<PathBuf>,
}

/// The kernel in this file.
pub fn own(image: &Path, modules: Option<&Path>) -> Result<Kernel, Failure> {
    let refuse = |why: &str| {
        let image = image.display();
        Failure::unusable(format!(
            "{image}: {why}: --kernel wants a bzImage, as `make` leaves it \
             at arch/x86/boot/bzImage"
        ))
    };
    let mut magic = [0; 4];
    let mut file = File::open(image).map_err(|error| refuse(&error.to_string()))?;
    // The boot protocol's header has its name at this offset.
    let read = file.seek(SeekFrom::Start(0x202)).and_then(|_| file.read_exact(&mut magic));
    if read.is_err() || magic != *b"HdrS" {
        return Err(refuse("not an x86 kernel image"));
    }
    Ok(Kernel { image: image.to_owned(), modules: modules.map(Path::to_owned) })
}

/// Debian's kernel of a series such as `6.12`, of the newest, or that of the release.
pub fn packaged(series: Option<&str>, tell: &mut dyn FnMut(&str)) -> Result<Kernel, Failure> {
    let package = match series {
        None => of_release()?,
        Some(series) => of_series(series)?,
    };
    let shown = apt("apt-cache", &["show", "--no-all-versions", &package], None)?;
    let version = field(&shown, "Version: ").unwrap_or("unknown").replace(':', "-");
    let cache = cache_folder()?;
    let folder = cache.join(format!("{package}_{version}"));
    if !folder.is_dir() {
        tell(&format!("fetching {package} {version} (once; it goes to {})", cache.display()));
        fetch(&package, &cache, &folder)?;
    }
    Ok(Kernel { image: folder.join("vmlinuz"), modules: Some(folder.join("modules")) })
}

fn of_release() -> Result<String, Failure> {
    let depends = apt("apt-cache", &["depends", "linux-image-cloud-amd64"], None)?;
    match field(&depends, "Depends: ") {
        Some(package) => Ok(package.to_owned()),
        None => Err(unlisted("linux-image-cloud-amd64")),
    }
}

fn of_series(series: &str) -> Result<String, Failure> {
    let names = apt("apt-cache", &["pkgnames", "linux-image-"], None)?;
    newest(names.lines(), series).map(String::from).ok_or_else(|| {
        let listed: Vec<_> = all_series(names.lines()).collect();
        match listed.as_slice() {
            [] => unlisted("cloud kernel"),
            listed => Failure::unusable(format!(
                "--debian {series}: apt lists no such kernel, but {}; see /etc/apt/sources.list for \
                 other releases, or name a kernel with --kernel",
                listed.join(", ")
            )),
        }
    })
}

/// A series on the command line.
pub fn series(text: &str) -> Result<String, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text == "newest" || text.split('.').all(number) {
        return Ok(text.to_owned());
    }
    Err("a series is two numbers, such as 6.12; or it is `newest`".into())
}

/// The numbers of a cloud kernel's version. A name without a third one is of a package that only
/// names another one.
fn version(package: &str) -> Option<Vec<u64>> {
    let version = package.strip_prefix("linux-image-")?.strip_suffix("-cloud-amd64")?;
    let numbers: Vec<_> = version.split(['.', '-', '+']).map_while(|it| it.parse().ok()).collect();
    (numbers.len() > 2).then_some(numbers)
}

/// The series that packages are of, the oldest first.
fn all_series<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let found: BTreeSet<_> = names.filter_map(version).map(|it| (it[0], it[1])).collect();
    found.into_iter().map(|(major, minor)| format!("{major}.{minor}"))
}

/// The package with the highest version, of a series or of all.
fn newest<'a>(names: impl Iterator<Item = &'a str>, series: &str) -> Option<&'a str> {
    let fits = |name: &&str| {
        let of = name.strip_prefix("linux-image-").unwrap_or_default();
        series == "newest" || of.starts_with(&format!("{series}."))
    };
    names.filter(fits).filter_map(|name| Some((version(name)?, name))).max().map(|(_, name)| name)
}

fn unlisted(what: &str) -> Failure {
    Failure::unusable(format!(
        "apt lists no {what}: run `apt-get update` as root, or name a kernel with --kernel"
    ))
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(key)).map(str::trim)
}

/// Where fetched kernels are kept.
fn cache_folder() -> Result<PathBuf, Failure> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.filter(|base| base.is_absolute()).or_else(home).ok_or_else(|| {
        Failure::unusable("no place for the kernel: set HOME or XDG_CACHE_HOME to a folder")
    })?;
    let cache = base.join("refolio/kernels");
    fs::create_dir_all(&cache).map_err(|error| {
        let cache = cache.display();
        Failure::unusable(format!("{cache}: {error}: set XDG_CACHE_HOME to a writable folder"))
    })?;
    Ok(cache)
}

/// The packages that a kernel's package is split into, if it is (since 6.19): the image and the
/// modules, without which it holds nothing.
fn parts(depends: &str) -> Vec<&str> {
    let names = depends.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
    let is_part =
        |name: &&str| ["linux-binary-", "linux-modules-"].iter().any(|of| name.starts_with(of));
    names.filter(is_part).collect()
}

/// Fetches a package, and keeps its kernel and modules in `folder`. All or nothing.
fn fetch(package: &str, cache: &Path, folder: &Path) -> Result<(), Failure> {
    let broken = |error: std::io::Error| {
        Failure::unusable(format!("{}: {error}: is there space?", cache.display()))
    };
    let work = TempDir::with_prefix_in("fetch-", cache).map_err(broken)?;
    let depends = apt("apt-cache", &["depends", package], None)?;
    let mut download = vec!["download", "-qq", package];
    download.extend(parts(&depends));
    apt("apt-get", &download, Some(work.path()))?;
    let files = fs::read_dir(work.path()).map_err(broken)?.flatten().map(|entry| entry.path());
    let archives = files.filter(|path| path.extension().is_some_and(|ext| ext == "deb"));
    let out = work.path().join("x").display().to_string();
    for archive in archives {
        apt("dpkg-deb", &["-x", &archive.display().to_string(), &out], None)?;
    }

    let first = |folder: &str, of: &str| {
        let place = Path::new(&out).join(folder);
        let mut entries = fs::read_dir(place).into_iter().flatten().flatten();
        let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(of));
        found.map(|entry| entry.path()).ok_or_else(|| {
            Failure::unusable(format!("{package} has no {folder}/{of}*: name another kernel"))
        })
    };
    let whole = work.path().join("whole");
    fs::create_dir(&whole).map_err(broken)?;
    let modules = first("lib/modules", "").or_else(|_| first("usr/lib/modules", ""))?;
    let beside = modules.join("vmlinuz");
    let image = if beside.is_file() { beside } else { first("boot", "vmlinuz")? };
    fs::rename(image, whole.join("vmlinuz")).map_err(broken)?;
    fs::rename(modules, whole.join("modules")).map_err(broken)?;
    match fs::rename(&whole, folder) {
        // Another run has been faster.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(broken),
    }
}

/// Runs one of Debian's package tools.
fn apt(tool: &str, args: &[&str], place: Option<&Path>) -> Result<String, Failure> {
    let mut command = Command::new(tool);
    command.args(args).env("LC_ALL", "C");
    if let Some(place) = place {
        command.current_dir(place);
    }
    let output = command.output().map_err(|error| {
        Failure::unusable(format!(
            "{tool}: {error}: Debian's kernel is fetched with it; name a kernel with --kernel"
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let full = |line: &&str| ["free space", "No space left"].iter().any(|it| line.contains(it));
    let (error, remedy) = match told.lines().find(full) {
        Some(line) => (Some(line), "set XDG_CACHE_HOME to a folder with space"),
        None => {
            let error = told.lines().find(|line| line.starts_with("E: "));
            (error.or(told.lines().last()), "run `apt-get update` as root")
        }
    };
    let error = error.map_or("it failed", |line| line.trim_start_matches("E: "));
    let doing = args[0];
    Err(Failure::unusable(format!("{tool} {doing}: {error}; {remedy}, or see --kernel")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_numbers() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-cloud-amd64-unsigned",
            "linux-image-6.1.0-58-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.12.100+deb12-cloud-amd64",
            "linux-image-6.12.95+deb12-cloud-amd64",
            "linux-image-cloud-amd64",
        ];
        let of = |series| newest(names.into_iter(), series);
        assert_eq!(of("6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(of("6.12"), Some("linux-image-6.12.100+deb12-cloud-amd64"));
        assert_eq!(of("newest"), Some("linux-image-6.12.100+deb12-cloud-amd64"));
        assert_eq!(of("5.10"), None);
        assert_eq!(all_series(names.into_iter()).collect::<Vec<_>>(), ["6.1", "6.12"]);
    }

    #[test]
    fn a_series_is_numbers() {
        assert!(["6.1", "7", "newest"].into_iter().all(|text| series(text).is_ok()));
        assert!(["", "6.", "6.x", "trixie"].into_iter().all(|text| series(text).is_err()));
    }

    #[test]
    fn a_kernel_in_parts_is_known_by_what_it_depends_on() {
        let split = "linux-image-7.3.4-cloud-amd64\n PreDepends: linux-base\n |Depends: dracut\n  \
                     Depends: initramfs-tools\n  Depends: linux-base-7.3.4-cloud-amd64\n  Depends: \
                     linux-binary-7.3.4-cloud-amd64\n  Depends: linux-modules-7.3.4-cloud-amd64\n";
        let of = ["linux-binary-7.3.4-cloud-amd64", "linux-modules-7.3.4-cloud-amd64"];
        assert_eq!(parts(split), of);
        assert!(parts("linux-image-6.1\n  Depends: kmod\n").is_empty());
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [0; 4096]).unwrap();
        assert!(own(file.path(), None).unwrap_err().to_string().contains("not an x86 kernel"));
        assert!(own(Path::new("/no/such"), None).unwrap_err().to_string().contains("/no/such"));
    }
}
