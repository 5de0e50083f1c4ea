//! What is moved, read, written and checked: files and anonymous memory behind one face.

use std::ops::Range;
use std::path::PathBuf;
use std::time::SystemTime;

use refolio::{
    Cache, File, Kind, Migrate, NodeId, OpenOptions, PAGE_SIZE, Page, PageIndex, Report, Result,
    View, Vpn,
};

use super::journal::Journal;
use super::prepare::{Content, Prepared};
use super::stamp::Stamp;
use crate::exit::Failure;

/// One file, or one anonymous region, open in the cache.
#[derive(Debug)]
pub struct Subject {
    /// Its number in the run, which its pages are stamped with.
    pub number: u32,
    /// What messages call it.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// What its pages hold before anybody writes.
    pub content: Content,
    /// What its writers have written.
    pub journal: Journal,
    /// The file on the disk; None: anonymous memory.
    pub disk: Option<Disk>,
    place: Place,
}

/// A subject's file as the ordinary file system has it.
#[derive(Debug)]
pub struct Disk {
    /// Where it is.
    pub path: PathBuf,
    /// When it was last written, if nobody here writes it.
    pub modified: Option<SystemTime>,
    /// Another file with the same bytes.
    pub twin: Option<PathBuf>,
}

enum Place {
    File(File),
    Anonymous(View),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::File(_)) { "File" } else { "Anonymous" })
    }
}

impl Subject {
    /// Opens a file; read-only, unless it is to be written.
    pub fn file(
        number: u32,
        file: Prepared,
        cache: &Cache,
        order: u32,
        writers: u64,
    ) -> std::result::Result<Self, Failure> {
        let journal = Journal::new(PageIndex::count(file.len), file.every, writers);
        let written = journal.writer(0).is_some();
        let options = OpenOptions::new().read_only(!written).order(order);
        let opened = cache
            .open_with(&file.path, &options)
            .map_err(|error| Failure::unusable(error.to_string()))?;
        Ok(Self {
            number,
            name: file.name,
            len: file.len,
            content: file.content,
            journal,
            disk: Some(Disk { path: file.path, modified: file.modified, twin: file.twin }),
            place: Place::File(opened),
        })
    }

    /// Makes anonymous memory of `pages`, every page stamped with generation 0.
    pub fn anonymous(
        number: u32,
        pages: u64,
        cache: &Cache,
        order: u32,
        writers: u64,
        seed: u64,
    ) -> Result<Self> {
        let view = cache.anonymous(pages, order)?;
        let mut bytes = [0; PAGE_SIZE];
        for page in 0..pages {
            Stamp { subject: number, page, generation: 0 }.fill(seed, &mut bytes);
            view.write(&bytes, page * PAGE_SIZE as u64)?;
        }
        Ok(Self {
            number,
            name: "anonymous memory".into(),
            len: pages * PAGE_SIZE as u64,
            content: Content::Stamped,
            journal: Journal::new(pages, 1, writers),
            disk: None,
            place: Place::Anonymous(view),
        })
    }

    /// Whether it is a file that somebody named, or the sample; not a copy of one.
    pub fn is_named(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.twin.is_none())
    }

    /// How many pages it has, the last one perhaps short.
    pub fn pages(&self) -> u64 {
        PageIndex::count(self.len)
    }

    /// Bytes in a page.
    pub fn page_len(&self, page: u64) -> usize {
        (self.len - page * PAGE_SIZE as u64).min(PAGE_SIZE as u64) as usize
    }

    /// What the page counts as in the report: pages that have a writer are dirty ones.
    pub fn kind(&self, page: u64) -> Kind {
        match (&self.place, self.journal.writer(page)) {
            (Place::Anonymous(_), _) => Kind::Anonymous,
            (Place::File(_), None) => Kind::FileClean,
            (Place::File(_), Some(_)) => Kind::FileDirty,
        }
    }

    /// Reads all of `into`, or as much as there is.
    pub fn read(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        match &self.place {
            Place::File(file) => file.read_at(into, offset),
            Place::Anonymous(view) => view.read(into, offset).map(|()| into.len()),
        }
    }

    /// Writes all of `from`.
    pub fn write(&self, from: &[u8], offset: u64) -> Result<()> {
        match &self.place {
            Place::File(file) => file.write_at(from, offset),
            Place::Anonymous(view) => view.write(from, offset),
        }
    }

    /// Pins a page. Reports name the caller as its holder.
    #[track_caller]
    pub fn pin(&self, page: u64) -> Result<Page<'_>> {
        match &self.place {
            Place::File(file) => file.page(PageIndex(page)),
            Place::Anonymous(view) => view.pin(Vpn(page)),
        }
    }

    /// Reads in what is missing of the pages of a file.
    pub fn load(&self, pages: Range<u64>) -> Result<()> {
        match &self.place {
            Place::File(file) => file.load(pages).map(drop),
            Place::Anonymous(_) => Ok(()),
        }
    }

    /// Writes back what is dirty, and has it made durable.
    pub fn sync(&self) -> Result<()> {
        match &self.place {
            Place::File(file) => file.sync(),
            Place::Anonymous(_) => Ok(()),
        }
    }

    /// Moves what is resident of the pages.
    pub fn migrate(&self, pages: Range<u64>, to: NodeId, how: &Migrate<'_>) -> Result<Report> {
        match &self.place {
            Place::File(file) => file.migrate(pages, to, how),
            Place::Anonymous(view) => view.migrate(pages, to, how),
        }
    }
}
