//! The house rules that a machine can check: layering, rooms of `unsafe`, atomics only through
//! `sync`, sizes, and a map that names every room.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `src` by layer, from the ground up: a file imports only from its own layer or
/// below.
const LAYERS: &[(&str, &[&str])] = &[
    ("ground", &["clock", "sync", "units", "trace"]),
    ("a page", &["buddy", "errseq", "folio", "frame", "hint", "holder", "node", "store", "wait"]),
    ("knowing", &["ahead", "error", "lru", "mapping", "place", "registry", "shadow", "table"]),
    ("core", &["core", "hand", "still"]),
    (
        "verbs",
        &[
            "batch",
            "drain",
            "evict",
            "fault",
            "fill",
            "form",
            "many",
            "migrate",
            "passes",
            "read",
            "reclaim",
            "report",
            "truncate",
            "watch",
            "write",
            "writeback",
            "zap",
        ],
    ),
    ("the door", &["builder", "cache", "file", "housekeeper", "page", "stats", "view"]),
    ("outside", &["testing", "model", "lib"]),
];

/// Where `unsafe` may be written.
const UNSAFE_ROOMS: &[&str] = &[
    "xarray/src/node.rs",
    "refolio/src/frame/",
    "refolio/src/core/hinted.rs",
    "refolio/src/still.rs",
    "refolio/src/store/scatter.rs",
    "refolio/src/store/uring.rs",
    "conformance/src/subjects/linux/sys/",
    "bench/src/limits/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sources(below: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort();
    let crates = root().join("crates");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&crates).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// A line of code, not of a comment.
fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

/// The part of a file before its tests.
fn shipped(text: &str) -> &str {
    let tests = ["#[cfg(test)]", "#[cfg(all(test, not(refolio_model)))]"];
    let end = tests.iter().filter_map(|mark| text.find(mark)).min();
    &text[..end.unwrap_or(text.len())]
}

fn layer_of(room: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// The rooms that one `crate::…` names: one, or those in braces.
fn imported(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    match path.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap().split(',').map(word).collect(),
        None => vec![word(path)],
    }
}

#[test]
fn a_room_imports_from_its_own_layer_or_below() {
    for (name, text) in sources("crates/refolio/src") {
        let room = name.trim_start_matches("refolio/src/").trim_end_matches(".rs");
        let room = room.split('/').next().unwrap();
        let layer =
            layer_of(room).unwrap_or_else(|| panic!("{name}: in no layer of tests/tidy.rs"));
        let code: Vec<_> = shipped(&text).lines().filter(|line| is_code(line)).collect();
        // Where words are private they are given the names they have in a model's trace; in a
        // program there is none of that.
        let code = code.join(" ").replace("crate::model::names", "");
        for import in code.split("crate::").skip(1) {
            for used in imported(import) {
                let Some(other) = layer_of(&used) else { continue };
                assert!(other <= layer, "{name}: {room} imports {used} from above");
            }
        }
    }
}

#[test]
fn unsafe_is_written_in_its_rooms_only() {
    let crates = [
        "crates/refolio/src",
        "crates/xarray/src",
        "crates/conformance",
        "crates/cli",
        "crates/bench",
        "crates/peers",
        "crates/explore",
        "crates/check",
    ];
    for (name, text) in crates.iter().flat_map(|below| sources(below)) {
        if UNSAFE_ROOMS.iter().any(|room| name.starts_with(room)) {
            continue;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| is_code(line)) {
            let word = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"];
            let found = word.iter().any(|word| line.contains(word));
            assert!(!found || name.ends_with("tidy.rs"), "{name}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn atomics_and_locks_come_through_the_sync_room() {
    let banned =
        ["std::sync::atomic", "std::sync::Mutex", "std::sync::Condvar", "std::sync::RwLock"];
    for below in ["crates/refolio/src", "crates/xarray/src"] {
        for (name, text) in sources(below) {
            if name.ends_with("/sync.rs")
                || name.contains("/sync/")
                || name.contains("/model/")
                || name.contains("testing")
            {
                continue;
            }
            for (number, line) in
                shipped(&text).lines().enumerate().filter(|(_, line)| is_code(line))
            {
                let found = banned.iter().find(|word| line.contains(**word));
                assert!(found.is_none(), "{name}:{}: {line}", number + 1);
            }
        }
    }
}

#[test]
fn files_and_lines_stay_readable() {
    for (name, text) in
        ["refolio", "xarray", "conformance", "cli", "bench", "peers", "explore", "check"]
            .iter()
            .flat_map(|of| sources(&format!("crates/{of}")))
    {
        assert!(text.lines().count() <= 500, "{name} has more than 500 lines");
        let tables = |line: &str| line.starts_with("//! |");
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !tables(line)) {
            assert!(line.chars().count() <= 106, "{name}:{}: far longer than 100", number + 1);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for below in [
        "crates/refolio/src",
        "crates/xarray/src",
        "crates/conformance/src",
        "crates/cli/src",
        "crates/bench/src",
        "crates/peers/src",
    ] {
        for (name, text) in sources(below) {
            assert!(text.starts_with("//!"), "{name} does not open with //!");
        }
    }
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (layer, rooms) in LAYERS {
        for room in rooms.iter().filter(|room| **room != "lib") {
            assert!(map.contains(&format!("`{room}`")), "ARCHITECTURE.md: no `{room}` ({layer})");
        }
    }
}

#[test]
fn no_example_of_the_docs_is_left_unrun() {
    for (name, text) in
        sources("crates/refolio/src").into_iter().chain(sources("crates/xarray/src"))
    {
        assert!(!text.contains("```ignore"), "{name}");
        assert!(!text.contains("rust,ignore"), "{name}");
    }
}
