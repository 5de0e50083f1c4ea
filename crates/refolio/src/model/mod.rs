//! The matrix of `protocol.md`, cell by cell, under the checker: `cargo model -p refolio`.
//!
//! Each file is a meeting. It builds a tiny cache ([`world`]), lets two threads, or up to four, do what
//! its name says, by the code that ships, and checks all that must be true in each interleaving
//! ([`search`]): no byte of another page, none torn, none lost; what is pinned stays; and at rest
//! everything adds up. A deadlock is found by the checker.

mod acts;
mod disk;
#[cfg(refolio_explore)]
mod explore;
#[cfg(refolio_explore)]
pub(crate) mod names;
mod search;
pub mod variants;
mod world;

mod migrate_evict;
mod migrate_fault;
mod migrate_fill;
mod migrate_hint;
mod migrate_lookup;
mod migrate_migrate;
mod migrate_pin;
mod migrate_read;
mod migrate_truncate;
mod migrate_write;
mod migrate_writeback;

mod write_evict;
mod write_fault;
mod write_fill;
mod write_lookup;
mod write_pin;
mod write_read;
mod write_truncate;
mod write_write;
mod write_writeback;

mod truncate_batch;
mod truncate_evict;
mod truncate_fault;
mod truncate_fill;
mod truncate_lookup;
mod truncate_pin;
mod truncate_read;
mod truncate_truncate;
mod truncate_writeback;

mod evict_batch;
mod evict_evict;
mod evict_fault;
mod evict_fill;
mod evict_lookup;
mod evict_pin;
mod evict_read;
mod evict_writeback;

mod fault_fault;
mod writeback_writeback;

mod scene_append;
mod scene_batch_lock_waiter;
mod scene_batches;
mod scene_copy_on_write;
#[cfg(refolio_explore)]
mod scene_crowd;
mod scene_forms;
mod scene_guarded_frame;
mod scene_hint_ahead;
mod scene_large_folio;
mod scene_large_truncate;
mod scene_memory;
mod scene_migrate_evict_lookup;
mod scene_migrate_lookup_refill;
mod scene_migrate_migrate_write;
#[cfg(refolio_explore)]
mod scene_migrate_truncate_fault_writeback;
#[cfg(refolio_explore)]
mod scene_migrate_write_evict_lookup;
mod scene_new_pages;
mod scene_pin_until_drain;
mod scene_private;
mod scene_retire;
mod scene_truncate_zeros;
mod scene_two_views;
mod scene_view_read;
mod scene_waiters;

#[cfg(refolio_explore)]
pub use explore::Scene;
pub use search::Model;

/// All meetings of the matrix, and the scenes of three and more.
pub const ALL: &[&Model] = &[
    &migrate_evict::MODEL,
    &migrate_fault::MODEL,
    &migrate_fill::MODEL,
    &migrate_hint::MODEL,
    &migrate_lookup::MODEL,
    &migrate_migrate::MODEL,
    &migrate_pin::MODEL,
    &migrate_read::MODEL,
    &migrate_truncate::MODEL,
    &migrate_write::MODEL,
    &migrate_writeback::MODEL,
    &write_evict::MODEL,
    &write_fault::MODEL,
    &write_fill::MODEL,
    &write_lookup::MODEL,
    &write_pin::MODEL,
    &write_read::MODEL,
    &write_truncate::MODEL,
    &write_write::MODEL,
    &write_writeback::MODEL,
    &truncate_batch::MODEL,
    &truncate_evict::MODEL,
    &truncate_fault::MODEL,
    &truncate_fill::MODEL,
    &truncate_lookup::MODEL,
    &truncate_pin::MODEL,
    &truncate_read::MODEL,
    &truncate_truncate::MODEL,
    &truncate_writeback::MODEL,
    &evict_batch::MODEL,
    &evict_evict::MODEL,
    &evict_fault::MODEL,
    &evict_fill::MODEL,
    &evict_lookup::MODEL,
    &evict_pin::MODEL,
    &evict_read::MODEL,
    &evict_writeback::MODEL,
    &fault_fault::MODEL,
    &writeback_writeback::MODEL,
    &scene_append::MODEL,
    &scene_batch_lock_waiter::MODEL,
    &scene_batches::MODEL,
    &scene_copy_on_write::MODEL,
    #[cfg(refolio_explore)]
    &scene_crowd::MODEL,
    &scene_forms::MODEL,
    &scene_guarded_frame::MODEL,
    &scene_hint_ahead::MODEL,
    &scene_large_folio::MODEL,
    &scene_large_truncate::MODEL,
    &scene_memory::MODEL,
    &scene_migrate_evict_lookup::MODEL,
    &scene_migrate_lookup_refill::MODEL,
    &scene_migrate_migrate_write::MODEL,
    #[cfg(refolio_explore)]
    &scene_migrate_truncate_fault_writeback::MODEL,
    #[cfg(refolio_explore)]
    &scene_migrate_write_evict_lookup::MODEL,
    &scene_new_pages::MODEL,
    &scene_pin_until_drain::MODEL,
    &scene_private::MODEL,
    &scene_retire::MODEL,
    &scene_truncate_zeros::MODEL,
    &scene_two_views::MODEL,
    &scene_view_read::MODEL,
    &scene_waiters::MODEL,
];
