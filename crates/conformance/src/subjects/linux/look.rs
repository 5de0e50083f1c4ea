//! Looking at parts of pages, and writing them, by every way there is.
//!
//! A look at memory is not atomic: what it saw is judged when nobody wrote the part, and nobody cut
//! the file, from before to after it. Whoever writes a part is the only one who does, and looks at
//! it first: so every write is looked for, whatever others see.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use refolio::PAGE_SIZE;

use super::machine::Stop;
use super::play::{Me, Play};
use super::sys;
use crate::ledger::Ledger;
use crate::tally::Fact;
use crate::verdict::{Failure, Wrong};

/// How often a write that truncations overlap is tried again.
const TRIES: usize = 10_000;

/// By which way bytes are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Loads and stores.
    Map,
    /// Copies by way of a reference to the page.
    Reference,
    /// `pread` and `pwrite`.
    Call,
}

impl Play {
    /// The way to the mapping that cannot end the process.
    pub fn mapped(&self) -> Way {
        if self.cuts { Way::Reference } else { Way::Map }
    }

    /// Reads a part, as it is; whether it was there.
    fn read(&self, way: Way, offset: usize, into: &mut [u8]) -> Result<bool, Stop> {
        let read = match (way, &self.ground.map, &self.ground.file) {
            (Way::Map, Some(map), _) => {
                map.load(offset, into);
                Ok(into.len())
            }
            (Way::Reference, Some(map), _) => sys::copy_out(map, offset, into),
            (_, _, Some(backing)) => backing.file.read_at(into, offset as u64),
            (_, None, None) => return Err(Stop::fails(Wrong::Refused, "no way to the pages")),
            (Way::Call, Some(map), None) => sys::copy_out(map, offset, into),
        };
        there(read, into.len(), "reading")
    }

    fn write(&self, way: Way, offset: usize, from: &[u8]) -> Result<bool, Stop> {
        let written = match (way, &self.ground.map, &self.ground.file) {
            (Way::Map, Some(map), _) => {
                map.store(offset, from);
                Ok(from.len())
            }
            (Way::Reference, Some(map), _) => sys::copy_in(map, offset, from),
            (_, _, Some(backing)) => backing.file.write_at(from, offset as u64),
            (_, None, None) => return Err(Stop::fails(Wrong::Refused, "no way to the pages")),
            (Way::Call, Some(map), None) => sys::copy_in(map, offset, from),
        };
        there(written, from.len(), "writing")
    }

    /// Looks at a part of the pages by a way.
    pub fn look(&self, me: &mut Me, part: usize, way: Way) -> Result<(), Stop> {
        let ledger = &self.ground.ledger;
        let (offset, len) = (ledger.offset(part) as usize, ledger.part_len());
        let mut bytes = std::mem::take(&mut me.bytes);
        let seen = judged(ledger, part, || {
            Ok(self.read(way, offset, &mut bytes[..len])?.then(|| bytes[..len].to_vec()))
        });
        me.bytes = bytes;
        self.tally.add(if way == Way::Call { Fact::Read } else { Fact::Viewed }, 1);
        let generation = seen.map_err(|stop| by(way, stop))?;
        self.tally.add(Fact::Changed, u64::from(generation.is_some_and(|number| number > 1)));
        Ok(())
    }

    /// Writes a part of one's own by a way, after a look at what it has.
    pub fn put(&self, me: &mut Me, look: Way, way: Way) -> Result<(), Stop> {
        let part = self.own(me);
        self.look(me, part, look)?;
        let offset = self.ground.ledger.offset(part) as usize;
        self.put_by(me, part, |bytes| self.write(way, offset, bytes))
    }

    /// One of the parts that this actor alone writes.
    pub fn own(&self, me: &mut Me) -> usize {
        me.rng.usize(0..self.ground.ledger.parts() / me.writers) * me.writers + me.rank
    }

    /// Writes a part by `write`, which answers whether there was a page to write to.
    pub fn put_by(
        &self,
        me: &mut Me,
        part: usize,
        write: impl Fn(&[u8]) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        let ledger = &self.ground.ledger;
        let into = &mut me.bytes[..ledger.part_len()];
        let written = ledger.write(part, me.number, into, |bytes| {
            // A write that a truncation overlaps may be cut in part: then it is written again.
            for _ in 0..TRIES {
                let cuts = ledger.cuts();
                if !write(bytes).map_err(Some)? {
                    return Err(None);
                }
                if cuts.is_some() && cuts == ledger.cuts() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            Err(None)
        });
        match written {
            Ok(()) => self.tally.add(Fact::Written, 1),
            Err(None) => self.tally.add(Fact::Beyond, 1),
            Err(Some(stop)) => return Err(stop),
        }
        Ok(())
    }
}

fn there(done: io::Result<usize>, wanted: usize, doing: &str) -> Result<bool, Stop> {
    match done {
        Ok(done) if done == wanted => Ok(true),
        Ok(_) => Ok(false),
        // What lies beyond the end of a file.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(false),
        Err(error) => Err(Stop::fails(Wrong::Refused, format!("{doing}: {error}"))),
    }
}

fn by(way: Way, stop: Stop) -> Stop {
    match stop {
        Stop::Fails(Failure { wrong, detail }) => {
            let by = match way {
                Way::Map => "by a load",
                Way::Reference => "by a reference",
                Way::Call => "by a read",
            };
            Stop::fails(wrong, format!("{by}, {detail}"))
        }
        lacks @ Stop::Lacks(_) => lacks,
    }
}

/// Judges a look at a part, if it can be judged: the generation that was seen.
pub(crate) fn judged(
    ledger: &Ledger,
    part: usize,
    mut read: impl FnMut() -> Result<Option<Vec<u8>>, Stop>,
) -> Result<Option<u64>, Stop> {
    let (before, cuts) = (ledger.before(part), ledger.cuts());
    let found = read()?;
    let whole = cuts.is_some() && cuts == ledger.cuts() && ledger.is_quiet(before);
    if !whole {
        return Ok(None);
    }
    let Err((wrong, detail)) = ledger.judge(before, found.as_deref()) else {
        return Ok(Some(before.done()));
    };
    // A second look tells a page that was stale for a moment from one that lost a write.
    let again = read()?;
    let still =
        ledger.judge(before, again.as_deref()).is_err_and(|(wrong, _)| wrong == Wrong::StalePage);
    let lost = wrong == Wrong::StalePage && still && ledger.is_quiet(before);
    Err(Stop::fails(if lost { Wrong::LostWrite } else { wrong }, detail))
}

/// Looks at every part of a ledger in one image of the whole file.
pub(crate) fn whole(ledger: &Ledger, image: &[u8], what: &str) -> Result<(), Stop> {
    for part in 0..ledger.parts() {
        let at = ledger.offset(part) as usize;
        let found = image.get(at..at + ledger.part_len());
        ledger.judge(ledger.before(part), found).map_err(|(wrong, detail)| {
            // At rest, what is not there is lost.
            let lost = wrong == Wrong::StalePage;
            let wrong = if lost { Wrong::LostWrite } else { wrong };
            Stop::fails(wrong, format!("{what}, at rest: {detail}"))
        })?;
    }
    Ok(())
}

/// Bytes of all the pages.
pub(crate) fn len(play: &Play) -> usize {
    play.ground.pages() as usize * PAGE_SIZE
}
