//! What is going to be run: the cases of a subject, chosen by profile and name.

use refolio_conformance::event::{CaseStart, Start};
use refolio_conformance::subjects::linux::{self, LinuxCase, Profile, Turn};
use refolio_conformance::{CASES, Case, matches};

use crate::args::{Conform, ProfileName, SubjectName};
use crate::exit::Failure;

/// A case of either list.
#[derive(Clone, Copy, Debug)]
pub enum Planned {
    /// One that is held against a subject in this process.
    Here(&'static Case),
    /// One that is held against the kernel, in a process of its own.
    Linux(&'static LinuxCase),
}

impl Planned {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Here(case) => case.name,
            Self::Linux(case) => &case.name,
        }
    }

    /// What it cannot be played without.
    pub fn needs(&self) -> Vec<String> {
        match self {
            Self::Here(case) => case.needs.iter().map(ToString::to_string).collect(),
            Self::Linux(case) => case.needs.iter().map(ToString::to_string).collect(),
        }
    }

    /// When it is run: cases of the same turn in the order of the list.
    fn turn(&self) -> Option<Turn> {
        match self {
            Self::Here(_) => None,
            Self::Linux(case) => Some(case.turn()),
        }
    }

    /// What it is about.
    pub fn start(&self, seed: u64, at_ms: u64) -> CaseStart {
        match self {
            Self::Here(case) => {
                let (row, column) = case.name.split_once('_').unwrap_or((case.name, ""));
                CaseStart {
                    case: case.name.into(),
                    row: row.into(),
                    column: column.into(),
                    trigger: "its own".into(),
                    claim: case.claim.into(),
                    source: case.source.into(),
                    seed,
                    at_ms,
                }
            }
            Self::Linux(case) => CaseStart {
                case: case.name.clone(),
                row: case.row.clone(),
                column: case.column.into(),
                trigger: case.trigger.into(),
                claim: case.claim.clone(),
                source: case.source.clone(),
                seed,
                at_ms,
            },
        }
    }
}

/// The cases of a subject.
fn all(subject: SubjectName) -> Vec<Planned> {
    match subject {
        SubjectName::Refolio | SubjectName::Oracle => CASES.iter().map(Planned::Here).collect(),
        SubjectName::Linux => linux::cases().iter().map(Planned::Linux).collect(),
    }
}

/// The cases with this name; there are some.
pub fn named(subject: SubjectName, name: &str) -> Result<Vec<Planned>, Failure> {
    let mut chosen: Vec<_> =
        all(subject).into_iter().filter(|case| matches(name, case.name())).collect();
    chosen.sort_by_key(Planned::turn);
    if chosen.is_empty() {
        let subject = subject.name();
        return Err(Failure::unusable(format!(
            "--case {name}: there is no such case; `refolio conform --subject {subject} --list` \
             names them"
        )));
    }
    Ok(chosen)
}

/// What the command line asks for.
pub fn cases(args: &Conform) -> Result<Vec<Planned>, Failure> {
    if let Some(name) = &args.case {
        return named(args.subject, name);
    }
    let all = all(args.subject);
    let (profile, nodes) = (args.profile.profile(), linux::nodes());
    let has = |case: &Planned| match case {
        Planned::Here(_) => true,
        Planned::Linux(case) => profile.has(case, nodes),
    };
    // `--list` shows what there is, whatever this machine has, unless a profile is asked for.
    let mut chosen: Vec<_> = all.into_iter().filter(has).collect();
    chosen.sort_by_key(Planned::turn);
    Ok(chosen)
}

/// What a run sets out to do.
pub fn start(args: &Conform, seed: u64, cases: usize) -> Start {
    let dirs = args.dir.iter().map(|dir| format!("--dir {}", dir.display()));
    let disruptive = args.disruptive.then(|| "--disruptive".to_owned());
    let long =
        (args.profile != ProfileName::Quick).then(|| format!("--profile {}", args.profile.name()));
    Start {
        subject: args.subject.name().into(),
        profile: args.profile.name().into(),
        seed,
        cases: cases as u64,
        about: about(args.subject),
        kernel: (args.subject == SubjectName::Linux).then(linux::release),
        options: dirs.chain(disruptive).chain(long).collect::<Vec<_>>().join(" "),
    }
}

fn about(subject: SubjectName) -> String {
    match subject {
        SubjectName::Refolio => format!("refolio {}", env!("CARGO_PKG_VERSION")),
        SubjectName::Oracle => "a trivial model".into(),
        SubjectName::Linux => {
            let (uname, release) = (rustix::system::uname(), linux::release());
            let machine = uname.machine().to_string_lossy();
            let nodes = linux::nodes();
            let nodes =
                if nodes == 1 { "one memory node".into() } else { format!("{nodes} memory nodes") };
            format!("Linux {release} on {machine}, {nodes}")
        }
    }
}

impl SubjectName {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refolio => "refolio",
            Self::Oracle => "oracle",
            Self::Linux => "linux",
        }
    }
}

impl ProfileName {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Soak => "soak",
        }
    }

    /// The suite's.
    pub fn profile(self) -> Profile {
        match self {
            Self::Quick => Profile::Quick,
            Self::Full => Profile::Full,
            Self::Soak => Profile::Soak,
        }
    }
}
