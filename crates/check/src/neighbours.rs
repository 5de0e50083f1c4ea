//! The broken neighbours of the four forms: what each of them would be without one of the things
//! that it relies on.

use refolio_checked::Form;

use crate::judge::Job;
use crate::scene;

/// A neighbour: what is different in it, and the scenes that are searched for a counterexample.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// What is different, in a few words.
    pub what: &'static str,
    /// The switch in the engine.
    pub broken: &'static str,
    /// Meetings, or scenes of them.
    pub scenes: &'static [&'static str],
    /// It is another form when there is none of this in it.
    pub of: fn(Form) -> bool,
}

fn any(_: Form) -> bool {
    true
}

fn looks_at_the_slot(form: Form) -> bool {
    form != Form::FreezeOnly
}

/// All of them.
pub const ALL: &[Neighbour] = &[
    Neighbour {
        what: "truncation skips the folio lock, page not mapped",
        broken: "truncate-skips-lock",
        scenes: &["migrate_truncate"],
        of: any,
    },
    Neighbour {
        what: "truncation skips the folio lock, page mapped",
        broken: "truncate-skips-lock",
        scenes: &["scene_mapped_truncate"],
        of: any,
    },
    Neighbour {
        what: "no freeze, only a count check",
        broken: "count-without-freeze",
        scenes: &["migrate_pin", "migrate_lookup", "scene_forms"],
        of: any,
    },
    Neighbour {
        what: "the freeze does not count",
        broken: "freeze-without-count",
        scenes: &["migrate_pin", "migrate_lookup"],
        of: any,
    },
    Neighbour {
        what: "the slot is looked at, but before the lock",
        broken: "slot-check-early",
        scenes: &["migrate_truncate", "migrate_evict"],
        of: looks_at_the_slot,
    },
    Neighbour {
        what: "the slot is stored before the freeze",
        broken: "store-before-freeze",
        scenes: &["migrate_pin", "migrate_lookup"],
        of: any,
    },
    Neighbour {
        what: "copied first, and the count never checked before",
        broken: "copy-skips-count",
        scenes: &["migrate_pin", "migrate_write", "migrate_lookup"],
        of: any,
    },
    Neighbour {
        what: "copied before the page is unmapped",
        broken: "copy-before-unmap",
        scenes: &["migrate_fault", "write_fault"],
        of: any,
    },
];

impl Neighbour {
    /// The searches that judge it in one form.
    pub fn jobs(&self, form: Form) -> Vec<Job> {
        let scenes = self.scenes.iter().flat_map(|name| scene::find(name));
        scenes.map(|scene| Job { scene, form, broken: Some(self.broken) }).collect()
    }
}
