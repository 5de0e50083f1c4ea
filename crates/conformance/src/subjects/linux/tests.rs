//! The subject's own machinery can fail: what a saboteur does to pages is found, under its name,
//! without a kernel that is broken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::acts::{LOADER, STORER};
use super::ground::Ground;
use super::kind::Kind;
use super::machine::{Machine, Stop};
use super::play::{Actor, Me, Play};
use super::{Settings, cases, proof, rest};
use crate::content::Stamp;
use crate::tally::Fact;
use crate::verdict::Wrong;

fn settings() -> Settings {
    Settings {
        seed: 3,
        length: Duration::from_millis(50),
        hope: Duration::from_secs(10),
        patience: Duration::from_secs(20),
        dirs: Vec::new(),
        disruptive: false,
        stopped: || false,
    }
}

fn play(kind: Kind) -> Arc<Play> {
    // One node: that pages move is the laboratory's to show.
    let machine = Machine::new(&[] as &[PathBuf], false).unwrap();
    let machine = Machine { nodes: vec![machine.nodes[0]], ..machine };
    let ground = Ground::new(&machine, kind, 3).unwrap();
    Arc::new(Play::new(machine, ground, 3))
}

/// Where the map of the saboteur's choice lies, and the bytes that it puts there.
fn sabotage(play: &Play, me: &mut Me, bytes: impl Fn(u64) -> Vec<u8>) -> Result<(), Stop> {
    let page = me.rng.u64(0..play.ground.pages());
    let map = play.ground.map.as_ref().unwrap();
    map.store(page as usize * PAGE_SIZE, &bytes(page));
    std::thread::sleep(Duration::from_micros(200));
    Ok(())
}

fn stamped(seed: u64, stamp: Stamp) -> Vec<u8> {
    let mut bytes = vec![0; PAGE_SIZE];
    stamp.fill(seed, 0, &mut bytes);
    bytes
}

const fn saboteur(act: fn(&Play, &mut Me) -> Result<(), Stop>) -> Actor {
    Actor { name: "saboteur", writes: false, act }
}

const ZEROES: Actor = saboteur(|play, me| sabotage(play, me, |_| vec![0; PAGE_SIZE]));
const SWAPS: Actor = saboteur(|play, me| {
    let seed = play.seed;
    sabotage(play, me, move |page| {
        let index = (page + 1) % 32;
        stamped(seed, Stamp { file: 0, index, generation: 1, writer: 0 })
    })
});
const TURNS_BACK: Actor = saboteur(|play, me| {
    let seed = play.seed;
    sabotage(play, me, move |index| {
        stamped(seed, Stamp { file: 0, index, generation: 1, writer: 0 })
    })
});
const GARBLES: Actor = saboteur(|play, me| sabotage(play, me, |_| vec![7; PAGE_SIZE]));

fn wrongs(kind: Kind, saboteur: Actor) -> Vec<Wrong> {
    let stops = play(kind).play(&[STORER, STORER, LOADER, saboteur], &[Fact::Written], &settings());
    let wrong = |stop| match stop {
        Stop::Fails(failure) => Some(failure.wrong),
        Stop::Lacks(_) => None,
    };
    stops.into_iter().filter_map(wrong).collect()
}

#[test]
fn sabotage_is_found_under_its_name() {
    for kind in [Kind::Anon, Kind::AnonShared, Kind::Memfd] {
        for (saboteur, expected) in [
            (ZEROES, Wrong::ZeroedPage),
            (SWAPS, Wrong::ForeignPage),
            (TURNS_BACK, Wrong::LostWrite),
            (GARBLES, Wrong::GarbledPage),
        ] {
            // Threads meet when they like: the same sabotage may be seen half done, as a torn page.
            let found = (0..8).any(|_| wrongs(kind, saboteur).contains(&expected));
            assert!(found, "{kind:?}: {expected} is not found in 8 runs");
        }
    }
}

#[test]
fn without_sabotage_all_is_well_and_at_rest() {
    for kind in [Kind::Anon, Kind::AnonShared, Kind::Memfd] {
        let play = play(kind);
        let before = proof::vmstat();
        let stops = play.play(&[STORER, STORER, LOADER], &[Fact::Written], &settings());
        assert!(stops.is_empty(), "{kind:?}: {stops:?}");
        rest::look(&play, &before).unwrap_or_else(|stop| panic!("{kind:?}: {stop:?}"));
    }
}

#[test]
fn a_page_that_is_wrong_at_rest_is_found() {
    let play = play(Kind::Memfd);
    let file = &play.ground.file.as_ref().unwrap().file;
    std::os::unix::fs::FileExt::write_at(file, &[0; PAGE_SIZE], 0).unwrap();
    let Err(Stop::Fails(failure)) = rest::look(&play, &proof::vmstat()) else {
        panic!("a zeroed page is overlooked");
    };
    assert_eq!(failure.wrong, Wrong::ZeroedPage);
}

#[test]
fn what_did_not_happen_fails() {
    let settings = Settings { hope: Duration::from_millis(10), ..settings() };
    let stops = play(Kind::Anon).play(&[STORER], &[Fact::Moved], &settings);
    let unreached = |stop: &Stop| matches!(stop, Stop::Fails(f) if f.wrong == Wrong::Unreached);
    assert!(stops.iter().any(unreached), "{stops:?}");
}

#[test]
fn every_case_has_a_name_a_claim_and_a_source_of_its_own() {
    let mut names: Vec<_> = cases().iter().map(|case| &case.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "a name is there twice");
    for case in cases() {
        assert!(case.claim.ends_with('.') && case.claim.len() > 40, "{}", case.name);
        assert!(case.source.len() > 10, "{}", case.name);
    }
    for kind in Kind::all() {
        let row = kind.name();
        let quick = |case: &&super::LinuxCase| super::Profile::Quick.has(case, 2);
        let played = cases().iter().filter(|case| case.row == row).filter(quick).count();
        assert!(played > 0, "the quick profile leaves {row} out");
    }
}
