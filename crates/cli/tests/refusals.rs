//! What cannot be used is refused in one line that names the thing, with exit code 2, before
//! anything starts.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use common::run;

/// The command ends with 2 and one line, in which all the words stand.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let ended = run(args).expect(2);
    assert_eq!(ended.out, "", "refolio {}", ended.args);
    assert_eq!(ended.err.lines().count(), 1, "refolio {}\n{}", ended.args, ended.err);
    for word in words {
        assert!(ended.err.contains(word), "no '{word}': refolio {}\n{}", ended.args, ended.err);
    }
}

#[test]
fn paths_without_pages() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    refused(&["migrate", &at("missing")], &["missing", "no such file"]);
    refused(&["migrate", "/dev/null"], &["/dev/null", "a character device", "regular file"]);

    let pipe = at("pipe");
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
    refused(&["migrate", &pipe], &["pipe", "a named pipe"]);
    refused(&["explain", &pipe, "--page", "0"], &["pipe", "a named pipe"]);

    let socket = at("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    refused(&["migrate", &socket], &["socket", "a socket"]);

    let empty = at("empty-folder");
    fs::create_dir(&empty).unwrap();
    refused(&["migrate", &empty], &["empty-folder", "no regular file"]);
    refused(&["explain", &empty, "--page", "0"], &["empty-folder", "a folder"]);
    fs::write(at("empty"), "").unwrap();
    refused(&["explain", &at("empty"), "--page", "0"], &["empty", "no pages"]);

    let kept = at("kept");
    fs::write(&kept, "bytes").unwrap();
    refused(&["migrate", &kept, "--json", &kept], &["kept", "overwrite"]);
    assert_eq!(fs::read(&kept).unwrap(), b"bytes");

    // One bad path refuses the run, however many good ones there are.
    fs::write(at("good"), "bytes").unwrap();
    refused(&["migrate", &at("good"), &at("missing")], &["missing"]);
}

#[test]
fn files_that_may_not_be_read() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "bytes").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    refused(&["migrate", secret.to_str().unwrap()], &["secret", "permissions"]);
}

#[test]
fn options_that_make_no_sense() {
    for (args, words) in [
        (&["--order", "10"][..], &["--order", "10"][..]),
        (&["--fast", "0"], &["--fast", "0"]),
        (&["--fast", "64Q"], &["--fast", "64Q", "64MiB"]),
        (&["--slow", "4K"], &["--slow", "needs at least"]),
        (&["--fast", "900G", "--slow", "900T"], &["memory"]),
        (&["--rounds", "0"], &["--rounds"]),
        (&["--for", "0s"], &["--for", "over before it begins"]),
        (&["--for", "5"], &["--for", "such as 90s"]),
        (&["--readers=-1"], &["--readers", "-1"]),
        (&["--writers", "257"], &["--writers", "257"]),
        (&["--mode", "fast"], &["--mode", "async", "light", "sync"]),
        (&["--form", "x"], &["--form", "freeze-only", "early-check"]),
        (&["--anon", "16M", "--fast", "8M"], &["--anon", "8 MiB"]),
        (&["--json", "/nowhere/at/all.json"], &["/nowhere/at/all.json", "--json"]),
    ] {
        let args: Vec<_> = ["migrate"].iter().chain(args).copied().collect();
        refused(&args, words);
    }
    let both = &["migrate", "--for", "5s", "--rounds", "2"][..];
    for args in [both, &["migrate", "--write"], &["migrate", "--no-such"], &["explain"], &[]] {
        run(args).expect(2);
    }
}

#[test]
fn help_names_the_exit_codes_and_shows_examples() {
    for args in [&["--help"][..], &["migrate", "--help"], &["explain", "--help"]] {
        let help = run(args).expect(0).out;
        assert!(help.contains("Exit codes:"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    assert!(run(&["migrate", "--help"]).out.contains("Examples:"));
    assert!(run(&["--version"]).expect(0).out.starts_with("refolio "));
}

#[test]
fn measurements_that_make_no_sense() {
    refused(&["bench", "hit", "--size", "1M"], &["--size", "at least 16 MiB"]);
    refused(&["bench", "hit", "--size", "4096G"], &["--size", "suite hit", "smaller"]);
    refused(&["bench", "hit", "--seconds", "0"], &["--seconds", "from 0.01"]);
    refused(&["bench", "none"], &["none"]);
    refused(&["bench", "hit", "--dir", "/no/such/folder"], &["/no/such/folder"]);
    refused(&["bench", "memory", "--json", "/no/such/file"], &["/no/such/file"]);
    refused(&["bench", "miss", "--dir", "/dev/null"], &["/dev/null", "no such folder", "--dir"]);
    if std::path::Path::new("/dev/shm").is_dir() {
        refused(&["bench", "miss", "--dir", "/dev/shm"], &["/dev/shm", "memory", "--dir"]);
    }
}

#[test]
fn output_that_nobody_takes_is_no_panic() {
    let told = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refolio"));
        let ended = command.args(["check", "--list"]).stdout(out).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(told(writer.into()), (Some(1), String::new()));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, err) = told(full.into());
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("stdout: No space left on device"), "{err}");
}
