//! `refolio explain`: one page moves, with tracing on, and each step of the protocol is shown: what
//! it did, in which function, and the state of everything it may have changed, before and after.
//!
//! A view of the page is open meanwhile, so that a table entry can be seen to become a migration
//! entry and a present one again. With `--pin` another thread holds the page: then the tour shows
//! how far the migration gets, who is in its way, and how everything is taken back.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write;
use std::sync::mpsc;

use refolio::{
    Cache, Event, File, MemStore, Migrate, NodeId, NodeOptions, OpenOptions, Outcome, PAGE_SIZE,
    PageIndex, Report, Sharing, Step,
};

use super::migrate::inputs;
use crate::args;
use crate::exit::{Exit, Failure};
use crate::text;

/// Bytes in each node: little is needed for one page.
const NODE: u64 = 8 << 20;

/// Pages of the sample.
const SAMPLE: u64 = 64;

/// Runs the command.
pub fn run(args: &args::Explain) -> Result<Exit, Failure> {
    let path = args.path.as_deref();
    let pages = path.map_or(Ok(SAMPLE), |path| Ok(PageIndex::count(inputs::file(path)?.len)))?;
    if args.page >= pages {
        return Err(Failure::unusable(format!(
            "--page {}: the {} has {pages} pages, so give a number from 0 to {}",
            args.page,
            if path.is_some() { "file" } else { "sample" },
            pages - 1
        )));
    }
    let tour = tour(args).map_err(|error| Failure::broken("explaining", error))?;
    let lines = tour.lines.join("\n") + "\n";
    // A reader of it that has gone away is nobody's problem.
    let _ = std::io::stdout().write_all(lines.as_bytes());
    Ok(if tour.well { Exit::Well } else { Exit::Differs })
}

/// What is told, and whether it went as it should.
struct Tour {
    lines: Vec<String>,
    well: bool,
}

impl Tour {
    fn tell(&mut self, text: impl Display) {
        self.lines.extend(text::wrap(&text.to_string(), 0));
    }

    fn gap(&mut self) {
        self.lines.push(String::new());
    }
}

/// Moves the page under the eyes of a watcher.
fn tour(args: &args::Explain) -> refolio::Result<Tour> {
    let cache = Cache::builder()
        .node(NodeOptions::new(NODE).name("fast"))
        .node(NodeOptions::new(NODE).name("slow"))
        .build()?;
    let file = open(args, &cache)?;
    let name = args.path.as_ref().map_or("a sample".into(), |path| path.display().to_string());
    let view = file.view(args.page..args.page + 1, Sharing::Shared)?;
    let mut before = [0; PAGE_SIZE];
    let len = file.page(PageIndex(args.page))?.len();
    view.read(&mut before[..len], 0)?;

    let mut tour = Tour { lines: Vec::new(), well: false };
    let how = Migrate::default().mode(args.mode.into()).form(args.form.into());
    tour.tell(format_args!(
        "Page {} of {name} moves from node 0 (fast) to node 1 (slow). A view of it is open: one \
         table entry names it.",
        args.page
    ));
    let (report, events) = if args.pin {
        tour.tell("Meanwhile another thread holds a pin on it.");
        pinned(&file, args.page, &how)?
    } else {
        watched(&file, args.page, &how)?
    };
    steps(&events, &mut tour);
    outcome(&report, args.pin, &mut tour);
    if args.pin {
        let again = file.migrate(args.page..args.page + 1, NodeId(1), &how)?;
        tour.tell("The pin is dropped, and the same call made again.");
        outcome(&again, false, &mut tour);
    }
    let mut after = [0; PAGE_SIZE];
    view.read(&mut after[..len], 0)?;
    let same = before == after;
    tour.tell(format_args!(
        "Read through the view, the page holds {}.",
        if same { "the same bytes as before" } else { "OTHER BYTES THAN BEFORE" }
    ));
    tour.well &= same;
    Ok(tour)
}

