//! What was measured.

use serde::Serialize;

use crate::noise::Spread;

/// What a suite found.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Name of the suite.
    pub suite: &'static str,
    /// What it was about: sizes, threads, the machine.
    pub about: String,
    /// Whether it came to its end; else it was stopped, and has what was measured until then.
    pub complete: bool,
    /// What was compared with each other.
    pub groups: Vec<Group>,
    /// What was left out, and why; what to know about the figures.
    pub notes: Vec<String>,
}

/// Things that took turns.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What they all did.
    pub title: String,
    /// The unit of their figures.
    pub unit: &'static str,
    /// Which figures are the better ones.
    pub better: Better,
    /// One for each of them.
    pub lines: Vec<Line>,
    /// What was to be reached.
    pub goals: Vec<Goal>,
}

impl Group {
    /// The best of the lines that are limits.
    pub fn limit(&self) -> Option<&Line> {
        let limits = self.lines.iter().filter(|line| line.role == Role::Limit);
        let by = |a: &&Line, b: &&Line| a.spread.median.total_cmp(&b.spread.median);
        match self.better {
            Better::Less => limits.min_by(by),
            Better::More => limits.max_by(by),
        }
    }
}

/// Which figures are the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Times, bytes that are spent.
    Less,
    /// Rates.
    More,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the machine can do. Of several, the best one is the limit of its group.
    Limit,
    /// Refolio. Of several, the first one is what others are held against.
    Refolio,
    /// What one would use instead.
    Peer,
    /// For comparison.
    Other,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Of what.
    pub name: String,
    /// What that is.
    pub role: Role,
    /// The figure.
    pub spread: Spread,
    /// How many times the limit's figure it is.
    pub of_limit: Option<f64>,
    /// How many times the figure of the group's first line of Refolio it is.
    pub of_refolio: Option<f64>,
    /// Measurements that were thrown away.
    pub rejected: usize,
    /// Measurements that count although they were disturbed: there were no better ones.
    pub disturbed: usize,
}

/// Something that was to be reached.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What, in words.
    pub what: String,
    /// The bound.
    pub must: Must,
    /// What was reached; None where something was not measured.
    pub reached: Option<f64>,
    /// Whether that is enough.
    pub met: Option<bool>,
}

/// What a ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Must {
    /// No larger than this.
    AtMost(f64),
    /// No smaller.
    AtLeast(f64),
}

impl Must {
    /// Whether this is enough.
    pub fn is_met(self, reached: f64) -> bool {
        match self {
            Self::AtMost(most) => reached <= most,
            Self::AtLeast(least) => reached >= least,
        }
    }
}

impl std::fmt::Display for Must {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {}", crate::noise::short(*most)),
            Self::AtLeast(least) => write!(f, ">= {}", crate::noise::short(*least)),
        }
    }
}
