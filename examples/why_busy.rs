//! Why does this page not move? Who holds it, since when, and what happens when they let go.
//!
//! `cargo run --example why_busy`

use std::time::{Duration, Instant};

use refolio::{Cache, MemStore, Migrate, Mode, NodeId, NodeOptions, OpenOptions, PageIndex};

fn main() -> refolio::Result<()> {
    let cache =
        Cache::builder().node(NodeOptions::new(1 << 20)).node(NodeOptions::new(1 << 20)).build()?;
    let file = cache.open_store(MemStore::with_bytes(vec![1; 16 << 10]), &OpenOptions::new())?;
    file.load(0..4)?;

    std::thread::scope(|threads| {
        let (pinned, is_pinned) = std::sync::mpsc::channel();
        let file = &file;
        let report_writer = std::thread::Builder::new().name("report writer".into());
        let holder = report_writer.spawn_scoped(threads, move || {
            let page = file.page(PageIndex(2));
            pinned.send(()).expect("somebody waits for this");
            std::thread::sleep(Duration::from_millis(300));
            drop(page);
        });
        holder.expect("a thread can be started");
        is_pinned.recv().expect("the thread pins before it ends");

        // Asking costs nothing and moves nothing.
        for page in &file.would_move(0..4, NodeId(1))?.outcomes {
            println!("before: {:?}: {}", page.owner, page.outcome);
        }
        // Three of four go; the answer for the fourth names who holds it.
        for page in &file.migrate(0..4, NodeId(1), &Migrate::new())?.outcomes {
            println!("now:    {:?}: {}", page.owner, page.outcome);
        }
        // Waiting for it: woken by the last pin, not by the clock.
        let patient = Migrate::new().mode(Mode::Until(Instant::now() + Duration::from_secs(5)));
        let report = file.migrate(2..3, NodeId(1), &patient)?;
        println!("later:  {} (after {:?})", report.outcomes[0].outcome, report.elapsed);
        assert_eq!(report.counts().moved, 1);
        Ok(())
    })
}
