//! Things that are compared: they take turns, and each is held against the limit and the others.

use crate::error::{Error, Result};
use crate::noise::{Quiet, Spread, TRIES, Timing};
use crate::plan::{Host, Plan};
use crate::results::{Better, Goal, Group, Line, Must, Role};

/// A measurement that can be made again and again.
type Measure<'c> = Box<dyn FnMut() -> Result<Timing> + 'c>;

struct Contender<'c> {
    name: String,
    role: Role,
    measure: Measure<'c>,
}

/// What a goal compares.
struct Wanted {
    line: String,
    /// None: the bound is of the figure itself.
    of: Option<String>,
    must: Must,
}

/// The limit of the group, as a name in goals.
pub const LIMIT: &str = "the limit";

/// Things that do the same, and take turns at it.
pub struct Contest<'c> {
    title: String,
    unit: &'static str,
    better: Better,
    quiet: Quiet,
    contenders: Vec<Contender<'c>>,
    wanted: Vec<Wanted>,
}

impl<'c> Contest<'c> {
    /// Of times: less is better.
    pub fn of_times(title: impl Into<String>, unit: &'static str) -> Self {
        Self::new(title.into(), unit, Better::Less)
    }

    /// Of rates: more is better.
    pub fn of_rates(title: impl Into<String>, unit: &'static str) -> Self {
        Self::new(title.into(), unit, Better::More)
    }

    fn new(title: String, unit: &'static str, better: Better) -> Self {
        let (contenders, wanted) = (Vec::new(), Vec::new());
        Self { title, unit, better, quiet: Quiet::Cpu, contenders, wanted }
    }

    /// Threads wait for a device in there.
    pub fn with_device(mut self) -> Self {
        self.quiet = Quiet::Device;
        self
    }

    /// Adds something.
    pub fn add(
        &mut self,
        role: Role,
        name: impl Into<String>,
        measure: impl FnMut() -> Result<Timing> + 'c,
    ) {
        self.contenders.push(Contender { name: name.into(), role, measure: Box::new(measure) });
    }

    /// `line` must cost at most so many times what `of` costs.
    pub fn costs_at_most(&mut self, most: f64, line: &str, of: &str) {
        let must = Must::AtMost(most);
        self.wanted.push(Wanted { line: line.into(), of: Some(of.into()), must });
    }

    /// `line` must be at least so many times as fast as `of`.
    pub fn is_at_least(&mut self, least: f64, line: &str, of: &str) {
        let must = Must::AtLeast(least);
        self.wanted.push(Wanted { line: line.into(), of: Some(of.into()), must });
    }

    /// The figure of `line` must be at most this.
    pub fn is_at_most(&mut self, most: f64, line: &str) {
        self.wanted.push(Wanted { line: line.into(), of: None, must: Must::AtMost(most) });
    }

    /// Lets all of them have their turns.
    pub fn run(mut self, plan: &Plan, host: &dyn Host) -> Result<Group> {
        let ours = self.contenders.iter().position(|one| one.role == Role::Refolio);
        let mut at = 0;
        self.contenders.retain(|one| {
            at += 1;
            one.role == Role::Limit || Some(at - 1) == ours || plan.wants(&one.name)
        });
        let mut turns: Vec<Turns> = self.contenders.iter().map(|_| Turns::default()).collect();
        for rep in 0..plan.reps {
            for (one, turns) in self.contenders.iter_mut().zip(&mut turns) {
                host.doing(&format!("{}: {}", self.title, one.name), rep, plan.reps);
                turns.one_more(self.quiet, &mut one.measure, host)?;
            }
        }
        Ok(self.group(&turns))
    }

    fn group(self, turns: &[Turns]) -> Group {
        let roles: Vec<Role> = self.contenders.iter().map(|one| one.role).collect();
        let roles = roles.as_slice();
        let all = move |role| (0..roles.len()).filter(move |at| roles[*at] == role);
        let ours = all(Role::Refolio).next();
        let median = |at: &usize| Spread::of(turns[*at].figures()).median;
        let limit = match self.better {
            Better::Less => all(Role::Limit).min_by(|a, b| median(a).total_cmp(&median(b))),
            Better::More => all(Role::Limit).max_by(|a, b| median(a).total_cmp(&median(b))),
        };
        let named = |name: &str| match name {
            LIMIT => limit,
            _ => self.contenders.iter().position(|one| one.name == name),
        };
        let goal = |wanted: &Wanted| {
            let line = named(&wanted.line);
            let (what, reached) = match &wanted.of {
                None => {
                    let figure = |at: usize| Spread::of(turns[at].figures()).median;
                    (format!("{}, {}", wanted.line, self.unit), line.map(figure))
                }
                Some(of) => {
                    let (at, costs) = (named(of), matches!(wanted.must, Must::AtMost(_)));
                    let reached = line.zip(at).map(|(line, of)| {
                        let speed = speed(self.better, &turns[line], &turns[of]);
                        if costs { 1.0 / speed } else { speed }
                    });
                    let of = at.map_or(of, |at| &self.contenders[at].name);
                    let what = if costs { "times the cost of" } else { "times as fast as" };
                    (format!("{}: {what} {of}", wanted.line), reached)
                }
            };
            let met = reached.map(|reached| wanted.must.is_met(reached));
            Goal { what, must: wanted.must, reached, met }
        };
        let goals = self.wanted.iter().map(goal).collect();
        let lines = self.contenders.iter().zip(turns).enumerate().map(|(at, (one, of))| Line {
            name: one.name.clone(),
            role: one.role,
            spread: Spread::of(of.figures()),
            of_limit: limit.filter(|limit| *limit != at).map(|limit| ratio(of, &turns[limit])),
            of_refolio: ours.filter(|ours| *ours != at).map(|ours| ratio(of, &turns[ours])),
            rejected: of.rejected,
            disturbed: of.kept.iter().filter(|turn| turn.lost > self.quiet.most()).count(),
        });
        Group {
            lines: lines.collect(),
            title: self.title,
            unit: self.unit,
            better: self.better,
            goals,
        }
    }
}

/// The measurements of one of them.
#[derive(Default)]
struct Turns {
    kept: Vec<Timing>,
    rejected: usize,
}

impl Turns {
    /// Measures until it is quiet; when it does not get quiet, the least disturbed one counts.
    fn one_more(&mut self, quiet: Quiet, measure: &mut Measure<'_>, host: &dyn Host) -> Result<()> {
        let mut least: Option<Timing> = None;
        for _ in 0..TRIES {
            if host.is_stopped() {
                return Err(Error::Stopped);
            }
            let timing = quiet.watch(measure)?;
            if least.is_some() {
                self.rejected += 1;
            }
            if least.is_none_or(|least| timing.lost < least.lost) {
                least = Some(timing);
            }
            if timing.lost <= quiet.most() {
                break;
            }
        }
        self.kept.extend(least);
        Ok(())
    }

    fn figures(&self) -> impl Iterator<Item = f64> {
        self.kept.iter().map(|turn| turn.each)
    }
}

/// The median of the ratios of what was measured in turn.
fn ratio(of: &Turns, to: &Turns) -> f64 {
    Spread::of(of.figures().zip(to.figures()).map(|(of, to)| of / to)).median
}

/// How many times as fast as `to` is `of`?
fn speed(better: Better, of: &Turns, to: &Turns) -> f64 {
    match better {
        Better::Less => ratio(to, of),
        Better::More => ratio(of, to),
    }
}
