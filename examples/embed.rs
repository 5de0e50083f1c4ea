//! A cache in a program of one's own: open, read, write, pin, move, sync.
//!
//! `cargo run --example embed`

use refolio::{Cache, Migrate, NodeId, NodeOptions, PageIndex};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("table");
    std::fs::write(&path, vec![b'.'; 1 << 20])?;

    // Two nodes: new pages go to the first, cold ones to the second. On a machine with several
    // NUMA nodes, `.numa(n)` binds each to one of them.
    let cache = Cache::builder()
        .node(NodeOptions::new(4 << 20).name("fast"))
        .node(NodeOptions::new(16 << 20).name("slow"))
        .build()?;

    let table = cache.open(&path)?;
    table.write_at(b"a record", 12_345)?;
    let mut record = [0; 8];
    table.read_at(&mut record, 12_345)?;
    println!("read back: {}", String::from_utf8_lossy(&record));

    // A pin: the bytes of a page, without a copy, for as long as it lives.
    let page = table.page(PageIndex::of_offset(12_345))?;
    println!("page 3 is on {} and begins with {:?}", page.node(), &page[..4]);
    drop(page);

    // The page moves; whoever reads or writes it meanwhile does not notice.
    let report = table.migrate(0..256, NodeId(1), &Migrate::new())?;
    println!("moved {} pages in {:?}", report.counts().moved, report.elapsed);
    println!("page 3 is on {:?} now", table.node_of(PageIndex(3)));

    table.sync()?;
    table.close()?;
    Ok(())
}
