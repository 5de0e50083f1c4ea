//! Which random operations to play, and how to play them again.
//!
//! `REFOLIO_SEED` is the seed of the first round (random by default), `REFOLIO_OPS` how many
//! operations to play in all. Every failure names the seed of its round, with which it is the first
//! one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub ops: u64,
}

impl Plan {
    /// What the environment asks for; `ops` operations where it does not say.
    pub fn from_env(ops: u64) -> Self {
        let number = |name| {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        let seed = number("REFOLIO_SEED").unwrap_or_else(|| fastrand::u64(0..1 << 32));
        Self { seed, ops: number("REFOLIO_OPS").unwrap_or(ops) }
    }

    /// Plays rounds until there were enough operations; `round` plays one and says how many it had.
    pub fn play(self, test: &'static str, mut round: impl FnMut(u64) -> u64) {
        let start = Instant::now();
        let _dog = Watchdog::new();
        let (mut played, mut rounds) = (0, 0);
        while played < self.ops {
            let seed = self.seed.wrapping_add(rounds);
            let replay = Replay { test, seed };
            *NOW.lock().unwrap() = replay.to_string();
            played += round(seed);
            rounds += 1;
            std::mem::forget(replay);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{test}: {played} operations in {rounds} rounds from seed {} on, {seconds:.1} s",
            self.seed
        );
    }
}

/// Says how to see a failure again, when it happens.
struct Replay {
    test: &'static str,
    seed: u64,
}

impl std::fmt::Display for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { test, seed } = self;
        write!(
            f,
            "again: REFOLIO_SEED={seed} REFOLIO_OPS=1 cargo test -p refolio {test} -- --nocapture"
        )
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        eprintln!("{self}");
    }
}

static NOW: Mutex<String> = Mutex::new(String::new());
static STEPS: AtomicU64 = AtomicU64::new(0);
static LATEST: Mutex<String> = Mutex::new(String::new());

/// A step was made: nobody hangs.
pub fn step() {
    STEPS.fetch_add(1, Relaxed);
}

/// The step that is about to be made, for the report of a hang.
pub fn about_to(what: impl FnOnce() -> String) {
    *LATEST.lock().unwrap() = what();
    step();
}

/// Ends the process, with a report, when no step is made for a minute.
struct Watchdog(std::sync::Arc<AtomicBool>);

/// Longer than any step takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Watchdog {
    fn new() -> Self {
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let (stop, mut seen, mut since) = (over.clone(), 0, Instant::now());
        std::thread::spawn(move || {
            while !stop.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let steps = STEPS.load(Relaxed);
                if steps != seen {
                    (seen, since) = (steps, Instant::now());
                } else if since.elapsed() > PATIENCE {
                    let (now, latest) = (NOW.lock().unwrap(), LATEST.lock().unwrap());
                    eprintln!("no step for {PATIENCE:?}, the last one being {latest}\n{now}");
                    std::process::abort();
                }
            }
        });
        Self(over)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
