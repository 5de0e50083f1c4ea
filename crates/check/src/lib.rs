//! The protocol of Refolio under the model checker: which scenes there are, how they are searched,
//! what the forms of the check survive, and pictures of what breaks them.
//!
//! What is searched is the code that ships (`refolio-checked` compiles the same sources); how, is
//! told in `refolio-explore`. The command `refolio check` shows it.

pub mod judge;
pub mod neighbours;
pub mod picture;
pub mod scene;

pub use refolio_checked::Form;
pub use refolio_checked::model::variants;
pub use refolio_explore::{MISFIT, Schedule, Search, Trace, Verdict, Violation, Walk};
