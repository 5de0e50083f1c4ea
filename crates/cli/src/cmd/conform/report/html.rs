//! One page that needs nothing else.

use crate::cmd::conform::told::Run;

/// The run as a page.
pub fn document(_run: &Run) -> String {
    String::new()
}
