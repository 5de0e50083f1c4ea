//! The broken variants: each line of the engine, and of the array below it, that a model can take
//! away (`broken("name")`), the rule that is broken then, and the model that notices.
//!
//! A variant that no model notices is listed, too, with the reason why its line stays: what it
//! orders or checks is ordered or checked by another line as well, which the model shows by being
//! complete.

mod interleavings;
mod orderings;

/// What it takes to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Threads that take turns are enough.
    Interleavings,
    /// Somebody must see a store late: sequential consistency hides it.
    Orderings,
}

/// What becomes of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The model of this cell fails.
    Caught(&'static str),
    /// The model of this cell is complete: why that is, and so what the line is good for.
    Survives(&'static str, &'static str),
}

/// One line that is missing, or that comes too early or too late.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What the switch is called.
    pub name: &'static str,
    /// The rule that is broken.
    pub rule: &'static str,
    /// The same in the kernel's history, or what resembles it and says so: commits, CVEs; empty where
    /// there is none.
    pub history: &'static str,
    /// Whether a model notices.
    pub verdict: Verdict,
}

const fn caught(name: &'static str, cell: &'static str, rule: &'static str) -> Variant {
    Variant { name, rule, history: "", verdict: Verdict::Caught(cell) }
}

const fn survives(
    name: &'static str,
    cell: &'static str,
    rule: &'static str,
    why: &'static str,
) -> Variant {
    Variant { name, rule, history: "", verdict: Verdict::Survives(cell, why) }
}

impl Variant {
    const fn since(self, history: &'static str) -> Self {
        Self { history, ..self }
    }

    /// Why its line stays although no model misses it; None when one does.
    pub fn survives(&self) -> Option<&'static str> {
        match self.verdict {
            Verdict::Caught(_) => None,
            Verdict::Survives(_, why) => Some(why),
        }
    }

    /// Where it is judged.
    pub fn cell(&self) -> &'static str {
        match self.verdict {
            Verdict::Caught(cell) | Verdict::Survives(cell, _) => cell,
        }
    }
}

/// All of them, with what it takes to notice.
pub fn all() -> impl Iterator<Item = (Layer, &'static Variant)> {
    let of = |layer, lists: [&'static [Variant]; 2]| {
        lists.into_iter().flatten().map(move |variant| (layer, variant))
    };
    of(Layer::Interleavings, [interleavings::CACHE, interleavings::ARRAY])
        .chain(of(Layer::Orderings, [orderings::CACHE, orderings::ARRAY]))
}

#[cfg(all(test, refolio_loom))]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::super::search::survives_without;
    use super::*;

    fn source(of: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of).join("src")
    }

    /// The names in all `broken("name")` below a folder.
    fn switches(below: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("model") {
                switches(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let names =
                    text.split("broken(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(String::from));
            }
        }
    }

    #[test]
    fn every_switch_is_on_the_list_and_the_list_has_no_other() {
        let mut switched = BTreeSet::new();
        switches(&source("refolio"), &mut switched);
        switches(&source("xarray"), &mut switched);
        let listed: BTreeSet<_> = all().map(|(_, variant)| variant.name.to_string()).collect();
        assert_eq!(switched, listed);
        assert_eq!(all().count(), listed.len(), "a name is there twice");
    }

    #[test]
    fn every_variant_is_judged_by_a_cell() {
        for (_, variant) in all() {
            let (of, file) = variant.cell().split_once('/').unwrap_or(("refolio", variant.cell()));
            let path = source(of).join("model").join(file).with_extension("rs");
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            // Those that it lists it misses: its own test sees to that.
            let listed = text.contains(&format!("\"{}\"", variant.name));
            let caught = matches!(variant.verdict, Verdict::Caught(_));
            assert_eq!(listed, caught, "{} in {}", variant.name, variant.cell());
        }
    }

    #[test]
    fn those_that_survive_do() {
        for (_, variant) in all() {
            if let Verdict::Survives(cell, why) = variant.verdict {
                println!("{}: {why}", variant.name);
                survives_without(cell, variant.name);
            }
        }
    }
}
