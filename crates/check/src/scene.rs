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

/// What the threads of a scene are called: what they do, where its name tells.
pub fn titles(scene: &Named) -> Vec<String> {
    let name = scene.model.name();
    let named = match name.split_once('_') {
        // The second thread does what the meeting is named after first.
        Some((first, second)) if scene.threads == 2 && !name.starts_with("scene_") => {
            vec![second.to_owned(), first.to_owned()]
        }
        _ => Vec::new(),
    };
    (0..scene.threads)
        .map(|thread| named.get(thread).cloned().unwrap_or_else(|| format!("thread {thread}")))
        .collect()
}
