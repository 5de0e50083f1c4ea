//! From the steps of a trace to the lines of a picture: what repeats, and what says nothing new, is
//! left out, and then as much of the rest as it takes to fit on a screen.
//!
//! 1. Steps that repeat, as in a loop, are told once, with how often.
//! 2. A thread's look at what it has seen or left itself, and nobody has changed since, tells
//!    nothing; nor do the locks of the lists, nor a store of what was there before.
//! 3. While there are too many lines: what the other threads never use goes, looks first. What two
//!    threads use and one of them changes is the story, and stays.
//! 4. Steps of one thread on one thing that follow each other are one line.

use std::collections::{HashMap, HashSet};

use refolio_explore::{Told, Trace};

use super::Line;

/// Lines that fit on a screen of 45, with the head and the foot of the picture.
const MOST: usize = 36;

/// The longest loop that is looked for, in steps.
const LONGEST_LOOP: usize = 48;

/// More turns than a thread takes that waits for another one for a moment.
const MANY: usize = 9;

/// The longest line that steps are put together on, in characters.
const LONGEST_LINE: usize = 44;

/// One step.
#[derive(Clone, Debug)]
struct Step {
    thread: usize,
    /// The thing it uses; None where it speaks.
    name: Option<String>,
    text: String,
    used: Option<(usize, bool)>,
    at: String,
    /// Which stretch of one thread it belongs to, and whether that preempts the one before.
    stretch: usize,
    preempts: bool,
}

/// How much a step tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Nothing,
    OwnLook,
    OwnChange,
    Look,
    Change,
    Words,
}

/// The lines of a trace, from where it has two threads on.
pub(super) fn lines(trace: &Trace) -> Vec<Line> {
    let steps = unrolled(steps(trace));
    let mut kept: Vec<(usize, Worth)> = worth(&steps).into_iter().enumerate().collect();
    // The last step is the one after which the rule was found to be broken.
    kept.retain(|(at, worth)| *worth > Worth::Nothing || at + 1 == steps.len());
    let mut least: Vec<_> = kept.iter().filter(|(at, _)| at + 1 < steps.len()).collect();
    least.sort_by_key(|(at, worth)| (*worth, *at));
    let least: Vec<_> = least.into_iter().filter(|(_, worth)| *worth < Worth::Change).collect();
    let held = held(&steps);
    let without = |count: usize| {
        let mut gone: HashSet<_> = least[..count].iter().map(|(at, _)| *at).collect();
        for (lock, unlock) in &held {
            if gone.contains(lock) && unlock + 1 < steps.len() {
                gone.insert(*unlock);
            }
        }
        let left = kept.iter().filter(|(at, _)| !gone.contains(at));
        merged(left.map(|(at, _)| &steps[*at]))
    };
    let counts: Vec<usize> = (0..=least.len()).collect();
    let enough = counts.partition_point(|count| height(&without(*count)) > MOST);
    cut(without(enough.min(least.len())))
}

/// Lines, and the rules between them.
fn height(lines: &[Line]) -> usize {
    lines.len() + lines.iter().filter(|line| line.preempts.is_some()).count()
}

fn steps(trace: &Trace) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for event in &trace.events[trace.alone..] {
        let (name, text) = match &event.told {
            Told::Operation(name, what) => (Some(name.clone()), what.clone()),
            Told::Narration(said) => (None, said.clone()),
        };
        let (stretch, preempts) = match steps.last() {
            Some(last) if last.thread == event.thread => (last.stretch, last.preempts),
            Some(last) => (last.stretch + 1, event.preempts),
            None => (0, false),
        };
        let file = event.at.file().rsplit('/').next().unwrap_or_default();
        let at = format!("{file}:{}", event.at.line());
        let (thread, used) = (event.thread, event.used);
        steps.push(Step { thread, name, text, used, at, stretch, preempts });
    }
    steps
}

/// Loops told once.
fn unrolled(steps: Vec<Step>) -> Vec<Step> {
    let same = |a: &Step, b: &Step| (a.stretch, &a.name, &a.text) == (b.stretch, &b.name, &b.text);
    let mut told = Vec::new();
    let mut rest = &steps[..];
    while let Some(first) = rest.first() {
        let found = (1..=LONGEST_LOOP.min(rest.len() / 2)).find_map(|len| {
            let body = &rest[..len];
            let is_same = |turn: &&[Step]| turn.iter().zip(body).all(|(a, b)| same(a, b));
            let turns = rest.chunks_exact(len).take_while(is_same).count();
            let words = body.iter().all(|step| is_bytes(&step.text));
            (turns >= if len > 1 && !words { 3 } else { 2 }).then_some((len, turns))
        });
        let Some((len, turns)) = found else {
            told.push(first.clone());
            rest = &rest[1..];
            continue;
        };
        told.extend(once(&rest[..len], turns));
        rest = &rest[len * turns..];
    }
    told
}

/// Words of a frame.
fn is_bytes(text: &str) -> bool {
    text.starts_with("bytes ")
}

/// The body of a loop, and how often it is run.
fn once(body: &[Step], turns: usize) -> Vec<Step> {
    let mut told = body.to_vec();
    let words = body.iter().all(|step| is_bytes(&step.text));
    let changes = body.iter().any(|step| step.used.is_some_and(|(_, changed)| changed));
    match body {
        [word] if words => {
            told[0].text = format!("{} ({turns} words)", word.text);
        }
        [from, to] if words => {
            let names = [from, to].map(|step| step.name.clone().unwrap_or_default());
            let bytes = from.text.trim_start_matches("bytes ");
            told.remove(0);
            told[0].text = format!("{turns} words copied from {} ({bytes})", names[0]);
        }
        [step] => told[0].text = format!("{} ({turns} times)", step.text),
        // (Looks in vain are known to be so, if they are few.)
        [first, ..] if changes || turns > MANY => {
            let text = format!("and so on, {turns} times");
            told.push(Step { name: None, text, used: None, ..first.clone() });
        }
        _ => {}
    }
    told
}

