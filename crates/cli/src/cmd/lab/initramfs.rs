//! The initramfs: this very program as `/init`, the modules, and the plan.
//!
//! The program brings along what it is made of: every file that is mapped executable into it. For
//! a static binary that is the binary alone; else its libraries and their loader, too, at the
//! places where the loader looks for them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cpio::newc::{self, ModeFileType};

use super::modules::Module;
use super::plan::{self, Plan};

/// Writes the archive.
pub fn write(to: &Path, plan: &Plan, modules: &[Module]) -> io::Result<()> {
    let mut archive =
        Archive { file: BufWriter::new(File::create(to)?), folders: BTreeSet::new(), inode: 0 };
    archive.program()?;
    for module in modules {
        archive.file(&format!("modules/{}", module.name), 0o644, &module.bytes)?;
    }
    archive.file(plan::PLAN, 0o644, &serde_json::to_vec(plan)?)?;
    for folder in ["dev", "proc", "sys", "tmp", plan::PLACES] {
        archive.folder(folder)?;
    }
    archive.console()?;
    newc::trailer(archive.file)?.flush()
}

/// A cpio archive in the "newc" format, which the kernel unpacks.
struct Archive {
    file: BufWriter<File>,
    /// The folders that it has.
    folders: BTreeSet<PathBuf>,
    inode: u32,
}

impl Archive {
    /// This program, as `/init`, and its libraries.
    fn program(&mut self) -> io::Result<()> {
        let own = fs::read_link("/proc/self/exe")?;
        self.file("init", 0o755, &fs::read("/proc/self/exe")?)?;
        let maps = fs::read_to_string("/proc/self/maps")?;
        let libraries: BTreeSet<_> = mapped(&maps).filter(|path| *path != own).collect();
        if libraries.is_empty() {
            return Ok(());
        }
        for path in &libraries {
            self.file(&path.to_string_lossy(), 0o755, &fs::read(path)?)?;
        }
        // The loader goes by the name that the binary asks for.
        for path in libraries.iter().filter(|path| is_loader(path)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let short = PathBuf::from(format!("/lib64/{name}"));
            if short.canonicalize().is_ok_and(|real| real == *path) && short != *path {
                self.link(&short.to_string_lossy(), &path.to_string_lossy())?;
            }
        }
        // Where `/usr` is merged, libraries are looked for below `/lib`, too.
        if !libraries.iter().any(|path| path.starts_with("/lib")) {
            self.link("lib", "/usr/lib")?;
        }
        Ok(())
    }

    /// The folders above a path.
    fn above(&mut self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent != Path::new("") => self.folder(&parent.to_string_lossy()),
            _ => Ok(()),
        }
    }

    fn folder(&mut self, path: &str) -> io::Result<()> {
        let path = PathBuf::from(path.trim_start_matches('/'));
        if self.folders.contains(&path) {
            return Ok(());
        }
        self.above(&path)?;
        self.entry(&path.to_string_lossy(), ModeFileType::Directory, 0o755, b"")?;
        self.folders.insert(path);
        Ok(())
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.entry(path, ModeFileType::Regular, mode, bytes)
    }

    fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.entry(path, ModeFileType::Symlink, 0o777, to.as_bytes())
    }

    /// Standard input and output of init, until it has mounted `/dev`.
    fn console(&mut self) -> io::Result<()> {
        let entry = newc::Builder::new("dev/console")
            .ino(0)
            .mode(0o600)
            .set_mode_file_type(ModeFileType::Char)
            .rdev_major(5)
            .rdev_minor(1);
        entry.write(&mut self.file, 0).finish().map(drop)
    }

    fn entry(&mut self, path: &str, kind: ModeFileType, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let path = path.trim_start_matches('/');
        self.above(Path::new(path))?;
        self.inode += 1;
        let size = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let entry = newc::Builder::new(path).ino(self.inode).mode(mode).set_mode_file_type(kind);
        let mut entry = entry.write(&mut self.file, size);
        entry.write_all(bytes)?;
        entry.finish().map(drop)
    }
}

fn is_loader(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
}

/// The files that a process has mapped executable, by the text of its `/proc/PID/maps`.
fn mapped(maps: &str) -> impl Iterator<Item = PathBuf> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let executable = words.nth(1)?.contains('x');
        let path = line.find('/').map(|at| PathBuf::from(&line[at..]));
        path.filter(|_| executable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_files_are_found_in_maps() {
        let maps = "55d0-55d1 r--p 00000000 fe:00 12   /bin/x\n\
                    55d1-55d2 r-xp 00001000 fe:00 12   /bin/x\n\
                    7f00-7f01 r-xp 00000000 00:00 0    [vdso]\n\
                    7f01-7f02 r-xp 00000000 fe:00 13   /usr/lib/a lib.so\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(found, [PathBuf::from("/bin/x"), PathBuf::from("/usr/lib/a lib.so")]);
    }
}
