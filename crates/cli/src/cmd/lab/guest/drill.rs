//! Rehearsed failures: a run of three cases, of which the second goes wrong as asked.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use refolio_conformance::event::{Answer, CaseStart, Event, Finish, Judged, Start};

use crate::cmd::lab::plan::{Drill, Said};

/// The cases' names.
const CASES: [&str; 3] = ["drill-before", "drill-during", "drill-after"];

/// Runs them.
pub fn run(drill: Drill, port: &mut File) -> Result<Said, String> {
    let mut say = |event: Event| {
        let written = writeln!(port, "{}", event.line());
        written.map_err(|error| format!("the port: {error}"))
    };
    say(Event::Started(Start {
        subject: "drill".into(),
        profile: "quick".into(),
        seed: 0,
        cases: CASES.len() as u64,
        about: "a rehearsed failure".into(),
        kernel: None,
        options: String::new(),
    }))?;
    let mut finish = Finish::default();
    for case in CASES {
        say(Event::Case(CaseStart {
            case: case.into(),
            row: "drill".into(),
            column: "none".into(),
            trigger: "none".into(),
            claim: "what goes wrong is told, and blamed on the case that ran".into(),
            source: "the laboratory".into(),
            ..CaseStart::default()
        }))?;
        if case == CASES[1] {
            match go_wrong(drill)? {
                None => {}
                Some(ended) => return Ok(ended),
            }
        }
        finish.count(Answer::Pass);
        say(Event::Verdict(Judged {
            case: case.into(),
            seed: 0,
            verdict: Answer::Pass,
            reason: None,
            failures: Vec::new(),
            moved: 0,
            busy: 0,
            facts: Vec::new(),
            at_ms: 0,
            elapsed_ms: 0,
        }))?;
    }
    say(Event::Finished(finish))?;
    Ok(Said::Ended { code: Some(0), signal: None })
}

/// Goes wrong; what is answered is how the drill ends early.
fn go_wrong(drill: Drill) -> Result<Option<Said>, String> {
    match drill {
        Drill::None | Drill::Linger => {}
        Drill::Warn => {
            let text = "<4>------------[ cut here ]------------\n";
            kmsg(text)?;
            kmsg("<4>WARNING: CPU: 0 PID: 1 at drill, which nothing is wrong with\n")?;
            kmsg("<4>---[ end trace 0000000000000000 ]---\n")?;
            // The log and the verdicts come on lines of their own: the warning shall come first.
            std::thread::sleep(Duration::from_millis(500));
        }
        Drill::Panic => {
            fs::write("/proc/sys/kernel/sysrq", "1").map_err(|error| error.to_string())?;
            fs::write("/proc/sysrq-trigger", "c").map_err(|error| error.to_string())?;
        }
        Drill::Silence => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Drill::Killed => return Ok(Some(Said::Ended { code: None, signal: Some(9) })),
    }
    Ok(None)
}

/// Complains for ever: what the kernel says of whoever hangs in an unmount.
pub fn linger() -> Result<(), String> {
    loop {
        kmsg("<3>INFO: task drill:1 blocked for more than 45 seconds.\n")?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kmsg(text: &str) -> Result<(), String> {
    let log = fs::OpenOptions::new().write(true).open("/dev/kmsg");
    log.and_then(|mut log| log.write_all(text.as_bytes())).map_err(|error| error.to_string())
}
