//! Takes one protection of the protocol away, and draws how a scene then breaks a rule:
//!
//! ```text
//! cargo run --release -p refolio-check --example picture -- migrate_lookup lookup-skips-recheck
//! ```
//!
//! With a path behind it, PATH.svg and PATH.html are written, too.

use std::process::ExitCode;
use std::time::Duration;

use refolio_check::Form;
use refolio_check::picture::{Picture, html, svg, text};
use refolio_check::scene::{self, Named};

/// For each number of preemptions.
const LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match &args[..] {
        [scene, broken] => drawn(scene, broken, None),
        [scene, broken, path] => drawn(scene, broken, Some(path)),
        _ => Err("usage: picture SCENE PROTECTION [PATH]".into()),
    };
    done.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn drawn(name: &str, broken: &str, path: Option<&str>) -> Result<(), String> {
    let scenes = scene::find(name);
    // The switches are known by the names that the sources give them, which live as long as they.
    let broken: &'static str = String::from(broken).leak();
    let picture = scenes.iter().find_map(|scene| picture(scene, broken));
    let picture = picture.ok_or(format!("no scene of {name:?} misses {broken}"))?;
    print!("{}", text::draw(&picture, 120, false));
    let Some(path) = path else { return Ok(()) };
    let pages = [(format!("{name} {broken}"), picture.clone())];
    let files = [
        (format!("{path}.svg"), svg::draw(&picture)),
        (format!("{path}.html"), html::page("Counterexamples", &pages)),
    ];
    let mut files = files.iter();
    files.try_for_each(|(file, text)| {
        std::fs::write(file, text).map_err(|error| format!("cannot write {file}: {error}"))
    })
}

/// The violation with the fewest preemptions.
fn picture(scene: &Named, broken: &'static str) -> Option<Picture> {
    let (verdict, _) = scene.fewest(Form::default(), Some(broken), 3, LIMIT)?;
    let schedule = verdict.violation?.schedule;
    let trace = scene.replay(Form::default(), Some(broken), &schedule);
    let titles = scene::titles(scene);
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let title = format!("{}, broken: {broken}", scene.name);
    Some(Picture::of(&trace, &title, &titles, schedule.to_string()))
}
