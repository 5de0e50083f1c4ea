//! The meetings under the explorer, for `refolio check`.

use refolio_explore::{Schedule, Search, Trace, Verdict, Walk};

use super::world;
use crate::Form;
use crate::sync::without;

/// One scene, as it is to be searched.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What its threads do.
    pub act: fn(),
    /// The form in which its movers migrate.
    pub form: Form,
    /// The protection that is taken away.
    pub broken: Option<&'static str>,
}

impl Scene {
    fn prepared(self) -> impl Fn() + 'static {
        move || {
            without(self.broken, || world::with_form(self.form, self.act));
        }
    }

    /// Searches all its interleavings, within the bounds of `how`.
    pub fn search(self, how: &Search) -> Verdict {
        refolio_explore::search(self.prepared(), how)
    }

    /// Walks through its interleavings at random, within the bounds of `how`.
    pub fn walk(self, walk: Walk, seed: u64, how: &Search) -> Verdict {
        refolio_explore::walk(self.prepared(), walk, seed, how)
    }

    /// Plays one of them again.
    pub fn replay(self, schedule: &Schedule) -> Trace {
        refolio_explore::replay(self.prepared(), schedule)
    }
}
