//! The list of cases: what it must name, and that its choices are the seed's.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use refolio_conformance::subjects::Oracle;
use refolio_conformance::{
    About, At, CASES, Counters, Cut, How, Kind, Limit, Look, Moves, Refusal, Settings, Subject,
    Verdict, run,
};

/// Row and column of every cell of the protocol's matrix that two can meet in.
fn cells() -> Vec<String> {
    let protocol = include_str!("../../refolio/protocol.md");
    let matrix = protocol.split("## The matrix").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = matrix.lines().filter(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('*')).collect())
        .collect();
    let column = |name: &str| name.split(' ').next().unwrap().to_owned();
    let columns: Vec<_> = rows[0].iter().map(|name| column(name)).collect();
    let mut cells = Vec::new();
    for row in &rows[2..] {
        let met = row.iter().zip(&columns).skip(2).filter(|(cell, _)| !cell.is_empty());
        cells.extend(
            met.filter(|(cell, _)| **cell != "–").map(|(_, to)| format!("{}_{to}", row[1])),
        );
    }
    cells
}

#[test]
fn every_cell_of_the_matrix_has_its_case_and_no_other() {
    let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names, cells());
    assert_eq!(names.len(), 34);
}

#[test]
fn every_claim_is_a_sentence_of_its_own_with_a_source() {
    for case in CASES {
        assert!(case.claim.ends_with('.') && case.claim.len() > 40, "{}", case.name);
        assert!(case.source.len() > 10, "{}", case.name);
        let same = CASES.iter().filter(|other| other.claim == case.claim).count();
        assert_eq!(same, 1, "{}", case.name);
    }
}

/// Writes down what each thread asks for.
struct Recorder {
    inner: Oracle,
    asked: Mutex<HashMap<ThreadId, Vec<String>>>,
}

impl Recorder {
    fn note(&self, what: String) {
        let me = std::thread::current();
        let mut asked = self.asked.lock().unwrap();
        let list = asked.entry(me.id()).or_insert_with(|| vec![me.name().unwrap_or("").into()]);
        list.push(what);
    }
}

impl Subject for Recorder {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn create(&self, file: u32, kind: Kind, bytes: &[u8]) -> Result<(), Refusal> {
        self.inner.create(file, kind, bytes)
    }

    fn close(&self, file: u32) -> Result<Vec<u8>, Refusal> {
        self.inner.close(file)
    }

    fn read(&self, at: At, into: &mut [u8]) -> Result<usize, Refusal> {
        self.note(format!("read {at:?} {}", into.len()));
        self.inner.read(at, into)
    }

    fn write(&self, at: At, from: &[u8]) -> Result<(), Refusal> {
        self.note(format!("write {at:?} {:?}", &from[..64]));
        self.inner.write(at, from)
    }

    fn sync(&self, file: u32) -> Result<(), Refusal> {
        self.note(format!("sync {file}"));
        self.inner.sync(file)
    }

    fn truncate(&self, file: u32, cut: Cut) -> Result<(), Refusal> {
        self.note(format!("truncate {file} {cut:?}"));
        self.inner.truncate(file, cut)
    }

    fn evict(&self, file: u32, pages: Range<u64>) -> Result<u64, Refusal> {
        self.note(format!("evict {file} {pages:?}"));
        self.inner.evict(file, pages)
    }

    fn pin(&self, file: u32, page: u64, held: &mut dyn FnMut(Look<'_>)) -> Result<(), Refusal> {
        self.note(format!("pin {file} {page}"));
        self.inner.pin(file, page, held)
    }

    fn migrate(&self, file: u32, pages: Range<u64>, to: usize, how: How) -> Result<Moves, Refusal> {
        self.note(format!("migrate {file} {pages:?} {to} {how:?}"));
        self.inner.migrate(file, pages, to, how)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }

    fn node_of(&self, file: u32, page: u64) -> Option<usize> {
        self.inner.node_of(file, page)
    }
}

const TURNS: usize = 60;

/// What the actors ask for in their first turns, actor by actor, each of which asks for something
/// in every turn.
fn asked(name: &str, seed: u64) -> Vec<Vec<String>> {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let recorder = Arc::new(Recorder { inner: Oracle::default(), asked: Mutex::default() });
    let limit = Limit::Turns(TURNS as u64);
    let outcome = run(case, recorder.clone(), Settings { limit, ..Settings::with_seed(seed) });
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome}");
    let mut asked: Vec<_> = recorder.asked.lock().unwrap().values().cloned().collect();
    asked.retain(|of_one| !of_one[0].starts_with("looking"));
    for of_one in &mut asked {
        assert!(of_one.len() > TURNS, "{} had {} turns", of_one[0], of_one.len());
        of_one.truncate(TURNS);
    }
    asked.sort();
    asked
}

#[test]
fn the_seed_decides_every_choice() {
    for name in ["migrate_pin", "truncate_lookup", "write_fill"] {
        let first = asked(name, 5);
        assert_eq!(first, asked(name, 5), "{name}");
        let other = asked(name, 6);
        assert!(first.iter().zip(&other).all(|(one, other)| one[1..] != other[1..]), "{name}");
    }
}
