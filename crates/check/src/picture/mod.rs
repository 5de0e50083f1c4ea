//! A counterexample as a picture that a person can read: a column for each thread, a line for each
//! step in the words of the protocol, the preemptions, and the rule that is broken at the end.
//!
//! [`Picture::of`] makes it of a trace, and leaves out what does not matter (`fold.rs`), so that it
//! fits on a screen. It is drawn as text, as SVG, and as a page of HTML.

mod fold;
pub mod html;
pub mod svg;
pub mod text;

use refolio_explore::Trace;

/// A line of a picture: a step, or several of one thread that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose column it is in.
    pub thread: usize,
    /// What the thread did, or said.
    pub text: String,
    /// Words of the thread's own: a step of the protocol begins, or an outcome.
    pub is_said: bool,
    /// Something is not what it was before.
    pub changes: bool,
    /// Where in the source: file and line.
    pub at: String,
    /// The thread whose place this one takes, though it could have gone on.
    pub preempts: Option<usize>,
}

/// A counterexample, ready to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What was searched, and what was broken.
    pub title: String,
    /// What each thread is called.
    pub threads: Vec<String>,
    /// What they did, in the order of time.
    pub lines: Vec<Line>,
    /// How many steps were told, before they became lines.
    pub steps: usize,
    /// How often a thread was preempted in the whole execution.
    pub preemptions: u32,
    /// The rule that is broken at the end; empty, if none is.
    pub rule: String,
    /// The command, or the schedule, that plays it again.
    pub replay: String,
}

impl Picture {
    /// The picture of an execution. Threads beyond those named are called by their number.
    pub fn of(trace: &Trace, title: &str, threads: &[&str], replay: String) -> Self {
        let named = |number: usize| match threads.get(number) {
            Some(name) => (*name).to_owned(),
            None => format!("thread {number}"),
        };
        Self {
            title: title.into(),
            threads: (0..trace.threads.max(1)).map(named).collect(),
            lines: fold::lines(trace),
            steps: trace.events.len() - trace.alone,
            preemptions: trace.preemptions,
            rule: trace.violation.as_deref().map(rule).unwrap_or_default(),
            replay,
        }
    }

    /// What came of it, after a sign for it.
    fn verdict(&self) -> String {
        match self.rule.as_str() {
            "" => "✓ no rule is broken".into(),
            rule => format!("✗ {rule}"),
        }
    }

    /// What was left out, in one sentence.
    fn shown(&self) -> String {
        let times = match self.preemptions {
            0 => "no preemption".into(),
            1 => "1 preemption".into(),
            times => format!("{times} preemptions"),
        };
        format!("{} lines for {} steps, {times}", self.lines.len(), self.steps)
    }
}

/// The rule, on one line, without the words of the assertion.
fn rule(said: &str) -> String {
    let mut lines = said.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = match first.strip_prefix("assertion `") {
        Some(rest) => rest.split_once("failed: ").map_or(first, |(_, rule)| rule),
        None => first,
    };
    let rest: Vec<_> = lines.collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
    counted(&format!("{first}{rest}"))
}

/// Equal items of a list told once: `[16 × 10]` for a page full of it.
fn counted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, (list, after))) =
        rest.split_once('[').and_then(|(before, list)| Some((before, list.split_once(']')?)))
    {
        let items: Vec<&str> = list.split(", ").collect();
        let runs = items.chunk_by(|a, b| a == b).map(|run| match run {
            [one] => (*one).to_owned(),
            [one, ..] => format!("{} × {one}", run.len()),
            [] => String::new(),
        });
        out += &format!("{before}[{}]", runs.collect::<Vec<_>>().join(", "));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests;
