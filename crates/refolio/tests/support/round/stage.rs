//! The cache under test, its files and views, and beside each what it should hold.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use refolio::{Cache, File, MemStore, NodeOptions, OpenOptions, PAGE_SIZE, Sharing, View};

use super::ops::{Disk, FileSetup, Setup, ViewSetup};
use crate::bytes::same;
use crate::{done, rest};

/// A file, and what it should hold.
pub struct Tested {
    /// All to the same file; the first may be read-only, the last can be written.
    pub handles: Vec<File>,
    pub read_only_first: bool,
    source: Source,
    pub order: u32,
    pub bytes: RefCell<Vec<u8>>,
    /// The embedder's words: the newest for each page, and when it was set or taken away.
    pub words: RefCell<BTreeMap<u64, (u64, Option<u64>)>>,
    pub poisoned: RefCell<BTreeSet<u64>>,
}

enum Source {
    Memory(MemStore),
    Disk(PathBuf),
}

impl Tested {
    pub fn writer(&self) -> &File {
        self.handles.last().expect("a file has a handle")
    }

    /// Any handle, to read.
    pub fn reader(&self, n: usize) -> &File {
        &self.handles[n % self.handles.len()]
    }

    pub fn pages(&self) -> u64 {
        self.bytes.borrow().len().div_ceil(PAGE_SIZE) as u64
    }

    /// The first poisoned page that holds one of these bytes.
    pub fn poisoned_in(&self, offset: usize, len: usize) -> Option<u64> {
        let first = (offset / PAGE_SIZE) as u64;
        let end = if len > 0 { (offset + len).div_ceil(PAGE_SIZE) as u64 } else { 0 };
        self.poisoned.borrow().range(first..end.max(first)).next().copied()
    }

    /// Pages from `first` to `end` are not in the file any more.
    pub fn forget(&self, first: u64, end: u64) {
        self.poisoned.borrow_mut().retain(|page| !(first..end).contains(page));
        if self.order == 0 {
            self.words.borrow_mut().retain(|page, _| !(first..end).contains(page));
        }
    }

    /// What the store holds.
    pub fn stored(&self) -> Vec<u8> {
        match &self.source {
            Source::Memory(store) => store.bytes(),
            Source::Disk(path) => std::fs::read(path).unwrap(),
        }
    }

    /// One more handle, if the file has a name.
    pub fn another(&self, cache: &Cache, read_only: bool) -> Option<File> {
        let Source::Disk(path) = &self.source else { return None };
        Some(cache.open_with(path, &OpenOptions::new().read_only(read_only)).unwrap())
    }

    /// The whole file, read back.
    #[track_caller]
    pub fn compare(&self) {
        let bytes = self.bytes.borrow();
        let mut found = vec![0xEE; bytes.len() + 100];
        if self.poisoned.borrow().is_empty() {
            assert_eq!(self.writer().read_at(&mut found, 0).unwrap(), bytes.len());
            same(&found[..bytes.len()], &bytes, "the file");
            return;
        }
        for (index, page) in bytes.chunks(PAGE_SIZE).enumerate() {
            if !self.poisoned.borrow().contains(&(index as u64)) {
                let got =
                    self.writer().read_at(&mut found[..page.len()], (index * PAGE_SIZE) as u64);
                assert_eq!(got.unwrap(), page.len());
                same(&found[..page.len()], page, "the file, page by page");
            }
        }
    }
}

/// A page of a view's own: bytes that are known, None where they are not.
pub type Own = Vec<Option<u8>>;

/// A view, and what it should hold besides its file.
pub struct TestedView {
    pub view: View,
    pub backing: ViewSetup,
    pub own: RefCell<BTreeMap<u64, Own>>,
}

impl TestedView {
    pub fn new(cache: &Cache, files: &[Tested], backing: ViewSetup) -> Self {
        let view = match &backing {
            ViewSetup::Anonymous { pages, order } => cache.anonymous(*pages, *order).unwrap(),
            ViewSetup::File { file, first, pages, sharing } => {
                files[*file].writer().view(*first..first + pages, *sharing).unwrap()
            }
        };
        Self { view, backing, own: RefCell::default() }
    }

    /// What page `page` of the view should hold; None where it is beyond the end of its file.
    pub fn expected(&self, files: &[Tested], page: u64) -> Option<Own> {
        if let Some(own) = self.own.borrow().get(&page) {
            return Some(own.clone());
        }
        let ViewSetup::File { file, first, .. } = &self.backing else {
            return Some(vec![Some(0); PAGE_SIZE]);
        };
        let bytes = files[*file].bytes.borrow();
        let rest =
            bytes.get((first + page) as usize * PAGE_SIZE..).filter(|rest| !rest.is_empty())?;
        let mut known: Own = rest.iter().take(PAGE_SIZE).copied().map(Some).collect();
        // What lies behind the end of the file on its last page is nobody's.
        known.resize(PAGE_SIZE, None);
        Some(known)
    }

