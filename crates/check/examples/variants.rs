//! Writes `docs/broken-variants.md`: every protection, what it is for, and who notices that it is
//! missing. `cargo run --release -p refolio-check --example variants > docs/broken-variants.md`

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use refolio_check::Form;
use refolio_check::judge::{Job, Judged, Plan, Reach, judge};
use refolio_check::scene;
use refolio_check::variants::{self, Layer, Variant};

static STOP: AtomicBool = AtomicBool::new(false);

const HEAD: &str = "\
# Broken variants

Every row is one line of the engine (or of the array under it) that can be taken away:
`broken(\"name\")` in the source, which compiles to nothing in a program. A variant is *caught* when
a scene breaks a rule without it: by both checkers, or, where it takes a store that is seen late, by
loom alone (`cargo model`). Where nobody notices, its column says why the line stays. The executions
are those of `refolio check --break NAME`, which shows the one that gives it away; they are exact,
and the same on every machine. In the kernel's history the same mistake was made, or, where it says
so, one that resembles it. To write this page anew:
`cargo run --release -p refolio-check --example variants > docs/broken-variants.md`
";

fn main() {
    let here = |variant: &Variant| !variant.cell().contains('/');
    let jobs: Vec<_> = variants::all()
        .filter(|(layer, variant)| *layer == Layer::Interleavings && here(variant))
        .flat_map(|(_, variant)| {
            scene::find(variant.cell()).into_iter().map(|scene| Job {
                scene,
                form: Form::default(),
                broken: Some(variant.name),
            })
        })
        .collect();
    let plan = Plan {
        budget: Duration::from_secs(600),
        preemptions: None,
        walk: None,
        side_by_side: std::thread::available_parallelism().map_or(1, usize::from),
        stop: &STOP,
    };
    let judged = judge(&jobs, &plan, |_, _| {});
    println!("{HEAD}");
    println!("| without | the rule | in the kernel's history | caught by | in | executions |");
    println!("|---|---|---|---|---|---|");
    for (layer, variant) in variants::all() {
        let of = judged.iter().filter(|one| one.job.broken == Some(variant.name));
        let (by, at, executions) = fate(layer, variant, &of.collect::<Vec<_>>());
        let Variant { name, rule, history, .. } = variant;
        println!("| `{name}` | {rule} | {history} | {by} | {at} | {executions} |");
    }
}

fn fate(layer: Layer, variant: &Variant, judged: &[&Judged]) -> (String, String, String) {
    let cell = format!("`{}`", variant.cell());
    let found = judged.iter().find(|one| one.verdict.violation.is_some());
    match (layer, variant.survives(), found) {
        (Layer::Orderings, None, _) => ("loom".into(), cell, "–".into()),
        (Layer::Orderings, Some(why), _) => (format!("nobody: {why}"), cell, "–".into()),
        (_, None, Some(one)) => {
            let scene = format!("`{}`", one.job.scene.name);
            ("both".into(), scene, one.verdict.executions.to_string())
        }
        (_, Some(why), _) => {
            let all: u64 = judged.iter().map(|one| one.verdict.executions).sum();
            let whole = judged.iter().all(|one| one.reach == Reach::All);
            (format!("nobody: {why}"), cell, format!("{all}{}", if whole { ", all" } else { "" }))
        }
        // The array's are searched by loom, with the array's own scenes.
        (_, None, None) => ("loom".into(), cell, "–".into()),
    }
}
