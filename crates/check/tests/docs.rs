//! What the documents say of the variants.

use refolio_check::scene;
use refolio_check::variants;

#[test]
fn every_variant_stands_in_the_table_of_the_docs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/broken-variants.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: Vec<_> = variants::all().map(|(_, variant)| variant.name).collect();
    assert_eq!(rows.collect::<Vec<_>>(), listed, "write the page anew; its head says how");
    assert!(listed.len() >= 100, "{}", listed.len());
}

#[test]
fn every_variant_of_the_cache_is_judged_by_scenes_that_there_are() {
    for (_, variant) in variants::all().filter(|(_, variant)| !variant.cell().contains('/')) {
        assert!(!scene::find(variant.cell()).is_empty(), "{}: {}", variant.name, variant.cell());
    }
}
