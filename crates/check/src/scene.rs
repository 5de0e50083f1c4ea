//! The scenes, by name.

use std::time::Duration;

use refolio_checked::Form;
use refolio_checked::model::{self, Model, Scene};
use refolio_explore::{Schedule, Search, Trace, Verdict, Walk};

/// One scene of a meeting.
#[derive(Clone, Debug)]
pub struct Named {
    /// The meeting's name, with the number of the scene behind it where there are several.
    pub name: String,
    /// The meeting.
    pub model: &'static Model,
    act: fn(),
    /// How many threads it has.
    pub threads: usize,
}

/// All scenes of all meetings.
pub fn all() -> Vec<Named> {
    model::ALL.iter().flat_map(|model| of(model)).collect()
}

/// The scenes of one meeting.
pub fn of(model: &'static Model) -> impl Iterator<Item = Named> {
    model.scenes.iter().enumerate().map(move |(at, act)| {
        let (name, number) = (model.name(), at + 1);
        let name = if model.scenes.len() > 1 { format!("{name}/{number}") } else { name.into() };
        let scene = Scene { act: *act, form: Form::default(), broken: None };
        let threads = scene.replay(&Schedule::default()).threads;
        Named { name, model, act: *act, threads }
    })
}

/// The scenes of the meeting of this name, or the one scene.
pub fn find(name: &str) -> Vec<Named> {
    let (meeting, _) = name.split_once('/').unwrap_or((name, ""));
    let model = model::ALL.iter().find(|model| model.name() == meeting);
    let scenes = model.into_iter().flat_map(|model| of(model));
    scenes.filter(|scene| scene.name == name || meeting == name).collect()
}

impl Named {
    /// Whether a page may move in it: then the form makes a difference.
    pub fn moves(&self) -> bool {
        self.model.outcomes.contains(&"moved")
    }

    fn scene(&self, form: Form, broken: Option<&'static str>) -> Scene {
        Scene { act: self.act, form, broken }
    }

    /// Searches it.
    pub fn search(&self, form: Form, broken: Option<&'static str>, how: &Search) -> Verdict {
        self.scene(form, broken).search(how)
    }

    /// Walks through it at random.
    pub fn walk(
        &self,
        form: Form,
        broken: Option<&'static str>,
        walk: Walk,
        seed: u64,
        how: &Search,
    ) -> Verdict {
        self.scene(form, broken).walk(walk, seed, how)
    }

    /// Plays one of its executions again.
    pub fn replay(&self, form: Form, broken: Option<&'static str>, schedule: &Schedule) -> Trace {
        self.scene(form, broken).replay(schedule)
    }

    /// The violation with the fewest preemptions: bounds of 0, 1, 2 and so on are searched in turn,
    /// each for `limit` at most.
    pub fn fewest(
        &self,
        form: Form,
        broken: Option<&'static str>,
        most: u32,
        limit: Duration,
    ) -> Option<(Verdict, u32)> {
        (0..=most).find_map(|bound| {
            let how = Search { preemptions: Some(bound), limit: Some(limit), ..Search::default() };
            let verdict = self.search(form, broken, &how);
            verdict.violation.is_some().then_some((verdict, bound))
        })
    }
}

/// What the threads of the larger scenes do, the one that builds the scene first.
const CASTS: &[(&str, &[&str])] = &[
    ("scene_copy_on_write/3", &["view write", "migrate", "write"]),
    ("scene_migrate_evict_lookup", &["lookup", "migrate", "evict"]),
    ("scene_migrate_lookup_refill", &["migrate", "lookup", "refill"]),
    ("scene_migrate_migrate_write", &["write", "migrate", "migrate"]),
    ("scene_migrate_truncate_fault_writeback", &["writeback", "migrate", "truncate", "fault"]),
    ("scene_migrate_write_evict_lookup", &["lookup", "migrate", "write", "evict"]),
    ("scene_pin_until_drain", &["pin", "drain", "migrate"]),
    ("scene_two_views", &["fault", "migrate", "touch"]),
];

/// What the threads of a scene are called: what they do, where that is known.
pub fn titles(scene: &Named) -> Vec<String> {
    let cast = CASTS.iter().find(|(name, _)| *name == scene.name).map(|(_, cast)| cast.to_vec());
    let named = cast.unwrap_or_else(|| match scene.model.name().split_once('_') {
        // The second thread does what the meeting is named after first.
        Some((first, second)) if scene.threads == 2 && first != "scene" => vec![second, first],
        _ => Vec::new(),
    });
    let title = |thread| named.get(thread).map_or(format!("thread {thread}"), ToString::to_string);
    (0..scene.threads).map(title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cast_is_that_of_a_scene_with_as_many_threads() {
        for (name, cast) in CASTS {
            let scenes: Vec<_> = find(name).into_iter().filter(|s| s.name == *name).collect();
            assert_eq!(scenes.len(), 1, "{name}");
            assert_eq!(scenes[0].threads, cast.len(), "{name}");
        }
    }
}
