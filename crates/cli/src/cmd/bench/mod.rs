//! `refolio bench`: Refolio beside the limits of the machine, and beside what one would use instead.

pub mod args;
mod ground;
mod output;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use refolio_bench::{Error, Host, Plan, Results, Suite};

use crate::cmd::migrate::progress::Progress;
use crate::exit::{Exit, Failure};
use crate::signal;
use args::Bench;

/// Runs the command.
pub fn run(args: &Bench) -> Result<Exit, Failure> {
    signal::listen()?;
    output::check(args)?;
    let ground = ground::Ground::new(args)?;
    let suites = args.suite.map_or(Suite::ALL.to_vec(), |suite| vec![suite.0]);
    let teller = Teller(RefCell::new(Progress::new()));
    teller.step(&said_before(args, &suites, &ground));
    let mut measured: Vec<Results> = Vec::new();
    let ended = suites.iter().try_for_each(|suite| {
        let start = Instant::now();
        let results = measure(*suite, &ground.plan(*suite), &teller)?;
        let is_complete = results.complete;
        measured.push(results);
        if !is_complete {
            return Err(Failure::stopped("interrupted; what was complete until then is shown"));
        }
        teller.step(&format!("{}: {} s", suite.name(), start.elapsed().as_secs()));
        Ok(())
    });
    drop(teller);
    output::tell(args, &measured)?;
    ended?;
    match args.strict && is_any_missed(&measured) {
        true => Ok(Exit::Differs),
        false => Ok(Exit::Well),
    }
}

fn measure(suite: Suite, plan: &Plan, teller: &Teller) -> Result<Results, Failure> {
    refolio_bench::run(suite, plan, teller).map_err(|error| match error {
        Error::Stopped => Failure::stopped("interrupted before anything was measured"),
        Error::Unusable(line) => Failure::unusable(format!("bench {}: {line}", suite.name())),
        Error::Failed(line) => Failure::broken(format!("bench {}", suite.name()), line),
    })
}

fn is_any_missed(measured: &[Results]) -> bool {
    let mut goals = measured.iter().flat_map(|results| &results.groups).flat_map(|g| &g.goals);
    goals.any(|goal| goal.met == Some(false))
}

/// How long it will take, and what is not in it.
fn said_before(args: &Bench, suites: &[Suite], ground: &ground::Ground) -> String {
    let all: Duration = suites.iter().map(|suite| suite.estimate(&ground.plan(*suite))).sum();
    let time = match all.as_secs() {
        0..100 => format!("{} s", all.as_secs().max(1)),
        seconds => format!("{} min", seconds.div_ceil(60)),
    };
    let short = if args.suite.is_none() { ", all suites in short form" } else { "" };
    let mut line = format!(
        "about {time} on a quiet machine{short}; scratch files in {}",
        ground.dir().display()
    );
    line += ground.remarks();
    line
}

/// Progress, and the end of it.
struct Teller(RefCell<Progress>);

impl Teller {
    fn step(&self, line: &str) {
        self.0.borrow().step(line);
    }
}

impl Host for Teller {
    fn is_stopped(&self) -> bool {
        signal::stopped()
    }

    fn doing(&self, what: &str, done: usize, all: usize) {
        let line = || format!("{what}: {} of {all}", done + 1);
        self.0.borrow_mut().now(line);
    }
}
