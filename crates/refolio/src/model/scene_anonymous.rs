//! Anonymous memory × move, write, discard and read: it has no slot and no identity, so its entries
//! are all that is known of it, and the frame of a discarded page has a new version when it is used
//! again.

use super::search::Model;
use super::world::{World, full, meet, value_of};
use crate::migrate::Place;
use crate::sync::{Arc, reached};
use crate::table::{Backing, Table};
use crate::units::Vpn;
use crate::{read, write, zap};

pub const MODEL: Model = Model {
    cell: module_path!(),
    preemptions: Some(3),
    outcomes: &[
        "moved",
        "again: references",
        "again: locked",
        "again: isolated",
        "gone",
        "slept",
        "read",
        "read again",
        "not read",
    ],
    protections: &[("claim-without-fence", "a torn page"), ("claim-keeps-version", "a torn page")],
    scenes: &[moved_and_written, moved_and_discarded, discarded_and_read],
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

/// One page of anonymous memory, full of 1.
fn anonymous(world: &World) -> Arc<Table> {
    let table = Arc::new(Table::new(1, Backing::Anonymous { order: 0 }).unwrap());
    #[cfg(refolio_explore)]
    table.christen("memory, ");
    fill(world, &table, 1);
    table
}

fn fill(world: &World, table: &Arc<Table>, value: u8) {
    write::in_view_page(&world.core, table, Vpn(0), 0, &full(value)).unwrap();
}

fn migrate(world: &World, table: &Arc<Table>) {
    world.attempt(&world.moving(1), &Place::Table(table.clone(), Vpn(0)));
}

fn discard(world: &World, table: &Arc<Table>) {
    zap::zap(&world.core, table, 0..1).unwrap();
}

/// When it is gone, nothing is left of it.
fn check_discarded(world: &World, table: &Arc<Table>) {
    discard(world, table);
    assert!(world.core.nodes.iter().all(|node| node.counters.nr_anon_pages.get() == 0));
    assert!(world.core.tables.rmap.is_empty());
    world.check_at_rest(&[]);
}

fn moved_and_written() {
    let world = World::new(2, 0);
    let table = anonymous(&world);
    let theirs = table.clone();
    meet(&world, move |world| migrate(world, &theirs), |world| fill(world, &table, 2));
    let mut bytes = full(0);
    read::from_view(&world.core, &table, &mut bytes, 0).unwrap();
    value_of(&bytes, &[2]);
    check_discarded(&world, &table);
}

fn moved_and_discarded() {
    let world = World::new(2, 0);
    let table = anonymous(&world);
    let theirs = table.clone();
    meet(&world, move |world| migrate(world, &theirs), |world| discard(world, &table));
    check_discarded(&world, &table);
}

fn discarded_and_read() {
    let world = World::new(1, 0);
    let table = anonymous(&world);
    let theirs = table.clone();
    meet(
        &world,
        move |world| {
            discard(world, &theirs);
            world.reuse();
        },
        |world| {
            let mut bytes = full(0);
            let read = read::optimistic_in_view(&world.core, &table, Vpn(0), 0, &mut bytes);
            reached(if read { "read" } else { "not read" });
            if read {
                value_of(&bytes, &[1]);
            }
        },
    );
    check_discarded(&world, &table);
}