/// Locks under which only lists change: who holds them meets nobody in the protocol.
const QUIET: [&str; 3] = ["lru of", "free list of", "wait queue"];

fn worth(steps: &[Step]) -> Vec<Worth> {
    let mut users: HashMap<usize, (HashSet<usize>, bool)> = HashMap::new();
    for step in steps {
        if let Some((object, changed)) = step.used {
            let (threads, changes) = users.entry(object).or_default();
            threads.insert(step.thread);
            *changes |= changed;
        }
    }
    let is_shared =
        |object: usize| users.get(&object).is_some_and(|(all, changes)| all.len() > 1 && *changes);
    let mut changes: HashMap<usize, u32> = HashMap::new();
    let mut seen: HashMap<(usize, usize), u32> = HashMap::new();
    let mut judge = |step: &Step| {
        let Some((object, changed)) = step.used else { return Worth::Words };
        let now = changes.entry(object).or_default();
        *now += u32::from(changed);
        let before = seen.insert((step.thread, object), *now);
        let name = step.name.as_deref().unwrap_or_default();
        let sleeps = step.text == "sleep" || step.text == "wake the sleepers";
        let is_quiet = QUIET.iter().any(|quiet| name.starts_with(quiet)) && !sleeps;
        let is_known = !changed && before == Some(*now) && !step.text.starts_with("refused");
        match (changed, is_shared(object)) {
            _ if is_quiet || is_known => Worth::Nothing,
            (false, _) if step.text.starts_with("still ") => Worth::Nothing,
            (true, true) => Worth::Change,
            (false, true) => Worth::Look,
            (true, false) => Worth::OwnChange,
            (false, false) => Worth::OwnLook,
        }
    };
    let mut worth: Vec<Worth> = steps.iter().map(&mut judge).collect();
    for at in 1..steps.len() {
        let (refused, said) = (&steps[at - 1], &steps[at]);
        let is_explained = said.name.is_none() && said.text.contains(" fails");
        if is_explained && refused.stretch == said.stretch {
            worth[at - 1] = Worth::Nothing;
        }
    }
    for (lock, unlock) in held(steps) {
        // Under which nothing worth telling is done, by anybody.
        if worth[lock + 1..unlock].iter().all(|between| *between <= Worth::OwnLook) {
            (worth[lock], worth[unlock]) = (Worth::Nothing, Worth::Nothing);
        }
    }
    worth
}

/// Where a lock is taken, and where it is given back.
fn held(steps: &[Step]) -> Vec<(usize, usize)> {
    let mut taken: HashMap<(usize, usize), usize> = HashMap::new();
    let mut held = Vec::new();
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| is_lock(step)) {
        let Some((lock, _)) = step.used else { continue };
        if step.text.starts_with("lock") {
            taken.insert((step.thread, lock), at);
        } else if step.text == "unlock" {
            held.extend(taken.remove(&(step.thread, lock)).map(|taken| (taken, at)));
        }
    }
    held
}

/// Steps that belong together on one line.
fn merged<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut last: Option<&Step> = None;
    for step in steps {
        let changes = step.used.is_some_and(|(_, changed)| changed) && !is_lock(step);
        let stays = last.is_some_and(|last| last.stretch == step.stretch);
        let previous = lines.last_mut().filter(|_| stays);
        if let (Some(line), Some(last)) = (previous, last)
            && last.name == step.name
            && !is_lock(step)
            && line.text.chars().count() + step.text.chars().count() + 2 <= LONGEST_LINE
        {
            line.text = format!("{}, {}", line.text, step.text);
            line.changes |= changes;
            continue;
        }
        let before = last.filter(|last| step.preempts && last.thread != step.thread);
        lines.push(Line {
            thread: step.thread,
            text: sentence(step),
            is_said: step.name.is_none(),
            changes,
            at: step.at.clone(),
            preempts: before.map(|before| before.thread),
        });
        last = Some(step);
    }
    lines
}

/// Whether the step is one on a lock or a queue, which have no value: the verb comes first then.
fn is_lock(step: &Step) -> bool {
    let verbs = ["lock", "lock, shared", "unlock", "sleep", "wake the sleepers", "nobody sleeps"];
    let is_folio = step.name.as_deref().is_some_and(|name| name.starts_with("folio"));
    !is_folio && verbs.contains(&step.text.as_str())
}

fn sentence(step: &Step) -> String {
    match &step.name {
        None => step.text.clone(),
        Some(name) if is_lock(step) => match step.text.as_str() {
            "lock, shared" => format!("lock {name}, shared"),
            "sleep" => format!("sleep in the {name}"),
            "wake the sleepers" => format!("wake the {name}"),
            verb => format!("{verb} {name}"),
        },
        Some(name) => format!("{name}: {}", step.text),
    }
}

/// The beginning and the end, where even the story is too long.
fn cut(mut lines: Vec<Line>) -> Vec<Line> {
    const BEGINNING: usize = MOST / 3;
    if height(&lines) <= MOST {
        return lines;
    }
    let mut left_out = 0;
    while height(&lines) >= MOST {
        lines.remove(BEGINNING);
        left_out += 1;
    }
    let text = format!("… {left_out} lines are left out …");
    let thread = lines[BEGINNING].thread;
    let (is_said, changes, at) = (true, false, String::new());
    let gap = Line { thread, text, is_said, changes, at, preempts: None };
    lines.insert(BEGINNING, gap);
    lines
}
