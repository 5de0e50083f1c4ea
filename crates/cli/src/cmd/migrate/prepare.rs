//! What is on the disk before the cache opens it: the sample, or the user's files, hashed page by
//! page, and scratch copies of them for the writers.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use refolio::PAGE_SIZE;

use super::inputs::{Input, Inputs};
use super::progress::Progress;
use super::stamp::{LINE, Stamp, hash, mix};
use crate::exit::Failure;
use crate::signal::{self, Scratch};
use crate::size;

/// Bytes read, written or moved between two looks at the signals.
pub const CHUNK: usize = 8 << 20;

/// One block in so many is written, in a file that has clean and dirty pages.
const SOME: u64 = 4;

/// What the pages of a file hold before anybody writes.
#[derive(Clone, Debug)]
pub enum Content {
    /// Stamps of generation 0.
    Stamped,
    /// Bytes that are not ours: their hashes, page by page.
    Original(Arc<[PageHash]>),
}

impl Content {
    /// Whether these bytes, a page or its checked line, are what a page that is not ours held.
    pub fn is_original(&self, page: u64, page_len: usize, bytes: &[u8]) -> bool {
        let Self::Original(hashes) = self else { return false };
        let known = hashes[page as usize];
        hash(bytes) == if bytes.len() == page_len { known.page } else { known.line }
    }
}

/// What is remembered of a page that is not ours.
#[derive(Clone, Copy, Debug)]
pub struct PageHash {
    /// Of all its bytes.
    pub page: u64,
    /// Of one of its lines, so that a short read can be checked as well.
    pub line: u64,
}

impl PageHash {
    /// Of page `index`, whose bytes these are.
    pub fn of(index: u64, bytes: &[u8]) -> Self {
        let line = &bytes[checked_line(index, bytes.len())..];
        Self { page: hash(bytes), line: hash(&line[..line.len().min(LINE)]) }
    }
}

/// Where in a page of `len` bytes the line is whose hash is kept.
pub fn checked_line(index: u64, len: usize) -> usize {
    mix(index) as usize % len.div_ceil(LINE) * LINE
}

/// A file ready to be opened in the cache.
#[derive(Debug)]
pub struct Prepared {
    /// What messages call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
    /// When it was last written, if it is a file that only others write.
    pub modified: Option<SystemTime>,
    /// What it holds.
    pub content: Content,
    /// Another file with the same bytes, to find out where a changed page has changed.
    pub twin: Option<PathBuf>,
    /// One block in so many is written; 0: none.
    pub every: u64,
}

/// Makes a sample of `len` bytes.
pub fn sample(
    len: u64,
    seed: u64,
    folder: &Scratch,
    progress: &mut Progress,
) -> Result<Prepared, Failure> {
    need_space(folder.path(), len)?;
    progress.step(&format!("making a sample in {}", folder.path().display()));
    let path = folder.path().join("sample");
    let failed = |error| Failure::broken(format!("writing {}", path.display()), error);
    let mut file = File::create(&path).map_err(failed)?;
    let mut bytes = vec![0; CHUNK];
    for start in (0..len).step_by(CHUNK) {
        proceed()?;
        let chunk = &mut bytes[..(len - start).min(CHUNK as u64) as usize];
        for (page, into) in (start / PAGE_SIZE as u64..).zip(chunk.chunks_mut(PAGE_SIZE)) {
            Stamp { subject: 0, page, generation: 0 }.fill(seed, into);
        }
        file.write_all(chunk).map_err(failed)?;
        progress.tick(|| format!("making a sample of {}", size::show(len)), start, len);
    }
    let content = Content::Stamped;
    Ok(Prepared {
        name: "sample".into(),
        path,
        len,
        modified: None,
        content,
        twin: None,
        every: SOME,
    })
}

/// Hashes the files and copies them for the writers, or hands them to the writers.
pub fn originals(
    inputs: &Inputs,
    copy_to: Option<&Scratch>,
    write: bool,
    progress: &mut Progress,
) -> Result<Vec<Prepared>, Failure> {
    let bytes = inputs.bytes();
    if let Some(folder) = copy_to {
        need_space(folder.path(), bytes)?;
    }
    let mut prepared = Vec::new();
    let mut done = 0;
    for (number, input) in inputs.files.iter().enumerate() {
        let name = input.path.display().to_string();
        let copy = copy_to.map(|folder| folder.path().join(format!("copy-{number}")));
        let mut step = |now| {
            let text = || format!("reading {} of files once, to know them", size::show(bytes));
            progress.tick(text, done + now, bytes);
        };
        let content = Content::Original(read_once(input, copy.as_deref(), &mut step)?);
        done += input.len;
        if let Some(path) = copy {
            prepared.push(Prepared {
                name: format!("the scratch copy of {name}"),
                path,
                len: input.len,
                modified: None,
                content: content.clone(),
                twin: Some(input.path.clone()),
                every: 1,
            });
        }
        prepared.push(Prepared {
            name,
            path: input.path.clone(),
            len: input.len,
            modified: if write { None } else { input.modified },
            content,
            twin: None,
            every: if write { SOME } else { 0 },
        });
    }
    Ok(prepared)
}

/// Reads a file from end to end: hashes its pages, and writes a copy if asked to.
fn read_once(
    input: &Input,
    copy: Option<&Path>,
    step: &mut dyn FnMut(u64),
) -> Result<Arc<[PageHash]>, Failure> {
    let name = input.path.display();
    let file =
        File::open(&input.path).map_err(|error| Failure::unusable(format!("{name}: {error}")))?;
    let copying = |error| Failure::broken(format!("making a scratch copy of {name}"), error);
    let copy = copy.map(File::create).transpose().map_err(copying)?;
    let mut hashes = Vec::with_capacity(input.len.div_ceil(PAGE_SIZE as u64) as usize);
    let mut bytes = vec![0; CHUNK.min(input.len as usize)];
    for start in (0..input.len).step_by(CHUNK) {
        proceed()?;
        let chunk = &mut bytes[..(input.len - start).min(CHUNK as u64) as usize];
        file.read_exact_at(chunk, start).map_err(|error| {
            Failure::unusable(format!(
                "{name}: {error} while reading bytes {start} to {}: it is no ordinary file, or \
                 somebody is changing it",
                start + chunk.len() as u64
            ))
        })?;
        hashes.extend(
            chunk
                .chunks(PAGE_SIZE)
                .enumerate()
                .map(|(i, page)| PageHash::of(start / PAGE_SIZE as u64 + i as u64, page)),
        );
        if let Some(copy) = &copy {
            copy.write_all_at(chunk, start).map_err(copying)?;
        }
        step(start);
    }
    Ok(hashes.into())
}

/// Refuses to begin what would end on a full disk.
fn need_space(folder: &Path, bytes: u64) -> Result<(), Failure> {
    let about = rustix::fs::statvfs(folder)
        .map_err(|error| Failure::broken(format!("looking at {}", folder.display()), error))?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    if free < bytes.saturating_add(16 << 20) {
        return Err(Failure::unusable(format!(
            "{} has {} free, and {} are needed: set TMPDIR to a folder with more space, or give \
             --writers 0 (nothing is copied then)",
            folder.display(),
            size::show(free),
            size::show(bytes)
        )));
    }
    Ok(())
}

fn proceed() -> Result<(), Failure> {
    if signal::stopped() { Err(Failure::interrupted()) } else { Ok(()) }
}
