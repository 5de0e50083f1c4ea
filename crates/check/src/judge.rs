//! Many searches, side by side, within a budget of time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use refolio_checked::Form;
use refolio_explore::{Search, Verdict, Walk};

use crate::scene::Named;

/// One search.
#[derive(Clone, Debug)]
pub struct Job {
    /// The scene.
    pub scene: Named,
    /// The form in which its movers migrate.
    pub form: Form,
    /// The protection that is taken away.
    pub broken: Option<&'static str>,
}

/// How far a search got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All interleavings.
    All,
    /// All interleavings with at most so many preemptions.
    Preemptions(u32),
    /// As many as there was time for.
    Some,
}

/// A search that has ended.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The search.
    pub job: Job,
    /// What came of it.
    pub verdict: Verdict,
    /// How far it got. A search that found something was at an end there.
    pub reach: Reach,
}

/// How to judge.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The time for all of it.
    pub budget: Duration,
    /// Preemptions at most in each execution; None: without bound.
    pub preemptions: Option<u32>,
    /// Walk at random from this seed, instead of searching.
    pub walk: Option<u64>,
    /// Searches at a time.
    pub side_by_side: usize,
    /// Set when it is to end early: the searches that have not begun are left out.
    pub stop: &'static AtomicBool,
}

/// Preemptions that a search is bound to, at most, when there is no time for all interleavings.
const BOUND: u32 = 2;

/// A search may take so many times what would be left for each, since most take far less.
const GREED: u32 = 6;

/// Runs the searches; `ended` is called after each, with how many have ended. In the order of the
/// jobs; those that were left out are missing.
pub fn judge(jobs: &[Job], plan: &Plan, ended: impl Fn(usize, &Judged) + Sync) -> Vec<Judged> {
    let start = Instant::now();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let judged = Mutex::new(Vec::new());
    let work = || {
        while let at = next.fetch_add(1, Relaxed)
            && let Some(job) = jobs.get(at)
            && !plan.stop.load(Relaxed)
        {
            let left = plan.budget.saturating_sub(start.elapsed());
            let to_do = jobs.len().saturating_sub(at).max(1) as u32;
            let share = left * plan.side_by_side as u32 * GREED / to_do;
            let one = search(job, plan, share.min(left).max(LEAST));
            ended(done.fetch_add(1, Relaxed) + 1, &one);
            judged.lock().unwrap_or_else(|e| e.into_inner()).push((at, one));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..plan.side_by_side {
            scope.spawn(work);
        }
        work();
    });
    let mut judged = judged.into_inner().unwrap_or_else(|e| e.into_inner());
    judged.sort_by_key(|(at, _)| *at);
    judged.into_iter().map(|(_, one)| one).collect()
}

/// Each search is given this long, also when the budget is used up.
const LEAST: Duration = Duration::from_millis(100);

/// Orderings that a walk of the first kind is after.
const DEPTH: u32 = 3;

/// Preemptions that are enough for most of what is broken.
const FEW: u32 = 3;

/// All interleavings, if two thirds of the limit are enough for them; otherwise those with as many
/// preemptions as there is time for.
fn search(job: &Job, plan: &Plan, limit: Duration) -> Judged {
    let within = |preemptions, limit| {
        let how =
            Search { preemptions, limit: Some(limit), stop: Some(plan.stop), executions: None };
        job.scene.search(job.form, job.broken, &how)
    };
    let judged = |verdict, reach| Judged { job: job.clone(), verdict, reach };
    if let Some(seed) = plan.walk {
        let how = Search { limit: Some(limit / 2), stop: Some(plan.stop), ..Search::default() };
        let walk = |walk| job.scene.walk(job.form, job.broken, walk, seed, &how);
        let pct = walk(Walk::Pct(DEPTH));
        if pct.violation.is_some() {
            return judged(pct, Reach::Some);
        }
        let urw = walk(Walk::Urw);
        let executions = pct.executions + urw.executions;
        let elapsed = pct.elapsed + urw.elapsed;
        return judged(Verdict { executions, elapsed, ..urw }, Reach::Some);
    }
    if let Some(bound) = plan.preemptions {
        let verdict = within(Some(bound), limit);
        let is_complete = verdict.is_complete;
        return judged(verdict, if is_complete { Reach::Preemptions(bound) } else { Reach::Some });
    }
    if job.broken.is_some() {
        // What is broken is found soonest, and shown best, with few preemptions.
        for bound in 0..=FEW {
            let few = within(Some(bound), limit / 8);
            if few.violation.is_some() {
                return judged(few, Reach::Preemptions(bound));
            }
        }
    }
    let whole = within(None, limit * 2 / 3);
    if whole.is_complete || whole.violation.is_some() {
        return judged(whole, Reach::All);
    }
    let mut best = judged(whole, Reach::Some);
    for bound in 1..=BOUND {
        let few = within(Some(bound), limit / 3 / BOUND);
        let is_complete = few.is_complete;
        if is_complete || few.violation.is_some() {
            best = judged(few, Reach::Preemptions(bound));
        }
        if !is_complete || best.verdict.violation.is_some() {
            break;
        }
    }
    best
}