/// The file named, or a sample in memory.
fn open(args: &args::Explain, cache: &Cache) -> refolio::Result<File> {
    if let Some(path) = &args.path {
        return cache.open_with(path, &OpenOptions::new().read_only(true));
    }
    let pages = (0..SAMPLE).flat_map(|page| [page as u8; PAGE_SIZE]);
    cache.open_store(MemStore::with_bytes(pages.collect()), &OpenOptions::new())
}

/// Migrates the page, and keeps what the watcher is told.
fn watched(file: &File, page: u64, how: &Migrate<'_>) -> refolio::Result<(Report, Vec<Event>)> {
    let events = RefCell::new(Vec::new());
    let watcher = |event: &Event| events.borrow_mut().push(event.clone());
    let report = file.migrate(page..page + 1, NodeId(1), &how.watch(&watcher))?;
    Ok((report, events.into_inner()))
}

/// The same, while a thread with a name holds a pin.
fn pinned(file: &File, page: u64, how: &Migrate<'_>) -> refolio::Result<(Report, Vec<Event>)> {
    let (tell, told) = mpsc::channel::<()>();
    let (release, released) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let holder = move || {
            let _pin = file.page(PageIndex(page));
            let _ = tell.send(());
            // Ends when the other end is dropped.
            let _ = released.recv();
        };
        let thread = std::thread::Builder::new().name("holder".into()).spawn_scoped(scope, holder);
        let _ = told.recv();
        let result = watched(file, page, how);
        drop(release);
        drop(thread);
        result
    })
}

/// Tells the steps of the first attempt, and how many more there were.
fn steps(events: &[Event], tour: &mut Tour) {
    let end = events.iter().position(|event| event.step == Step::Undo);
    let first = end.map_or(events.len(), |end| end + 1);
    for (number, event) in (1..).zip(&events[..first]) {
        tour.gap();
        let number = if event.step == Step::Undo { "".into() } else { format!("{number} ") };
        let title = format!("── {number}{} ", event.step);
        let function = format!(" {} ──", event.function);
        let line = text::COLUMNS - title.chars().count() - function.chars().count();
        tour.lines.push(format!("{title}{}{function}", "─".repeat(line)));
        tour.lines.extend(text::wrap(&event.what, 3));
        changes(event, tour);
    }
    let more = events[first..].iter().filter(|event| event.step == Step::Undo).count();
    if more > 0 {
        tour.gap();
        tour.tell(format_args!("{more} more passes went the same way."));
    }
    tour.gap();
}

/// Tells how things stand, and how they stood where that was different.
fn changes(event: &Event, tour: &mut Tour) {
    let (before, after) = (event.before.as_ref(), &event.after);
    let show = |thing: Option<&dyn Display>| thing.map(ToString::to_string);
    let mut row = |label: &str, before: Option<String>, after: Option<String>| {
        let Some(after) = after else { return };
        match before {
            Some(before) if before != after => {
                tour.lines.push(format!("   {label:<12}{before}"));
                tour.lines.push(format!("   {:>11} {after}", "→"));
            }
            _ => tour.lines.push(format!("   {label:<12}{after}")),
        }
    };
    row("source", show(before.map(|b| &b.source as _)), show(Some(&after.source)));
    let destination = |look: &refolio::Look| look.destination.as_ref().map(ToString::to_string);
    row("destination", before.and_then(destination), destination(after));
    row("table entry", before.and_then(|b| b.entry.clone()), after.entry.clone());
    let slot = |look: &refolio::Look| look.slot.map(|frame| format!("frame {}", frame.0));
    row("file's slot", before.and_then(slot), slot(after));
    row("frozen for", None, event.frozen.map(|time| text::time(time.as_nanos() as u64)));
}

/// Tells what became of the page.
fn outcome(report: &Report, held: bool, tour: &mut Tour) {
    let Some(page) = report.outcomes.first() else {
        tour.tell("The page was not there to be moved.");
        return;
    };
    tour.tell(format_args!(
        "Outcome: {} ({}).",
        page.outcome,
        text::time(report.elapsed.as_nanos() as u64)
    ));
    tour.well = match page.outcome {
        Outcome::Moved { .. } => !held,
        Outcome::Busy { .. } => held,
        _ => false,
    };
}