    /// The file, the sharing, and the page of the file that a page of the view shows.
    pub fn file_page(&self, page: u64) -> Option<(usize, Sharing, u64)> {
        match &self.backing {
            ViewSetup::File { file, first, sharing, .. } => Some((*file, *sharing, first + page)),
            ViewSetup::Anonymous { .. } => None,
        }
    }

    /// The page of the file that this page of the view is at the moment, if it is not its own.
    pub fn shows(&self, page: u64) -> Option<(usize, u64)> {
        let (file, _, index) = self.file_page(page)?;
        (!self.own.borrow().contains_key(&page)).then_some((file, index))
    }
}

/// Everything of one round.
pub struct Stage {
    pub cache: Cache,
    pub nodes: usize,
    /// No thread but the test's: outcomes are exact.
    pub quiet: bool,
    pub name_holders: bool,
    pub files: Vec<Tested>,
    pub views: Vec<TestedView>,
    _dir: tempfile::TempDir,
}

impl Stage {
    pub fn new(setup: &Setup) -> Self {
        let mut builder = Cache::builder()
            .name_holders(setup.name_holders)
            .background(setup.background)
            .writeback_interval(Duration::from_micros(500));
        for pages in &setup.nodes {
            builder = builder.node(NodeOptions::new(pages * PAGE_SIZE as u64));
        }
        let cache = builder.build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = setup
            .files
            .iter()
            .enumerate()
            .map(|(n, file)| open(&cache, file, dir.path().join(n.to_string())))
            .collect();
        let views = setup.views.iter();
        let views = views.map(|view| TestedView::new(&cache, &files, view.clone())).collect();
        Self {
            nodes: setup.nodes.len(),
            quiet: !setup.background,
            name_holders: setup.name_holders,
            cache,
            files,
            views,
            _dir: dir,
        }
    }

    /// Everybody has let go: the books must balance, the stores have everything, all memory is
    /// free.
    pub fn finish(self) {
        let Self { cache, nodes, quiet, files, views, .. } = self;
        for node in 0..nodes {
            cache.undrain(refolio::NodeId(node as u8)).unwrap();
        }
        files.iter().for_each(Tested::compare);
        for file in &files {
            let poisoned: Vec<_> = file.poisoned.borrow().iter().copied().collect();
            for page in poisoned {
                file.writer().punch_hole(page * PAGE_SIZE as u64, PAGE_SIZE as u64).unwrap();
                let mut bytes = file.bytes.borrow_mut();
                let start = page as usize * PAGE_SIZE;
                let end = bytes.len().min(start + PAGE_SIZE);
                bytes[start..end].fill(0);
            }
            file.writer().sync().unwrap();
            same(&file.stored(), &file.bytes.borrow(), "the store");
        }
        let handles: Vec<_> = files.iter().map(Tested::writer).collect();
        if quiet {
            rest::check_clean(&cache);
            rest::check(&cache, &handles);
        }
        drop(views);
        assert_eq!(cache.nodes().iter().map(|node| node.nr_anon_pages).sum::<u64>(), 0);
        drop(files);
        rest::check_empty(&cache);
        done::count(&cache);
    }
}

fn open(cache: &Cache, setup: &FileSetup, path: PathBuf) -> Tested {
    let bytes: Vec<u8> = (0..setup.len).map(|at| ((at / 7) ^ (at >> 12)) as u8).collect();
    let options = OpenOptions::new().order(setup.order);
    let (handles, source, read_only_first) = match &setup.disk {
        None => {
            let store = MemStore::with_bytes(bytes.clone());
            let file = cache.open_store(store.clone(), &options).unwrap();
            (vec![file], Source::Memory(store), false)
        }
        Some(Disk { direct, read_only_first, handles }) => {
            std::fs::write(&path, &bytes).unwrap();
            let read_only = *read_only_first && *handles > 1;
            let opened = (0..*handles).map(|n| {
                let options = options.clone().direct(*direct).read_only(read_only && n == 0);
                cache.open_with(&path, &options).unwrap()
            });
            (opened.collect(), Source::Disk(path), read_only)
        }
    };
    Tested {
        handles,
        read_only_first,
        source,
        order: setup.order,
        bytes: RefCell::new(bytes),
        words: RefCell::default(),
        poisoned: RefCell::default(),
    }
}
