//! smoke
use refolio::*;

fn cache(bytes: u64) -> Cache {
    Cache::builder().node(NodeOptions::new(bytes)).node(NodeOptions::new(bytes)).build().unwrap()
}

#[test]
fn write_read_sync() {
    let cache = cache(1 << 20);
    let store = MemStore::new();
    let file = cache.open_store(store.clone(), &OpenOptions::new()).unwrap();
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 4096) as u8).collect();
    for (i, chunk) in data.chunks(5000).enumerate() {
        file.write_at(chunk, i as u64 * 5000).unwrap();
    }
    let mut back = vec![0; data.len()];
    assert_eq!(file.read_at(&mut back, 0).unwrap(), data.len());
    assert!(back == data);
    file.sync().unwrap();
    assert!(store.bytes() == data);
    println!("{:?} {:?}", cache.stats(), cache.nodes());
    drop(file);
    for n in cache.nodes() { assert_eq!(n.nr_free_pages, n.frames, "{n:?}"); }
}

#[test]
fn migrate_back_and_forth() {
    let cache = cache(1 << 20);
    let file = cache.open_store(MemStore::with_bytes((0..400_000u32).map(|i| (i / 4096) as u8).collect()), &OpenOptions::new()).unwrap();
    file.load(0..98).unwrap();
    let view = file.view(0..98, Sharing::Shared).unwrap();
    let mut b = [0; 1];
    view.read(&mut b, 8192).unwrap();
    for round in 0..10 {
        let to = NodeId((round + 1) % 2);
        for form in Form::ALL {
            let r = file.migrate(0..98, to, &Migrate::new().form(form)).unwrap();
            println!("{:?}", r.counts());
            assert_eq!(r.left().count(), 0);
        }
        let mut buf = vec![0; 400_000];
        file.read_at(&mut buf, 0).unwrap();
        for (i, b) in buf.iter().enumerate() { assert_eq!(*b, (i / 4096) as u8); }
        view.read(&mut b, 8192).unwrap();
        assert_eq!(b[0], 2);
    }
    let r = cache.drain(NodeId(0), &Migrate::new()).unwrap();
    assert_eq!(r.left().count(), 0);
    println!("{:?}", cache.nodes());
}

#[test]
fn a_drain_names_who_holds_what_stays_even_an_orphan() {
    let cache = cache(1 << 20);
    let file = cache.open_store(MemStore::with_bytes(vec![1; 5 * PAGE_SIZE]), &OpenOptions::new()).unwrap();
    file.load(0..5).unwrap();
    let pin = file.page(PageIndex(3)).unwrap();
    let orphan = file.page(PageIndex(4)).unwrap();
    file.set_len(4 * PAGE_SIZE as u64).unwrap();
    let report = cache.drain(NodeId(0), &Migrate::new()).unwrap();
    assert_eq!(report.counts().moved, 3);
    let left: Vec<_> = report.left().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|page| page.owner == Owner::Orphan));
    for page in left {
        assert!(page.outcome.to_string().contains("tests/smoke.rs"), "{}", page.outcome);
    }
    assert_eq!(&orphan[..], &[1; PAGE_SIZE]);
    drop((pin, orphan));
    let report = cache.drain(NodeId(0), &Migrate::new()).unwrap();
    assert_eq!(report.left().count(), 0);
    let node = &cache.nodes()[0];
    assert_eq!(node.nr_free_pages, node.frames);
}
