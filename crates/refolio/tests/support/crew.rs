//! Threads that are waited for one by one.
//!
//! The end of a scope of the standard library waits for its threads, too, but ThreadSanitizer does
//! not see how: whatever is done after it seems to race with them. It does see a join.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle, scope};

pub struct Crew<'scope, 'env: 'scope> {
    scope: &'scope Scope<'scope, 'env>,
    hands: RefCell<Vec<ScopedJoinHandle<'scope, ()>>>,
}

impl<'scope> Crew<'scope, '_> {
    pub fn spawn(&self, work: impl FnOnce() + Send + 'scope) {
        self.hands.borrow_mut().push(self.scope.spawn(work));
    }
}

/// As `std::thread::scope`; a thread's panic goes on here.
pub fn crew<'env>(lead: impl for<'scope> FnOnce(&Crew<'scope, 'env>)) {
    scope(|scope| {
        let crew = Crew { scope, hands: RefCell::default() };
        lead(&crew);
        for hand in crew.hands.into_inner() {
            hand.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}
