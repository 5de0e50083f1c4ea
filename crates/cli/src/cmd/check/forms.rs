//! The four forms: in every scene in which a page moves, and without what they rely on.

use refolio_check::Form;
use refolio_check::judge::{Job, Judged, Plan, Reach};
use refolio_check::neighbours;
use refolio_check::scene::Named;

use super::args::{Check, forms, name};
use super::{brief, output, plan, searched};
use crate::args::FormName;
use crate::exit::{Exit, Failure};
use crate::signal;

/// Scenes side by side in the table.
const ACROSS: usize = 4;
const CELL: usize = 19;
const LABEL: usize = 20;

/// Searches, and shows both tables.
pub fn run(args: &Check, scenes: &[Named]) -> Result<Exit, Failure> {
    let forms = forms(args.form);
    let jobs = jobs(scenes, &forms);
    let mut plan = plan(args);
    let with_neighbours = args.scene.is_none() && args.walk.is_none() && args.threads.is_none();
    if with_neighbours && args.budget > 0 {
        plan.budget = plan.budget * 3 / 4;
    }
    let judged = searched(&jobs, &plan);
    println!("The code that ships, in each form of the check before the freeze.");
    println!("Executions searched, seconds; ok: all interleavings, ok<=2: all with at most two");
    println!("preemptions, open: no violation in what there was time for.\n");
    table(&judged, &forms);
    never(&judged);
    let broken: Vec<_> = judged.iter().filter(|one| one.verdict.violation.is_some()).collect();
    for one in &broken {
        output::counterexample(args, one)?;
    }
    if with_neighbours && !signal::stopped() {
        if args.budget > 0 {
            plan.budget /= 3;
        }
        neighbours(&forms, &plan);
    }
    output::json(args, &judged)?;
    Ok(match () {
        () if !broken.is_empty() => Exit::Differs,
        () if signal::stopped() => Exit::Interrupted,
        () => Exit::Well,
    })
}

/// A scene in which no page moves is the same in all forms.
fn jobs(scenes: &[Named], forms: &[(Form, FormName)]) -> Vec<Job> {
    let mut jobs = Vec::new();
    // (Scenes that are about the forms themselves choose their own.)
    for scene in scenes.iter().filter(|scene| scene.model.name() != "scene_forms") {
        for (form, _) in forms.iter().take(if scene.moves() { 4 } else { 1 }) {
            jobs.push(Job { scene: scene.clone(), form: *form, broken: None });
        }
    }
    jobs
}

fn table(judged: &[Judged], forms: &[(Form, FormName)]) {
    let mut names: Vec<_> = judged.iter().map(|one| &one.job.scene).collect();
    names.dedup_by_key(|scene| &scene.name);
    let (moving, still): (Vec<_>, Vec<_>) = names.into_iter().partition(|scene| scene.moves());
    for group in moving.chunks(ACROSS) {
        let titles = group.iter().map(|scene| format!("{:>CELL$}", short(&scene.name)));
        println!("{:LABEL$}{}", "", titles.collect::<String>());
        for (form, form_name) in forms {
            let cells = group.iter().map(|scene| {
                let one = judged
                    .iter()
                    .find(|one| one.job.form == *form && one.job.scene.name == scene.name);
                format!("{:>CELL$}", one.map_or("-".into(), cell))
            });
            println!("{:LABEL$}{}", name(*form_name), cells.collect::<String>());
        }
        println!();
    }
    if still.is_empty() {
        return;
    }
    println!("Scenes in which no page moves, where the form makes no difference:\n");
    for group in still.chunks(ACROSS) {
        let titles = group.iter().map(|scene| format!("{:>CELL$}", short(&scene.name)));
        println!("{:LABEL$}{}", "", titles.collect::<String>());
        let cells = group.iter().map(|scene| {
            let one = judged.iter().find(|one| one.job.scene.name == scene.name);
            format!("{:>CELL$}", one.map_or("-".into(), cell))
        });
        println!("{:LABEL$}{}\n", "any", cells.collect::<String>());
    }
}

/// What was to come about somewhere in the search of a meeting, and did not: where all of it was
/// searched, that says that the meeting is not what it is taken for.
fn never(judged: &[Judged]) {
    let whole = |one: &&Judged| one.job.form == Form::default();
    let mut models: Vec<_> = judged.iter().map(|one| one.job.scene.model).collect();
    models.dedup_by_key(|model| model.name());
    for model in models {
        let of =
            judged.iter().filter(whole).filter(|one| one.job.scene.model.name() == model.name());
        let of: Vec<_> = of.collect();
        if of.len() < model.scenes.len() || of.iter().any(|one| one.reach != Reach::All) {
            continue;
        }
        let missing: Vec<_> = model
            .outcomes_in_order()
            .filter(|outcome| !of.iter().any(|one| one.verdict.reached.contains_key(outcome)))
            .collect();
        if !missing.is_empty() {
            println!("{}: never came to: {}\n", model.name(), missing.join(", "));
        }
    }
}

/// A name that fits its column.
fn short(name: &str) -> String {
    let name = name.trim_start_matches("scene_");
    let len = name.chars().count();
    if len < CELL { name.into() } else { name.chars().skip(len + 1 - CELL).collect() }
}

fn cell(one: &Judged) -> String {
    let seconds = one.verdict.elapsed.as_secs_f64();
    let verdict = match (&one.verdict.violation, one.reach) {
        (Some(_), _) => "BROKEN".into(),
        (None, Reach::All) => "ok".into(),
        (None, Reach::Preemptions(bound)) => format!("ok<={bound}"),
        (None, Reach::Some) => "open".into(),
    };
    format!("{} {seconds:.1}s {verdict}", brief(one.verdict.executions))
}

/// What each form would be without one of the things that it relies on.
fn neighbours(forms: &[(Form, FormName)], plan: &Plan) {
    const WHAT: usize = 44;
    const FATE: usize = 19;
    println!("Their broken neighbours. A counterexample is shown by the command at the end.\n");
    let titles = forms.iter().map(|(_, form)| format!("{:>FATE$}", name(*form)));
    println!("{:WHAT$}{}", "", titles.collect::<String>());
    let mut reproduce = Vec::new();
    let share = plan.budget / neighbours::ALL.len() as u32;
    for neighbour in neighbours::ALL {
        let mut cells = String::new();
        for (form, form_name) in forms {
            let plan = Plan { budget: share / 4, ..*plan };
            let judged = searched(&neighbour.jobs(*form), &plan);
            let found = judged.iter().find(|one| one.verdict.violation.is_some());
            if let Some(one) = found {
                reproduce.push((neighbour, one.job.scene.name.clone(), name(*form_name)));
            }
            cells += &format!("{:>FATE$}", fate(&judged));
        }
        println!("{:WHAT$}{cells}", neighbour.what);
        if signal::stopped() {
            break;
        }
    }
    println!();
    reproduce.dedup_by_key(|(neighbour, ..)| neighbour.what);
    for (neighbour, scene, form) in reproduce {
        println!("refolio check --break {} --scene {scene} --form {form}", neighbour.broken);
    }
}

fn fate(judged: &[Judged]) -> String {
    if let Some(one) = judged.iter().find(|one| one.verdict.violation.is_some()) {
        return format!("breaks ({})", brief(one.verdict.executions));
    }
    let all: u64 = judged.iter().map(|one| one.verdict.executions).sum();
    let complete = judged.iter().all(|one| one.reach == Reach::All);
    format!("{} ({})", if complete { "survives" } else { "none found" }, brief(all))
}
