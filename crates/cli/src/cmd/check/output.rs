//! What `refolio check` writes besides its tables: lists, counterexamples, JSON.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use refolio_check::judge::{Judged, Reach};
use refolio_check::picture::{self, Picture};
use refolio_check::scene::{self, Named};
use refolio_check::variants::{self, Layer};
use refolio_check::{Form, Schedule};

use super::args::{Check, forms, name};
use crate::exit::{Exit, Failure};

/// Columns of a picture.
const WIDTH: usize = 118;

/// Lists the scenes and the protections.
pub fn list() -> Exit {
    println!("{:<34} {:>7}  what can come of it", "scene", "threads");
    for scene in scene::all() {
        let outcomes = scene.model.outcomes.join(", ");
        println!("{:<34} {:>7}  {outcomes}", scene.name, scene.threads);
    }
    println!("\n{:<34} {:<14} {:<28} rule", "protection", "missed by", "in");
    for (layer, variant) in variants::all() {
        let who = match (layer, variant.survives()) {
            (_, Some(_)) => "nobody",
            (Layer::Interleavings, None) => "both checkers",
            (Layer::Orderings, None) => "loom",
        };
        println!("{:<34} {who:<14} {:<28} {}", variant.name, variant.cell(), variant.rule);
    }
    Exit::Well
}

/// How long is looked for a counterexample with fewer preemptions.
const FEWER: Duration = Duration::from_secs(5);

/// Looks for the violation with the fewest preemptions, and shows it.
pub fn counterexample(args: &Check, found: &Judged) -> Result<(), Failure> {
    let (job, Some(first)) = (&found.job, &found.verdict.violation) else { return Ok(()) };
    let most = first.preemptions.saturating_sub(1);
    let fewest = job.scene.fewest(job.form, job.broken, most, FEWER);
    let violation = fewest.and_then(|(verdict, _)| verdict.violation);
    let schedule = &violation.as_ref().unwrap_or(first).schedule;
    show(args, &picture(&job.scene, job.form, job.broken, schedule))
}

/// The picture of one execution.
pub fn picture(
    scene: &Named,
    form: Form,
    broken: Option<&'static str>,
    schedule: &Schedule,
) -> Picture {
    let trace = scene.replay(form, broken, schedule);
    let form_name = forms(None).iter().find(|(f, _)| *f == form).map_or("", |(_, n)| name(*n));
    let title = match broken {
        Some(broken) => format!("{}, {form_name}, without {broken}", scene.name),
        None => format!("{}, {form_name}", scene.name),
    };
    let with_break = broken.map(|name| format!(" --break {name}")).unwrap_or_default();
    let replay = format!(
        "refolio check --scene {} --form {form_name}{with_break} --replay {schedule}",
        scene.name
    );
    let titles = scene::titles(scene);
    let titles: Vec<_> = titles.iter().map(String::as_str).collect();
    Picture::of(&trace, &title, &titles, replay)
}

/// Shows a picture, and writes it where it was asked for.
pub fn show(args: &Check, picture: &Picture) -> Result<(), Failure> {
    let colour = std::io::stdout().is_terminal();
    println!("\n{}", picture::text::draw(picture, WIDTH, colour));
    if let Some(path) = &args.svg {
        write(path, &picture::svg::draw(picture))?;
    }
    if let Some(path) = &args.html {
        let pages = [(picture.title.clone(), picture.clone())];
        write(path, &picture::html::page("Counterexamples", &pages))?;
    }
    Ok(())
}

/// Writes the verdicts as JSON, where that was asked for.
pub fn json(args: &Check, judged: &[Judged]) -> Result<(), Failure> {
    let Some(path) = &args.json else { return Ok(()) };
    let all: Vec<_> = judged.iter().map(value).collect();
    let text = serde_json::to_string_pretty(&all).unwrap_or_default() + "\n";
    if path == Path::new("-") {
        // A reader of it that has gone away is nobody's problem.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(());
    }
    write(path, &text)
}

fn value(one: &Judged) -> serde_json::Value {
    let form = forms(None).into_iter().find(|(form, _)| *form == one.job.form);
    let violation = one.verdict.violation.as_ref().map(|violation| {
        serde_json::json!({
            "rule": violation.rule,
            "preemptions": violation.preemptions,
            "replay": violation.schedule.to_string(),
        })
    });
    serde_json::json!({
        "scene": one.job.scene.name,
        "threads": one.job.scene.threads,
        "form": form.map(|(_, form)| name(form)),
        "without": one.job.broken,
        "executions": one.verdict.executions,
        "states": one.verdict.states,
        "seconds": one.verdict.elapsed.as_secs_f64(),
        "complete": one.reach != Reach::Some && one.verdict.violation.is_none(),
        "preemptions": if let Reach::Preemptions(bound) = one.reach { Some(bound) } else { None },
        "reached": one.verdict.reached,
        "violation": violation,
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        let path = path.display();
        Failure::unusable(format!("{path}: {error}; name a file in a folder you can write to"))
    })
}
