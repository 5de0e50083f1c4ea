//! One execution, played again.

use refolio_check::scene::Named;
use refolio_check::{Form, MISFIT, Schedule};

use super::args::{Check, forms};
use super::{breaks, output};
use crate::exit::{Exit, Failure};

/// Plays the schedule in the one scene that is named, and shows it.
pub fn replay(args: &Check, scenes: &[Named], schedule: &str) -> Result<Exit, Failure> {
    let schedule: Schedule = schedule.parse().map_err(|error| {
        Failure::unusable(format!("--replay: {error}; take the text as it was shown"))
    })?;
    let [scene] = scenes else {
        let name = args.scene.as_deref().unwrap_or_default();
        let line =
            format!("--scene {name} has {} scenes: name one, such as {name}/1", scenes.len());
        return Err(Failure::unusable(line));
    };
    let broken = match args.broken.as_deref() {
        Some(name) => Some(breaks::find(name)?.1.name),
        None => None,
    };
    let form = forms(args.form).last().map_or(Form::default(), |(form, _)| *form);
    let picture = output::picture(scene, form, broken, &schedule);
    if picture.rule.contains(MISFIT) {
        let line =
            format!("--replay: {MISFIT}; name --scene, --form and --break as when it was found");
        return Err(Failure::unusable(line));
    }
    output::show(args, &picture)?;
    let is_broken = !picture.rule.is_empty();
    Ok(if is_broken && broken.is_none() { Exit::Differs } else { Exit::Well })
}
