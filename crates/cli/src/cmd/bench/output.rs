//! What `refolio bench` writes.

use std::io::Write;
use std::path::Path;

use refolio_bench::{Results, picture, plain};

use super::args::Bench;
use crate::exit::Failure;

/// Files that cannot be written are better known of before than after.
pub fn check(args: &Bench) -> Result<(), Failure> {
    let files = [&args.json, &args.svg, &args.html].into_iter().flatten();
    for path in files.filter(|path| *path != Path::new("-")) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let path = path.display();
            return Err(Failure::unusable(format!("{path}: there is no such folder; make it")));
        }
    }
    Ok(())
}

/// Tables on standard output (or beside it, when JSON goes there), and files.
pub fn tell(args: &Bench, measured: &[Results]) -> Result<(), Failure> {
    let on_stdout = args.json.as_deref() == Some(Path::new("-"));
    let tables: Vec<String> = measured.iter().map(plain).collect();
    let tables = tables.join("\n");
    // A reader that has gone away is nobody's problem.
    let _ = match on_stdout {
        true => std::io::stderr().write_all(tables.as_bytes()),
        false => std::io::stdout().write_all(tables.as_bytes()),
    };
    if on_stdout {
        let _ = std::io::stdout().write_all(json(measured).as_bytes());
    }
    if let Some(path) = args.json.as_ref().filter(|_| !on_stdout) {
        write(path, &json(measured))?;
    }
    if let (Some(path), Some(results)) = (&args.svg, measured.first()) {
        write(path, &picture::draw(results))?;
    }
    match &args.html {
        Some(path) => write(path, &picture::page("Refolio, measured", measured)),
        None => Ok(()),
    }
}

fn json(measured: &[Results]) -> String {
    serde_json::to_string_pretty(measured).unwrap_or_default() + "\n"
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        let path = path.display();
        Failure::unusable(format!("{path}: {error}; name a file in a folder you can write to"))
    })
}
