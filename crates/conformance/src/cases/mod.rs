//! The cases, row by row of the matrix: who is on the stage, and what must have happened.

pub(crate) mod evict;
pub(crate) mod migrate;
pub(crate) mod truncate;
pub(crate) mod write;

use crate::actors::Actor;
use crate::stage::{Scene, Stage};
use crate::subject::Kind;
use crate::tally::Fact;

/// Files in single pages and in large folios.
const FILES: &[Kind] = &[Kind::File, Kind::LargeFile];

/// And memory without a file.
const MEMORY: &[Kind] = &[Kind::File, Kind::LargeFile, Kind::Anonymous];

/// Plays a scene in which pages are written whole.
fn play(stage: &mut Stage, files: &'static [Kind], cast: &'static [Actor], reach: &'static [Fact]) {
    stage.play(Scene { files, parts: 1, cast, reach });
}
