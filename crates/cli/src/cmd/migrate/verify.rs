//! The end: everything stands still, and every byte is compared with what was there before the
//! run, or with what the writers have journalled.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use refolio::PAGE_SIZE;

use super::damage::{Damage, Expected, Found, check, first_difference, not_a_line};
use super::findings::{Findings, Seen};
use super::numbers::slot;
use super::prepare::{CHUNK, Content};
use super::progress::Progress;
use super::stamp::{Stamp, hash};
use super::subjects::Subject;
use super::watchdog::Beat;

/// Compares everything.
#[derive(Debug)]
pub struct Verifier<'a> {
    /// Seed of the run's patterns.
    pub seed: u64,
    /// Where damage is reported.
    pub findings: &'a Findings,
    /// Shows that it is not stuck.
    pub beat: &'a Beat,
    /// Bytes compared in the last look, by kind.
    pub bytes: [u64; 3],
}

impl Verifier<'_> {
    /// Every byte of every subject, as the cache has it.
    pub fn in_cache(&mut self, subjects: &[Subject], progress: &mut Progress) {
        self.bytes = [0; 3];
        for subject in subjects {
            let read =
                |into: &mut [u8], offset| subject.read(into, offset).map_err(io::Error::other);
            self.look(subject, &read, Seen::InCache, progress);
        }
    }

    /// Every byte of every file, as the ordinary file system has it. (Anonymous memory has no
    /// file: the cache is the only place it ever was, and is asked once more.)
    pub fn on_disk(&mut self, subjects: &[Subject], progress: &mut Progress) {
        self.bytes = [0; 3];
        for subject in subjects {
            let Some(disk) = &subject.disk else {
                let read = |into: &mut [u8], at| subject.read(into, at).map_err(io::Error::other);
                self.look(subject, &read, Seen::InCache, progress);
                continue;
            };
            match File::open(&disk.path) {
                Ok(file) => {
                    let read = |into: &mut [u8], at| read_full(&file, into, at);
                    self.look(subject, &read, Seen::OnDisk, progress);
                    // A file that others may write may have been appended to.
                    if disk.modified.is_none() {
                        self.length(subject, &file);
                    }
                }
                Err(error) => self.findings.failed(&format!("opening {}", subject.name), &error),
            }
        }
    }

    /// A file must end where it ended before.
    fn length(&self, subject: &Subject, file: &File) {
        let grown = file.metadata().is_ok_and(|about| about.len() > subject.len);
        if grown {
            let (page, start) = (subject.len / PAGE_SIZE as u64, subject.len % PAGE_SIZE as u64);
            let found = (Damage::Longer, 0);
            self.findings.differs(subject, page, start as usize, found, Seen::OnDisk);
        }
    }

    fn look(
        &mut self,
        subject: &Subject,
        read: &dyn Fn(&mut [u8], u64) -> io::Result<usize>,
        seen: Seen,
        progress: &mut Progress,
    ) {
        let mut bytes = vec![0; CHUNK.min(subject.len as usize)];
        for start in (0..subject.len).step_by(CHUNK) {
            let len = (subject.len - start).min(CHUNK as u64) as usize;
            let work = self.beat.start();
            let found = match read(&mut bytes[..len], start) {
                Ok(found) => found,
                Err(error) => {
                    self.findings.failed(&format!("reading {} at the end", subject.name), &error);
                    return;
                }
            };
            drop(work);
            let pages = start / PAGE_SIZE as u64..;
            for (page, at) in pages.zip((0..len).step_by(PAGE_SIZE)) {
                let there = &bytes[at.min(found)..(at + PAGE_SIZE).min(found)];
                if let Err(damage) = self.page(subject, page, there) {
                    self.findings.differs(subject, page, 0, damage, seen);
                }
                self.bytes[slot(subject.kind(page))] += there.len() as u64;
            }
            progress.tick(|| format!("checking {}", subject.name), start, subject.len);
        }
    }

    /// Compares one page.
    fn page(&self, subject: &Subject, page: u64, bytes: &[u8]) -> Result<(), Found> {
        if bytes.len() < subject.page_len(page) {
            return Err((Damage::Missing, bytes.len()));
        }
        let generations = subject.journal.last(page);
        let original = subject.content.is_original(page, bytes.len(), bytes);
        let mut wanted = [0; PAGE_SIZE];
        let wanted = &mut wanted[..bytes.len()];
        for generation in generations.clone() {
            Stamp { subject: subject.number, page, generation }.fill(self.seed, wanted);
            let right = match (&subject.content, generation) {
                (Content::Original(_), 0) => original,
                _ => wanted == bytes,
            };
            if right {
                return Ok(());
            }
        }
        if original {
            return Err((Damage::Old { found: 0 }, 0));
        }
        if let (Content::Original(hashes), 0) = (&subject.content, *generations.end()) {
            let at = difference_from_twin(subject, page, bytes).unwrap_or(0);
            let this = hash(bytes);
            let from = hashes.iter().position(|known| known.page == this);
            return Err((from.map_or(not_a_line(bytes), |from| Damage::Moved(from as u64)), at));
        }
        let at = first_difference(wanted, bytes).unwrap_or(0);
        let expected = Expected { subject: subject.number, page, generations };
        let damage = check(self.seed, bytes, 0, &expected).err().map(|(damage, _)| damage);
        Err((damage.unwrap_or(Damage::Changed), at))
    }
}

