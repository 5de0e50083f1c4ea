//! Kinds of memory: the rows of the matrix.

use super::machine::Fs;

/// In which state a file's pages are, and how they are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Written back after nearly every write.
    Clean,
    /// Not written back.
    Dirty,
    /// Being written back, again and again.
    Writeback,
    /// With holes.
    Sparse,
    /// Mapped for reading only; written by calls.
    ReadOnly,
    /// Not mapped at all: only in the page cache.
    Unmapped,
    /// Mapped privately, and not copied.
    Private,
    /// Mapped privately, and copied by a write.
    Cow,
    /// In large folios.
    Large,
}

impl State {
    const ALL: [Self; 9] = [
        Self::Clean,
        Self::Dirty,
        Self::Writeback,
        Self::Sparse,
        Self::ReadOnly,
        Self::Unmapped,
        Self::Private,
        Self::Cow,
        Self::Large,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Dirty => "dirty",
            Self::Writeback => "writeback",
            Self::Sparse => "sparse",
            Self::ReadOnly => "read-only",
            Self::Unmapped => "unmapped",
            Self::Private => "private",
            Self::Cow => "cow",
            Self::Large => "large",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Clean => "a clean page of a shared file",
            Self::Dirty => "a dirty page of a shared file",
            Self::Writeback => "a page under writeback of a shared file",
            Self::Sparse => "a page of a shared file with holes",
            Self::ReadOnly => "a page of a file that is mapped for reading only",
            Self::Unmapped => "a page of a file that nobody maps",
            Self::Private => {
                "a page of a file that is mapped privately and was never written there"
            }
            Self::Cow => "a private copy of a page of a file",
            Self::Large => "a large folio of a shared file",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Clean => "mm/migrate.c, __folio_migrate_mapping: the freeze, and no stale slot",
            Self::Dirty => {
                "mm/migrate.c (7.3: 649): dirty moves while frozen; 42cb14b110a5, CVE-2016-3070"
            }
            Self::Writeback => {
                "mm/migrate.c: wait for writeback, or EBUSY; the device reads freed memory else"
            }
            Self::Sparse => "mm/truncate.c (170): removers hold the folio lock",
            Self::ReadOnly => "96a9c287e25d: a read-only page got writable on restore",
            Self::Unmapped => "mm/migrate.c: 0ef024621417, the check of file-backed pages",
            Self::Private => "mm/rmap.c: every private mapping of the page finds the new one",
            Self::Cow => "mm/memory.c: a copy belongs to its process alone",
            Self::Large => "60cf233b585c, fc346d0a70a1: 1 of N slots replaced",
        }
    }
}

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Anon,
    AnonShared,
    Memfd,
    MemfdHuge,
    Thp,
    Hugetlb,
    Ksm,
    SwapCache,
    Mlocked,
    File(Fs, State),
}

impl Kind {
    /// All of them, in the order of the rows.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Anon,
            Self::AnonShared,
            Self::Memfd,
            Self::MemfdHuge,
            Self::Thp,
            Self::Hugetlb,
            Self::Ksm,
            Self::SwapCache,
            Self::Mlocked,
        ];
        for fs in Fs::ALL {
            // Tmpfs has nothing behind it: its pages are neither clean nor written back.
            let applies = |state: &State| {
                fs != Fs::Tmpfs || !matches!(state, State::Clean | State::Writeback | State::Large)
            };
            all.extend(State::ALL.into_iter().filter(applies).map(|state| Self::File(fs, state)));
        }
        all
    }

    pub fn name(self) -> String {
        match self {
            Self::Anon => "anon".into(),
            Self::AnonShared => "anon-shared".into(),
            Self::Memfd => "memfd".into(),
            Self::MemfdHuge => "memfd-huge".into(),
            Self::Thp => "thp".into(),
            Self::Hugetlb => "hugetlb".into(),
            Self::Ksm => "ksm".into(),
            Self::SwapCache => "swap-cache".into(),
            Self::Mlocked => "mlocked".into(),
            Self::File(fs, state) => format!("{}-{}", fs.name(), state.name()),
        }
    }

    /// What one of its pages is, in a claim.
    pub fn noun(self) -> String {
        match self {
            Self::Anon => "an anonymous page".into(),
            Self::AnonShared => "a shared anonymous page".into(),
            Self::Memfd => "a page of a memfd".into(),
            Self::MemfdHuge => "a huge page of a memfd".into(),
            Self::Thp => "a transparent huge page".into(),
            Self::Hugetlb => "a huge page of the pool".into(),
            Self::Ksm => "a page that KSM has merged".into(),
            Self::SwapCache => "a page in the swap cache".into(),
            Self::Mlocked => "a page locked in memory".into(),
            Self::File(fs, state) => format!("{} on {}", state.noun(), fs.name()),
        }
    }

    /// Where that is known from.
    pub fn source(self) -> &'static str {
        match self {
            Self::Anon => {
                "mm/migrate.c (7.3: 592): a pin of an anonymous page is seen by its count"
            }
            Self::AnonShared | Self::Memfd => "mm/shmem.c: migrate_folio is its migration",
            Self::MemfdHuge => "60cf233b585c: a huge page of shmem was stored N times",
            Self::Thp => "be6e843fc51a, f8f931bba0f9: huge entries, and the deferred split queue",
            Self::Hugetlb => "4643d67e8cb0, 4a705fef9862: faults and forks meet migration entries",
            Self::Ksm => "4b0ece6fa016: the linear index was used in remove_migration_pte",
            Self::SwapCache => "fc346d0a70a1: all slots of the swap cache are replaced",
            Self::Mlocked => "mm/migrate.c (7.3: 1150): the new page is on the unevictable list",
            Self::File(_, state) => state.source(),
        }
    }

    pub fn state(self) -> Option<State> {
        match self {
            Self::File(_, state) => Some(state),
            _ => None,
        }
    }

    /// Whether its pages are a file's, which calls read and write.
    pub fn has_file(self) -> bool {
        matches!(self, Self::Memfd | Self::MemfdHuge)
            || self.state().is_some_and(|state| state != State::Cow)
    }

    /// Whether there is a disk behind the file.
    pub fn has_disk(self) -> bool {
        matches!(self, Self::File(fs, _) if fs != Fs::Tmpfs) && self.has_file()
    }

    /// Whether it has a mapping.
    pub fn is_mapped(self) -> bool {
        self.state() != Some(State::Unmapped)
    }

    /// Whether the mapping takes stores, and they reach the pages that are moved.
    pub fn takes_stores(self) -> bool {
        let never = [State::ReadOnly, State::Unmapped, State::Private];
        self.state().is_none_or(|state| !never.contains(&state))
    }

    /// Whether its bytes are gone when its pages are dropped from the page table.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Anon | Self::Thp | Self::Hugetlb | Self::Ksm | Self::SwapCache)
            || matches!(self, Self::Mlocked)
            || self.state() == Some(State::Cow)
    }

    /// Whether nothing is left of it when it is unmapped.
    pub fn goes_with_its_mapping(self) -> bool {
        self.is_private() || self == Self::AnonShared
    }

    /// Whether it is made of huge pages, or large folios.
    pub fn is_huge(self) -> bool {
        matches!(self, Self::Thp | Self::Hugetlb | Self::MemfdHuge)
            || self.state() == Some(State::Large)
    }
}
