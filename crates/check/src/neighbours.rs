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
}

/// All of them.
pub const ALL: &[Neighbour] = &[
    Neighbour {
        what: "truncation skips the folio lock, not mapped",
        broken: "truncate-skips-lock",
        scenes: &["migrate_truncate/1"],
    },
    Neighbour {
        what: "truncation skips the folio lock, mapped",
        broken: "truncate-skips-lock",
        scenes: &["migrate_truncate/2"],
    },
    Neighbour {
        what: "no freeze, only a look at the count",
        broken: "count-without-freeze",
        scenes: &["migrate_pin", "migrate_lookup"],
    },
    Neighbour {
        what: "a freeze that does not count",
        broken: "freeze-without-count",
        scenes: &["migrate_pin", "migrate_lookup"],
    },
    Neighbour {
        what: "the slot is exchanged before the freeze",
        broken: "slot-before-freeze",
        scenes: &["migrate_pin", "migrate_lookup"],
    },
    Neighbour {
        what: "copied first, without a count before",
        broken: "copy-skips-count",
        scenes: &["migrate_pin", "migrate_write", "write_fault"],
    },
    Neighbour {
        what: "copied after the exchange",
        broken: "copy-after-switch",
        scenes: &["migrate_lookup", "migrate_pin"],
    },
    Neighbour {
        what: "the lock is taken, nobody looks again",
        broken: "migrate-skips-recheck",
        scenes: &["migrate_evict", "migrate_truncate"],
    },
    Neighbour {
        what: "lookups do not look again",
        broken: "lookup-skips-recheck",
        scenes: &["migrate_lookup"],
    },
];

impl Neighbour {
    /// The searches that judge it in one form.
    pub fn jobs(&self, form: Form) -> Vec<Job> {
        let scenes = self.scenes.iter().flat_map(|name| scene::find(name));
        scenes.map(|scene| Job { scene, form, broken: Some(self.broken) }).collect()
    }
}
