//! What the words and locks of a world are called in a trace, and what an operation on one of them
//! is said to do: in the words of the protocol.

use std::fmt::Display;

use super::world::World;
use crate::folio::Identity;
use crate::folio::state::{MAX_REFERENCES, Snapshot};
use crate::table::entry::Entry;
use crate::units::PAGE_SIZE;
use refolio_xarray as xarray;

/// Names everything in a world that a story about it may need.
pub fn christen(world: &World) {
    let core = &world.core;
    core.folios.christen();
    core.frames.christen();
    core.nodes.iter().for_each(|node| node.christen());
    core.lrus.iter().zip(&core.nodes).for_each(|(lru, node)| lru.christen(node.id));
    world.mapping.christen();
    world.table.christen("");
}

/// A value that was seen, or the change from one to another.
fn told<T: Display>(before: u64, after: u64, tell: impl Fn(u64) -> T) -> String {
    match before == after {
        true => tell(after).to_string(),
        false => format!("{} → {}", tell(before), tell(after)),
    }
}

/// A lock has no value.
pub fn nothing(_before: u64, _after: u64) -> String {
    String::new()
}

/// The file that a folio is of, and the index of its first page.
pub fn identity(before: u64, after: u64) -> String {
    told(before, after, |word| match Identity::of_number(word) {
        Some(page) => format!("page {} of file {}", page.index(), page.mapping()),
        None => "no file's".into(),
    })
}

/// How many table entries a folio has.
pub fn entries(before: u64, after: u64) -> String {
    format!("entries {}", told(before, after, |count| count))
}

/// A folio's word for its embedder.
pub fn private(before: u64, after: u64) -> String {
    format!("private {}", told(before, after, |word| word))
}

/// A length in bytes.
pub fn pages(before: u64, after: u64) -> String {
    told(before, after, |len| match (len / PAGE_SIZE as u64, len % PAGE_SIZE as u64) {
        (1, 0) => "1 page".into(),
        (pages, 0) => format!("{pages} pages"),
        _ => format!("{len} bytes"),
    })
}

/// A word of a frame: what each of its bytes is, if they are all the same.
pub fn bytes(before: u64, after: u64) -> String {
    let tell = |word: u64| match word.to_ne_bytes() {
        [first, ref rest @ ..] if rest.iter().all(|byte| *byte == first) => format!("{first:02x}"),
        _ => format!("{word:016x}"),
    };
    format!("bytes {}", told(before, after, tell))
}

/// A slot of the file's tree.
pub fn slot(before: u64, after: u64) -> String {
    let tell = |entry: xarray::Entry| match entry.is_item() {
        true => format!("folio {}", entry.payload()),
        false => "shadow".into(),
    };
    told(before, after, |word| xarray::Entry::told(word, tell))
}

/// An entry of a table, with its bits where they are what counts.
pub fn entry(before: u64, after: u64) -> String {
    let known = |word| Entry::decode(word).mapped().map(|mapped| (mapped.folio, mapped.page));
    let is_migration = |word| matches!(Entry::decode(word), Entry::Migration(_));
    let bits_count = before == after
        || is_migration(before) == is_migration(after) && known(before) == known(after);
    told(before, after, |word| {
        let (kind, mapped) = match Entry::decode(word) {
            Entry::Empty => return "empty".into(),
            Entry::Present(mapped) => ("present", mapped),
            Entry::Migration(mapped) => ("migration", mapped),
        };
        let mut text = format!("{kind} folio {}", mapped.folio.0);
        if mapped.page > 0 {
            text += &format!(", page {}", mapped.page);
        }
        let bits = [
            (mapped.writable, ", writable"),
            (mapped.accessed, ", accessed"),
            (mapped.dirty, ", dirty"),
        ];
        text.extend(bits.iter().filter(|(set, _)| *set && bits_count).map(|(_, bit)| *bit));
        text
    })
}

/// A folio's word: the transition, by its name in `state.rs`; or all of the word, if it stayed.
pub fn word(before: Snapshot, after: Snapshot) -> String {
    if before == after {
        let (count, flags) = (after.references(), after.flag_names());
        let count = if count == 1 { "1 ref".into() } else { format!("{count} refs") };
        return std::iter::once(count.as_str()).chain(flags).collect::<Vec<_>>().join(", ");
    }
    let (set, cleared) = (news(before, after), news(after, before));
    let grown = before.version() != after.version();
    let (had, has) = (before.references(), after.references());
    if had == 0 && has == MAX_REFERENCES {
        return "put, of which there is none".into();
    }
    let isolates = has == had + 1 && cleared == ["lru"];
    let verb = match (had, has) {
        _ if had == has => None,
        (_, 0) if grown => Some("freeze"),
        (0, _) if grown => Some("claim"),
        (0, _) => Some("unfreeze"),
        _ if isolates => Some("isolate"),
        (_, 0) => Some("last put"),
        _ if has > had => Some("get"),
        _ => Some("put"),
    };
    let mut parts: Vec<String> =
        verb.map(|verb| format!("{verb} {had}→{has}")).into_iter().collect();
    parts.extend(set.iter().map(|flag| match *flag {
        "locked" => "lock".into(),
        flag => format!("set {flag}"),
    }));
    parts.extend(cleared.iter().filter(|_| !isolates).map(|flag| match *flag {
        "locked" => "unlock".into(),
        flag => format!("clear {flag}"),
    }));
    if grown && !matches!(verb, Some("freeze" | "claim")) {
        parts.push(format!("version {}→{}", before.version(), after.version()));
    }
    parts.join(", ")
}

/// The flags that only the second word has.
fn news(before: Snapshot, after: Snapshot) -> Vec<&'static str> {
    let before = before.flag_names();
    after.flag_names().into_iter().filter(|flag| !before.contains(flag)).collect()
}
