//! A meeting, and what is claimed of it.
//!
//! A meeting that keeps its promises and never does anything is worth nothing: therefore a
//! [`Model`] lists what can come of it, and each item must come about somewhere in the search, and
//! nothing else. And a model that cannot fail is worth nothing either: therefore it lists what
//! protects the meeting, and is searched once more without each, which must then be missed.
//!
//! Two checkers search: loom, for what the orderings allow (`cargo model`), and the explorer, for
//! more threads and longer scenes (`refolio check`).

/// Before an outcome: see [`Model::outcomes`].
pub const STALE: &str = "stale: ";

/// A meeting, and what is claimed of it.
#[derive(Debug)]
pub struct Model {
    /// The file it is in, as `module_path!()`.
    pub cell: &'static str,
    /// Under loom: how often a thread is interrupted where it could go on; None: without bound.
    pub preemptions: Option<usize>,
    /// What can come of it; with [`STALE`] before it, what takes a load that is older than an order
    /// of all operations allows: only loom comes to that.
    pub outcomes: &'static [&'static str],
    /// What protects it: the switch that takes it away, and what is said when it is missed.
    pub protections: &'static [(&'static str, &'static str)],
    /// Its scenes, each of which is searched.
    pub scenes: &'static [fn()],
}

impl Model {
    /// The name of the file it is in.
    pub fn name(&self) -> &'static str {
        self.cell.rsplit("::").next().unwrap_or(self.cell)
    }

    /// What comes about where each load sees the newest store.
    pub fn outcomes_in_order(&self) -> impl Iterator<Item = &'static str> {
        self.outcomes.iter().copied().filter(|outcome| !outcome.starts_with(STALE))
    }
}

#[cfg(all(test, refolio_loom))]
pub use under_loom::survives_without;

#[cfg(refolio_loom)]
mod under_loom {
    use std::collections::BTreeSet;
    use std::process::Command;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::{Duration, Instant};

    use super::{Model, STALE};
    use crate::sync::{Arc, take_reached, without};

    /// Names the protection that a process runs without.
    const WITHOUT: &str = "REFOLIO_MODEL_WITHOUT";

    /// How many interruptions more than its own bound each search allows, or `all`: for long runs.
    const MORE: &str = "REFOLIO_MODEL_MORE";

    /// How long the search of one scene goes on at most, in seconds: whether that was enough is told.
    const SECONDS: &str = "REFOLIO_MODEL_SECONDS";

    impl Model {
        /// Searches all interleavings. In the process of [`misses`](Self::misses): without
        /// protection.
        pub fn holds(&self) {
            let missing = std::env::var(WITHOUT).ok().map(|switch| &*switch.leak());
            let more = std::env::var(MORE).unwrap_or_else(|_| "0".into());
            let bound = match &*more {
                "all" => None,
                more => self.preemptions.map(|bound| bound + more.parse::<usize>().expect(MORE)),
            };
            let seconds = std::env::var(SECONDS).map(|seconds| seconds.parse().expect(SECONDS));
            let limit = seconds.ok().map(Duration::from_secs);
            let mut search = loom::model::Builder::new();
            // (Without one of its own, LOOM_MAX_PREEMPTIONS can set one, for a quick look.)
            search.preemption_bound = bound.or(search.preemption_bound);
            search.max_branches = 100_000;
            search.max_duration = limit;
            let (runs, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
            take_reached();
            for (scene, number) in self.scenes.iter().zip(1..) {
                let (counter, begun) = (runs.clone(), Instant::now());
                without(missing, || {
                    search.check(move || {
                        counter.fetch_add(1, Relaxed);
                        scene();
                    });
                });
                if let Some(limit) = limit {
                    let far = if begun.elapsed() < limit { "to its end" } else { "not to its end" };
                    println!("{}/{number}: {far}", self.cell);
                }
            }
            let reached = take_reached();
            let bound = bound.map_or("all".into(), |bound| format!("{bound} preemptions"));
            println!(
                "{}: {} runs ({bound}) in {:.1} s: {reached:?}",
                self.cell,
                runs.load(Relaxed),
                start.elapsed().as_secs_f64()
            );
            // A search that was cut short may have missed what comes of a scene.
            if missing.is_some() || limit.is_some() {
                return;
            }
            let reached: BTreeSet<_> = reached.keys().copied().collect();
            let listed = self.outcomes.iter().map(|outcome| outcome.trim_start_matches(STALE));
            let listed: BTreeSet<_> = listed.collect();
            // With more interruptions more can come of it.
            let is_as_said =
                if more == "0" { reached == listed } else { reached.is_superset(&listed) };
            assert!(is_as_said, "of it came {reached:?}, and not what is said: {listed:?}");
        }

        /// Searches without each of its protections, and finds what is wrong then.
        pub fn misses(&self) {
            for (switch, sign) in self.protections {
                let (start, cell) = (Instant::now(), self.name());
                let (complete, said) = search_without(cell, switch);
                assert!(!complete, "{cell} does not miss {switch}:\n{said}");
                let Some(line) = said.lines().find(|line| line.contains(sign)) else {
                    panic!("{cell} misses {switch} in another way than {sign:?}:\n{said}")
                };
                let elapsed = start.elapsed().as_secs_f64();
                println!("{cell} without {switch} ({elapsed:.1} s): {line}");
            }
        }
    }

    /// Searches a cell without a protection that it does not list, and finds nothing wrong.
    #[cfg(test)]
    pub fn survives_without(cell: &str, switch: &str) {
        let (complete, said) = search_without(cell, switch);
        assert!(complete, "{cell} misses {switch}:\n{said}");
    }

    /// Searches a cell in a process of its own; whether that found nothing, and what it said.
    fn search_without(cell: &str, switch: &str) -> (bool, String) {
        let test = format!("model::{cell}::holds");
        let child = Command::new(std::env::current_exe().unwrap())
            .args([&test, "--exact", "--nocapture", "--test-threads=1"])
            .env(WITHOUT, switch)
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr).into_owned()
            + &String::from_utf8_lossy(&child.stdout);
        assert!(!said.contains(" 0 passed; 0 failed"), "there is no test {test}");
        (child.status.success(), said)
    }
}
