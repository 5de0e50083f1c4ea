//! Everything that was not as it must be: how much, and the first of it in full.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use refolio::{Kind, PAGE_SIZE};
use serde::Serialize;

use super::damage::{Damage, Found};
use super::numbers::slot;
use super::subjects::Subject;

/// Where somebody looked when the damage was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A reader, while everything ran.
    ByReader,
    /// Everything stands still, and the cache is asked.
    InCache,
    /// Everything is synced, and the ordinary file system is asked.
    OnDisk,
}

/// A page that was not as it must be.
#[derive(Clone, Debug, Serialize)]
pub struct Mismatch {
    /// The file, by name.
    pub file: String,
    /// The page's index in it.
    pub page: u64,
    /// The first byte that differs, in the file.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Who saw it.
    pub seen: &'static str,
}

/// What has been found so far, by all threads.
#[derive(Debug, Default)]
pub struct Findings {
    names: Vec<String>,
    mismatches: [AtomicU64; 3],
    first: Mutex<Option<Mismatch>>,
    trouble: Mutex<Vec<String>>,
}

impl Findings {
    /// Nothing found yet, in files with these names.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// A page differs. `found` counts its offset from `start`, a byte in the page.
    pub fn differs(&self, subject: &Subject, page: u64, start: usize, found: Found, seen: Seen) {
        self.mismatches[slot(subject.kind(page))].fetch_add(1, SeqCst);
        let mut first = lock(&self.first);
        if first.is_none() {
            let (damage, at) = found;
            *first = Some(Mismatch {
                file: subject.name.clone(),
                page,
                offset: page * PAGE_SIZE as u64 + (start + at) as u64,
                expected: expected(subject, page),
                found: self.describe(&damage, seen) + changed_behind_our_back(subject),
                seen: match seen {
                    Seen::ByReader => "by a reader",
                    Seen::InCache => "in the cache, at the end",
                    Seen::OnDisk => "on the disk, after the last sync",
                },
            });
        }
    }

    /// The engine failed; the first few failures are kept.
    pub fn failed(&self, doing: &str, cause: &dyn std::fmt::Display) {
        let mut trouble = lock(&self.trouble);
        if trouble.len() < 8 {
            trouble.push(format!("{doing}: {cause}"));
        }
    }

    /// Reads and pages of this kind that differed.
    pub fn mismatches(&self, kind: Kind) -> u64 {
        self.mismatches[slot(kind)].load(SeqCst)
    }

    /// The first page that differed.
    pub fn first(&self) -> Option<Mismatch> {
        lock(&self.first).clone()
    }

    /// What failed.
    pub fn trouble(&self) -> Vec<String> {
        lock(&self.trouble).clone()
    }

    fn describe(&self, damage: &Damage, seen: Seen) -> String {
        match damage {
            Damage::Foreign(stamp) => {
                let nobody = "no file of this run".to_owned();
                let name = self.names.get(stamp.subject as usize).unwrap_or(&nobody);
                format!(
                    "a foreign page: page {} of {name}, generation {}",
                    stamp.page, stamp.generation
                )
            }
            Damage::Old { found } if seen == Seen::ByReader => {
                format!("a stale page: generation {found}")
            }
            damage => damage.to_string(),
        }
    }
}

fn expected(subject: &Subject, page: u64) -> String {
    let last = subject.journal.last(page);
    match (subject.journal.writer(page), *last.end()) {
        (Some(writer), 1..) => format!(
            "what writer {writer} has written: generation {}{}",
            last.start(),
            if last.start() == last.end() { String::new() } else { format!(" to {}", last.end()) }
        ),
        _ => "what was there before the run".into(),
    }
}

/// Somebody else may have written the file while the run went: that is worth saying.
fn changed_behind_our_back(subject: &Subject) -> &'static str {
    let Some(disk) = &subject.disk else { return "" };
    let now = std::fs::metadata(&disk.path).and_then(|about| about.modified()).ok();
    match disk.modified {
        Some(before) if now != Some(before) => {
            " (the file has been written by another program during the run)"
        }
        _ => "",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
