//! Takes one protection of the protocol away, and draws how a scene then breaks a rule:
//!
//! ```text
//! cargo run --release -p refolio-check --example picture -- migrate_lookup lookup-skips-recheck
//! ```
//!
//! With a path behind it, PATH.svg and PATH.html are written, too.

use std::process::ExitCode;

use refolio_check::picture::{Picture, html, svg, text};
use refolio_checked::Form;
use refolio_checked::model::{self, Scene};
use refolio_explore::Search;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [cell, broken, path @ ..] = &args[..] else {
        eprintln!("usage: picture SCENE PROTECTION [PATH]");
        return ExitCode::FAILURE;
    };
    match drawn(cell, broken, path.first()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn drawn(cell: &str, broken: &str, path: Option<&String>) -> Result<(), String> {
    let mut all = model::ALL.iter();
    let model = all.find(|model| model.name() == cell).ok_or(format!("no scene {cell}"))?;
    let mut protections = model.protections.iter();
    let (switch, _) = protections
        .find(|(switch, _)| *switch == broken)
        .ok_or_else(|| format!("{cell} has no protection {broken}: {:?}", model.protections))?;
    let scene = cell.strip_prefix("scene_");
    let names: Vec<&str> = scene.unwrap_or(cell).split('_').collect();
    let threads = match names[..] {
        [first, second] => vec![second, first],
        ref all => all.to_vec(),
    };
    let scenes = model.scenes.iter().enumerate();
    let (number, trace, schedule) = scenes
        .filter_map(|(number, act)| found(*act, switch).map(|(trace, text)| (number, trace, text)))
        .next()
        .ok_or_else(|| format!("{cell} holds without {broken}"))?;
    let title = format!("{}, broken: {broken}", names.join(" × "));
    let picture = Picture::of(&trace, &title, &threads, format!("scene {number}: {schedule}"));
    print!("{}", text::draw(&picture, 120, false));
    if let Some(path) = path {
        let write =
            |file: String, text| std::fs::write(&file, text).map_err(|e| format!("{file}: {e}"));
        write(format!("{path}.svg"), svg::draw(&picture))?;
        let pictures = [(format!("{cell}-{broken}"), picture)];
        write(format!("{path}.html"), html::page("Counterexamples", &pictures))?;
    }
    Ok(())
}

/// The violation with the fewest preemptions.
fn found(act: fn(), broken: &'static str) -> Option<(refolio_explore::Trace, String)> {
    let scene = Scene { act, form: Form::default(), broken: Some(broken) };
    let bounds = (0..4).map(|bound| Search { preemptions: Some(bound), ..Search::default() });
    let violation = bounds.into_iter().find_map(|how| scene.search(&how).violation)?;
    Some((scene.replay(&violation.schedule), violation.schedule.to_string()))
}
