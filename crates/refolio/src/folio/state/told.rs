//! What the word is called in the trace of a model, and who tells what is done to it.

use super::{Snapshot, State};
use crate::model::names;
use crate::sync::name;

impl State {
    /// Names the word.
    pub fn christen(&self, folio: &str) {
        let show = |before, after| names::word(Snapshot(before), Snapshot(after));
        name(&self.0, || folio.into(), show);
    }
}
