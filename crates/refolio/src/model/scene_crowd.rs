//! A crowd: two movers, a writer, an evictor, writeback, a view and a pin, all for one page. Too many
//! for a search to get to the end of; for walks at random (`refolio check --walk`).

use super::search::Model;
use super::world::{World, first, full};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(1),
    outcomes: &[
        "moved",
        "evicted",
        "not evicted",
        "nothing to evict",
        "again: isolated",
        "again: locked",
        "again: references",
        "again: writeback",
        "gone",
        "here",
        "no memory",
        "written",
        "slept",
    ],
    protections: &[],
    scenes: &[meeting],
};

fn meeting() {
    let world = World::new(2, 1);
    world.load(0);
    let threads = [
        world.spawn(|world| _ = world.migrate(0, 1)),
        world.spawn(|world| {
            world.migrate(0, 1);
            world.migrate(0, 0);
        }),
        world.spawn(|world| {
            world.write(0, 2);
            world.write(0, 3);
        }),
        world.spawn(|world| _ = world.evict(0)),
        world.spawn(World::write_back),
        world.spawn(|world| _ = world.fault(&[first(0), 2, 3])),
    ];
    world.check_pinned(&world.page(0).unwrap(), 0, &[first(0), 2, 3]);
    for thread in threads {
        thread.join().unwrap();
    }
    world.check_at_rest(&[full(3)]);
}
