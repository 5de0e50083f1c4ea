//! Ctrl-C and SIGTERM: the run stops cleanly, says what was done, and leaves nothing behind.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Child;

use common::{Ended, assert_empty, start};
use rustix::process::{Pid, Signal, kill_process};

/// More rounds than anybody has time for.
const LONG: [&str; 5] = ["migrate", "--sample=8M", "--anon=2M", "--fast=24M", "--rounds=1000000"];

/// Runs until a line of progress begins so, and sends the signals.
fn stopped(args: &[&str], at: &str, signals: &[Signal]) -> Ended {
    let tmp = tempfile::tempdir().unwrap();
    let mut child = start(args, tmp.path());
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(at) {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it never said '{at}'");
    }
    for signal in signals {
        send(&child, *signal);
        if signals.len() > 1 {
            // Two pending signals of one kind are one.
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    let reader = std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    let ended = Ended::new(args, child.wait_with_output().unwrap());
    reader.join().unwrap().unwrap();
    assert_empty(tmp.path());
    ended
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_run_that_is_stopped_reports_what_was_done() {
    for signal in [Signal::INT, Signal::TERM] {
        let ended = stopped(&LONG, "round", &[signal]).expect(130);
        assert!(ended.out.contains("Interrupted, and well until then"), "{}", ended.out);
        assert!(ended.out.contains("pages moved"), "{}", ended.out);
    }
}

#[test]
fn a_run_that_is_stopped_before_it_moves_says_so() {
    let args = ["migrate", "--sample=512M", "--fast=64M"];
    stopped(&args, "making a sample", &[Signal::INT]).expect(130);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // If the first one's clean end comes sooner, that is fine as well.
    stopped(&LONG, "round", &[Signal::INT, Signal::INT]).expect(130);
}
