//! Protections taken away: one, with its counterexample; or all of them, one after the other.

use std::time::Duration;

use refolio_check::Form;
use refolio_check::judge::{Job, Judged, Reach};
use refolio_check::scene;
use refolio_check::variants::{self, Layer, Variant};

use super::args::{Check, forms};
use super::{brief, output, plan, searched};
use crate::exit::{Exit, Failure};
use crate::signal;

/// The variant of this name.
pub fn find(name: &str) -> Result<(Layer, &'static Variant), Failure> {
    variants::all().find(|(_, variant)| variant.name == name).ok_or_else(|| {
        Failure::unusable(format!("--break {name}: there is no such protection; see --list"))
    })
}

/// Takes one protection away, and shows what comes of it.
pub fn one(args: &Check, name: &str) -> Result<Exit, Failure> {
    let (layer, variant) = find(name)?;
    let form = forms(args.form).last().map_or(Form::default(), |(form, _)| *form);
    let scenes = match &args.scene {
        Some(_) => super::scenes(args)?,
        None => scene::find(variant.cell()),
    };
    let threads =
        |scene: &scene::Named| args.threads.is_none_or(|threads| threads == scene.threads as u64);
    let jobs: Vec<_> = scenes
        .into_iter()
        .filter(threads)
        .map(|scene| Job { scene, form, broken: Some(variant.name) })
        .collect();
    println!("Without {name}. The rule: {}", variant.rule);
    if !variant.history.is_empty() {
        println!("In the kernel's history: {}", variant.history);
    }
    if jobs.is_empty() {
        println!("{}", elsewhere(layer, variant));
        return Ok(Exit::Well);
    }
    let judged = searched(&jobs, &plan(args));
    output::json(args, &judged)?;
    if let Some(found) = judged.iter().find(|one| one.verdict.violation.is_some()) {
        output::counterexample(args, found)?;
        return Ok(Exit::Well);
    }
    for one in &judged {
        println!("{}: {}", one.job.scene.name, survived(one));
    }
    if signal::stopped() {
        return Ok(Exit::Interrupted);
    }
    println!("{}", elsewhere(layer, variant));
    let expected =
        layer == Layer::Orderings || variant.survives().is_some() || args.scene.is_some();
    Ok(if expected { Exit::Well } else { Exit::Differs })
}

fn survived(one: &Judged) -> String {
    let executions = brief(one.verdict.executions);
    match one.reach {
        Reach::All => format!("survives all interleavings ({executions} executions)"),
        Reach::Preemptions(n) => {
            format!("survives at most {n} preemptions ({executions} executions)")
        }
        Reach::Some => format!("nothing found in {executions} executions; not complete"),
    }
}

/// Where it is caught, if not here.
fn elsewhere(layer: Layer, variant: &Variant) -> String {
    match (layer, variant.survives()) {
        (_, Some(why)) => format!("It is expected to survive: {why}."),
        (Layer::Orderings, None) => format!(
            "It takes a store that is seen late, which this checker does not know: loom catches it, \
             in {} (cargo model).",
            variant.cell()
        ),
        (Layer::Interleavings, None) => format!("It is to be caught in {}.", variant.cell()),
    }
}

/// Takes every protection away, one after the other.
pub fn all(args: &Check) -> Result<Exit, Failure> {
    let form = forms(args.form).last().map_or(Form::default(), |(form, _)| *form);
    let mut jobs = Vec::new();
    for (layer, variant) in variants::all().filter(|(_, variant)| !variant.cell().contains('/')) {
        // What survives has the whole tree to be searched: a part of it will do here.
        if layer == Layer::Interleavings {
            let scenes = scene::find(variant.cell());
            jobs.extend(scenes.into_iter().map(|scene| Job {
                scene,
                form,
                broken: Some(variant.name),
            }));
        }
    }
    let judged = searched(&jobs, &plan(args));
    println!("{:<34} {:<10} {:<28} {:>12} {:>8}", "without", "", "in", "executions", "seconds");
    let (mut caught, mut missed) = (0, 0);
    for (layer, variant) in variants::all().filter(|(_, variant)| !variant.cell().contains('/')) {
        let of = judged.iter().filter(|one| one.job.broken == Some(variant.name));
        let of: Vec<_> = of.collect();
        let found = of.iter().find(|one| one.verdict.violation.is_some());
        let executions: u64 = of.iter().map(|one| one.verdict.executions).sum();
        let seconds: Duration = of.iter().map(|one| one.verdict.elapsed).sum();
        let (fate, place) = match (layer, found, variant.survives()) {
            (Layer::Orderings, ..) => ("loom", variant.cell()),
            (_, Some(one), None) => ("caught", &*one.job.scene.name),
            (_, Some(one), Some(_)) => ("CAUGHT", &*one.job.scene.name),
            (_, None, Some(_)) => ("survives", variant.cell()),
            (_, None, None) => ("MISSED", variant.cell()),
        };
        caught += u32::from(fate == "caught");
        missed += u32::from(fate == "MISSED" || fate == "CAUGHT");
        let (executions, seconds) = match layer {
            Layer::Orderings => ("-".into(), "-".into()),
            Layer::Interleavings => (brief(executions), format!("{:.2}", seconds.as_secs_f64())),
        };
        println!("{:<34} {fate:<10} {place:<28} {executions:>12} {seconds:>8}", variant.name);
    }
    println!(
        "\n{caught} caught here; those marked loom take a store that is seen late (cargo model)."
    );
    output::json(args, &judged)?;
    Ok(match () {
        () if signal::stopped() => Exit::Interrupted,
        () if missed > 0 => Exit::Differs,
        () => Exit::Well,
    })
}
