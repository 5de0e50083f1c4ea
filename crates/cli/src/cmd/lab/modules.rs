//! A kernel's modules: which ones are needed, and in which order they are loaded.
//!
//! A module names what it depends on in its own `.modinfo` (`depends=`, and `softdep=pre: …` for
//! what it asks for by itself while it starts), so no `depmod` has to have been run.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Failure;

/// A module, unpacked and ready to load.
#[derive(Debug)]
pub struct Module {
    /// Its name, as `lsmod` shows it.
    pub name: String,
    /// The object file.
    pub bytes: Vec<u8>,
}

/// A folder of modules.
#[derive(Debug)]
pub struct Modules {
    dir: PathBuf,
    files: HashMap<String, PathBuf>,
    /// None: the folder does not say what the kernel has built in.
    builtin: Option<HashSet<String>>,
}

impl Modules {
    /// Lists the modules of a folder, such as `/lib/modules/RELEASE`.
    pub fn below(dir: &Path) -> Result<Self, Failure> {
        let mut files = HashMap::new();
        for entry in walkdir::WalkDir::new(dir) {
            let entry = entry.map_err(|error| {
                Failure::unusable(format!("{}: {error}: --modules names a folder", dir.display()))
            })?;
            if let Some(name) = name_of(entry.path()) {
                files.insert(name, entry.into_path());
            }
        }
        let builtin = fs::read_to_string(dir.join("modules.builtin")).ok();
        let names = |text: String| text.lines().filter_map(|it| name_of(Path::new(it))).collect();
        let builtin: Option<HashSet<_>> = builtin.map(names);
        if files.is_empty() && builtin.is_none() {
            let line = format!("{}: no kernel module (*.ko) is below it", dir.display());
            return Err(Failure::unusable(line));
        }
        Ok(Self { dir: dir.to_owned(), files, builtin })
    }

    /// These modules and what they need, each after all that it needs. What is built in is left
    /// out; what is nowhere is refused.
    pub fn in_order(&self, wanted: &[&str]) -> Result<Vec<Module>, Failure> {
        let mut order = Order { modules: self, seen: HashSet::new(), loaded: Vec::new() };
        for name in wanted {
            order.add(name)?;
        }
        Ok(order.loaded)
    }

    fn lacks(&self, name: &str) -> Failure {
        Failure::unusable(format!(
            "the kernel lacks {name}: {} has no such module, and it is not built in; \
             take a kernel with it, or leave out what needs it (see --fs)",
            self.dir.display()
        ))
    }
}

/// A walk from what is wanted to what is needed.
struct Order<'a> {
    modules: &'a Modules,
    seen: HashSet<String>,
    loaded: Vec<Module>,
}

impl Order<'_> {
    fn add(&mut self, name: &str) -> Result<(), Failure> {
        let name = name.replace('-', "_");
        if !self.seen.insert(name.clone()) {
            return Ok(());
        }
        let Some(path) = self.modules.files.get(&name) else {
            // Without a list of what is built in, the guest will tell.
            let builtin = self.modules.builtin.as_ref();
            let there = builtin.is_none_or(|builtin| builtin.contains(&name));
            return if there { Ok(()) } else { Err(self.modules.lacks(&name)) };
        };
        let bytes = unpacked(path)?;
        for needed in info(&bytes, "depends=").flat_map(|list| split(list, ',')) {
            self.add(&needed)?;
        }
        for list in info(&bytes, "softdep=pre:") {
            let list = list.split("post:").next().unwrap_or_default();
            for wished in split(list, ' ') {
                // A wish can name an algorithm instead of a module: `crypto-crc32c`.
                let base = wished.trim_start_matches("crypto-").replace('-', "_");
                for name in [format!("{base}_generic"), base] {
                    if self.modules.files.contains_key(&name) {
                        self.add(&name)?;
                    }
                }
            }
        }
        self.loaded.push(Module { name, bytes });
        Ok(())
    }
}

fn split(list: &str, at: char) -> impl Iterator<Item = String> {
    list.split(at).map(str::trim).filter(|name| !name.is_empty()).map(String::from)
}

/// The name of the module that a file holds; none for other files.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, packed) = file.split_once(".ko")?;
    matches!(packed, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

/// The values of a key in a module's `.modinfo`: strings that end with NUL.
fn info<'a>(bytes: &'a [u8], key: &'a str) -> impl Iterator<Item = &'a str> {
    bytes.split(|byte| *byte == 0).filter_map(move |text| {
        let value = text.strip_prefix(key.as_bytes())?;
        std::str::from_utf8(value).ok()
    })
}

fn unpacked(path: &Path) -> Result<Vec<u8>, Failure> {
    let tool = match path.extension().and_then(|ext| ext.to_str()) {
        Some("xz") => ("xz", "xz-utils"),
        Some("zst") => ("zstd", "zstd"),
        Some("gz") => ("gzip", "gzip"),
        _ => {
            return fs::read(path)
                .map_err(|error| Failure::unusable(format!("{}: {error}", path.display())));
        }
    };
    let (tool, package) = tool;
    let output = Command::new(tool).arg("-dc").arg(path).output().map_err(|error| {
        Failure::unusable(format!(
            "{} cannot be unpacked: {tool}: {error}; apt-get install {package}",
            path.display()
        ))
    })?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let line = format!("{} cannot be unpacked: {}", path.display(), told.trim());
        return Err(Failure::unusable(line));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(modules: &[(&str, &str)], builtin: Option<&str>) -> (tempfile::TempDir, Modules) {
        let dir = tempfile::tempdir().unwrap();
        for (file, info) in modules {
            let path = dir.path().join("kernel").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("\x7fELF\0license=GPL\0{}\0", info.replace(';', "\0")))
                .unwrap();
        }
        if let Some(list) = builtin {
            fs::write(dir.path().join("modules.builtin"), list).unwrap();
        }
        let modules = Modules::below(dir.path()).unwrap();
        (dir, modules)
    }

    fn names(modules: &[Module]) -> Vec<&str> {
        modules.iter().map(|module| module.name.as_str()).collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_only_once() {
        let (_dir, modules) = folder(
            &[
                ("fs/a-fs.ko", "depends=lib-two,lib_one"),
                ("lib/lib-one.ko", "depends="),
                ("lib/lib_two.ko", "depends=lib_one,in_kernel;softdep=pre: crypto-sum post: x"),
                ("crypto/sum_generic.ko", "depends="),
            ],
            Some("kernel/in-kernel.ko\n"),
        );
        let order = modules.in_order(&["lib_one", "a_fs", "in-kernel"]).unwrap();
        assert_eq!(names(&order), ["lib_one", "sum_generic", "lib_two", "a_fs"]);
    }

    #[test]
    fn what_is_nowhere_is_refused_by_name() {
        let (_dir, modules) = folder(&[("a.ko", "depends=gone")], Some("kernel/b.ko\n"));
        assert!(modules.in_order(&["a"]).unwrap_err().to_string().contains("lacks gone"));
        assert!(modules.in_order(&["f2fs"]).unwrap_err().to_string().contains("lacks f2fs"));
        let (_dir, modules) = folder(&[("a.ko", "depends=")], None);
        assert!(modules.in_order(&["perhaps_built_in"]).unwrap().is_empty());
        let empty = tempfile::tempdir().unwrap();
        assert!(Modules::below(empty.path()).is_err());
    }
}
