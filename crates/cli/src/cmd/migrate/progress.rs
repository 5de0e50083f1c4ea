//! What is happening, on standard error: one live line on a terminal, a plain line every second
//! anywhere else.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::signal::tell;

const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The live line, or the plain ones.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Looks where standard error goes.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            let bar = ProgressBar::new_spinner();
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, told: Instant::now() }
    }

    /// Something is done, and stays on the screen.
    pub fn step(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(line)),
            None => tell(line),
        }
    }

    /// Something goes on: `done` of `all`, in any unit.
    pub fn tick(&mut self, doing: impl Fn() -> String, done: u64, all: u64) {
        self.now(|| format!("{}: {} %", doing(), done * 100 / all.max(1)));
    }

    /// Something goes on that has no end to be a fraction of.
    pub fn now(&mut self, line: impl Fn() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(line());
            bar.tick();
        } else if self.told.elapsed() >= BETWEEN_LINES {
            self.told = Instant::now();
            tell(&line());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