/// Where the page begins to differ from another file that held the same bytes.
fn difference_from_twin(subject: &Subject, page: u64, bytes: &[u8]) -> Option<usize> {
    let twin = File::open(subject.disk.as_ref()?.twin.as_ref()?).ok()?;
    let mut before = vec![0; bytes.len()];
    twin.read_exact_at(&mut before, page * PAGE_SIZE as u64).ok()?;
    first_difference(&before, bytes)
}

/// Reads all of `into`, or up to the end of the file.
fn read_full(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut found = 0;
    while found < into.len() {
        match file.read_at(&mut into[found..], offset + found as u64) {
            Ok(0) => break,
            Ok(more) => found += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::migrate::prepare::{PageHash, Prepared};
    use crate::cmd::migrate::watchdog::{LIMIT, Watchdog};
    use refolio::{Cache, Kind, NodeOptions};
    use std::fs;

    const SEED: u64 = 5;
    const PAGES: u64 = 40;

    /// A file of forty pages (the last one short) and what must be found in it after `harm`.
    fn found_after(stamped: bool, harm: impl FnOnce(&Subject, &File)) -> (u64, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![0; (PAGES * 4096 - 1000) as usize];
        fastrand::Rng::with_seed(1).fill(&mut bytes);
        if stamped {
            for (page, into) in (0..).zip(bytes.chunks_mut(PAGE_SIZE)) {
                Stamp { subject: 0, page, generation: 0 }.fill(SEED, into);
            }
        }
        fs::write(&path, &bytes).unwrap();
        let hashes = (0..).zip(bytes.chunks(PAGE_SIZE)).map(|(i, page)| PageHash::of(i, page));
        let content = if stamped { Content::Stamped } else { Content::Original(hashes.collect()) };
        let node = || NodeOptions::new(8 << 20);
        let cache = Cache::builder().node(node()).node(node()).build().unwrap();
        let len = bytes.len() as u64;
        let (name, twin, modified) = ("it".into(), None, None);
        let prepared = Prepared { name, path, len, modified, content, twin, every: 1 };
        let subject = Subject::file(0, prepared, &cache, 0, 1).unwrap();

        let path = &subject.disk.as_ref().unwrap().path;
        harm(&subject, &File::options().read(true).write(true).open(path).unwrap());
        let findings = Findings::new(vec!["it".into()]);
        let (_watchdog, beats) = Watchdog::new(["it".into()], LIMIT, |name| panic!("{name} hangs"));
        let beat = &beats[0];
        let mut verifier = Verifier { seed: SEED, findings: &findings, beat, bytes: [0; 3] };
        verifier.on_disk(std::slice::from_ref(&subject), &mut Progress::new());
        assert!(findings.trouble().is_empty());
        let first = findings.first();
        let told = first.map(|it| format!("{} {}: {}", it.page, it.offset, it.found));
        (findings.mismatches(Kind::FileDirty), told.unwrap_or_default())
    }

    #[test]
    fn what_is_as_it_was_is_well() {
        for stamped in [true, false] {
            assert_eq!(found_after(stamped, |_, _| {}), (0, String::new()));
        }
    }

    #[test]
    fn one_planted_byte_is_named() {
        for (stamped, at) in
            [(true, 3 * 4096 + 700), (false, 3 * 4096), (true, PAGES * 4096 - 1001)]
        {
            let harm = |_: &Subject, file: &File| {
                let mut byte = [0];
                let planted = if stamped { at } else { at + 700 };
                file.read_exact_at(&mut byte, planted).unwrap();
                file.write_all_at(&[byte[0] ^ 1], planted).unwrap();
            };
            let page = at / 4096;
            assert_eq!(found_after(stamped, harm), (1, format!("{page} {at}: other bytes")));
        }
    }

    #[test]
    fn zeroed_foreign_and_missing_pages_are_named() {
        let zero = |_: &Subject, file: &File| file.write_all_at(&[0; PAGE_SIZE], 4096).unwrap();
        let swap = |_: &Subject, file: &File| {
            let mut bytes = [0; PAGE_SIZE];
            file.read_exact_at(&mut bytes, 9 * 4096).unwrap();
            file.write_all_at(&bytes, 4096).unwrap();
        };
        let cut = |_: &Subject, file: &File| file.set_len(38 * 4096 + 5).unwrap();
        let grow = |_: &Subject, file: &File| file.set_len(PAGES * 4096).unwrap();
        assert_eq!(found_after(true, zero).0, 1);
        assert_eq!(found_after(false, zero), (1, "1 4096: a zeroed page".into()));
        let (many, told) = found_after(true, swap);
        assert_eq!(many, 1);
        assert!(told.ends_with(": a foreign page: page 9 of it, generation 0"), "{told}");
        let (many, told) = found_after(false, swap);
        assert_eq!(many, 1);
        assert_eq!(told, "1 4096: a foreign page: the bytes of page 9 of this file");
        for stamped in [true, false] {
            let told = format!("38 {}: the end of the file", 38 * 4096 + 5);
            assert_eq!(found_after(stamped, cut), (2, told));
            assert_eq!(found_after(stamped, grow).0, 1);
        }
    }

    #[test]
    fn a_write_that_was_acknowledged_and_is_not_there_is_lost() {
        for stamped in [true, false] {
            let harm = |subject: &Subject, _: &File| {
                let generation = subject.journal.start(7);
                subject.journal.acknowledge(7, generation);
            };
            let (many, told) = found_after(stamped, harm);
            assert_eq!(many, 1);
            assert!(told.contains("a lost write: generation 0"), "{told}");
            let unfinished = |subject: &Subject, _: &File| {
                subject.journal.start(7);
            };
            assert_eq!(found_after(stamped, unfinished).0, 0, "nobody said that it was written");
        }
    }
}
