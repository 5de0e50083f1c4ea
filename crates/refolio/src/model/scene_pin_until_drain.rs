//! pin × migrate until drained × migrate: whoever waits for the last pin to go is woken by it, and
//! moves the page unless the other mover does.

use super::search::Model;
use super::world::{World, first, full};
use crate::passes::{self, Migrate, Mode};
use crate::report::Outcome;
use crate::sync::reached;
use crate::units::NodeId;
use std::time::{Duration, Instant};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "again: isolated",
        "again: references",
        "here",
        "moved",
        "drained",
        "drained by the other",
        "slept",
    ],
    protections: &[("wake-forgotten", "deadlock"), ("waiter-holds-reference", "deadlock")],
    scenes: &[meeting],
};

#[cfg(refolio_loom)]
#[test]
fn holds() {
    MODEL.holds();
}

#[cfg(refolio_loom)]
#[test]
fn misses() {
    MODEL.misses();
}

fn meeting() {
    let world = World::new(2, 1);
    world.load(0);
    let waiter = world.spawn(drain);
    let mover = world.spawn(|world| _ = world.migrate(0, 1));
    world.check_pinned(&world.page(0).unwrap(), 0, &[first(0)]);
    waiter.join().unwrap();
    mover.join().unwrap();
    assert!(world.core.nodes[1].has(world.frame(0).unwrap()), "drained, and still there");
    world.check_at_rest(&[full(first(0))]);
}

/// Waits as long as it takes for the page to move.
fn drain(world: &World) {
    let how = Migrate::new().mode(Mode::Until(Instant::now() + Duration::from_secs(3600)));
    let to = world.core.node(NodeId(1)).unwrap();
    let report = passes::migrate(&world.core, &[world.place(0)], to, &how);
    reached(match &report.outcomes[0].outcome {
        Outcome::Moved { .. } => "drained",
        Outcome::Here => "drained by the other",
        outcome => panic!("{outcome:?}"),
    });
}
