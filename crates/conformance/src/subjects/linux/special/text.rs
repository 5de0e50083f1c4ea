//! The text of a program that runs.

use std::fs;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use refolio::PAGE_SIZE;

use super::super::Settings;
use super::super::machine::{Stop, refused};
use super::super::movers::moved_to;
use super::super::play::Play;
use super::super::sys::{Map, Source};
use crate::tally::Fact;
use crate::verdict::Wrong;

/// How often the program is run.
const RUNS: u64 = 2;

/// Runs a copy of this very program, which says its version, while its pages are moved.
pub(super) fn run(play: &Arc<Play>, _: &Settings) -> Result<(), Stop> {
    let dir = play.machine.disk_dir()?;
    let copy = dir.join("text");
    let this = std::env::current_exe().map_err(refused("finding this program"))?;
    fs::copy(this, &copy).map_err(refused("copying this program"))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).map_err(refused("chmod"))?;
    let ran = runs(play, &copy);
    // The folder's owner removes it else.
    let _ = fs::remove_file(&copy);
    ran
}

/// Which pages of this program's file are text: those that it has mapped to be executed.
fn text() -> Option<Range<u64>> {
    let this = std::env::current_exe().ok()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| {
        line.contains(" r-xp ") && this.to_str().is_some_and(|this| line.ends_with(this))
    })?;
    let mut words = line.split_whitespace();
    let number = |word: &str| u64::from_str_radix(word, 16).ok();
    let (start, end) = words.next()?.split_once('-')?;
    let start_of_text = number(words.nth(1)?)? / PAGE_SIZE as u64;
    let pages = (number(end)? - number(start)?) / PAGE_SIZE as u64;
    Some(start_of_text..start_of_text + pages)
}

fn runs(play: &Play, copy: &std::path::Path) -> Result<(), Stop> {
    let file = fs::File::open(copy).map_err(refused("opening a copy of this program"))?;
    let len = file.metadata().map_err(refused("fstat"))?.len() as usize;
    let map = Map::new(Source::ReadOnly(file.as_fd()), len).map_err(refused("mmap"))?;
    let text = text().ok_or(Stop::Lacks("/proc/self/maps, which says where text is"))?;
    let pages: Vec<_> = text.clone().map(|page| map.address(page)).collect();
    let mut word = [0; 8];
    let mut said: Option<Vec<u8>> = None;
    for _ in 0..RUNS {
        let mut command = Command::new(copy);
        command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(refused("running a copy of this program"))?;
        text.clone().for_each(|page| map.load(page as usize * PAGE_SIZE, &mut word));
        let mut turns = 0;
        while child.try_wait().map_err(refused("waiting"))?.is_none() || turns < 2 {
            let node = play.machine.nodes[turns % play.machine.nodes.len()];
            moved_to(play, &pages, node)?;
            turns += 1;
        }
        let output = child.wait_with_output().map_err(refused("waiting"))?;
        if !output.status.success() {
            let detail = format!("the program ended with {}", output.status);
            return Err(Stop::fails(Wrong::Died, detail));
        }
        let first = said.get_or_insert_with(|| output.stdout.clone());
        if *first != output.stdout {
            return Err(Stop::fails(Wrong::ForeignPage, "the program says something else"));
        }
        play.tally.add(Fact::Forked, 1);
    }
    Ok(())
}
