//! Schedules: who ran when, as a short text that plays an execution again.

use std::fmt;
use std::str::FromStr;

/// The order in which the threads of an execution ran: runs of one thread, each with the number of
/// operations it came to before another thread went on.
///
/// As text: `0x12.1x30.0x5`, thread 0 up to its 12th operation, then thread 1 for 30 operations, and
/// so on. What follows the last run goes on without preemption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(pub(crate) Vec<(usize, u32)>);

/// Why a text is no schedule.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseScheduleError(String);

impl fmt::Display for ParseScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no run of a schedule, such as 1x30 in 0x12.1x30.0x5", self.0)
    }
}

impl std::error::Error for ParseScheduleError {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (thread, operations)) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{thread}x{operations}")?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let run = |run: &str| {
            let (thread, operations) = run.split_once('x')?;
            Some((thread.parse().ok()?, operations.parse().ok()?))
        };
        let runs = text.trim().split('.').filter(|text| !text.is_empty());
        runs.map(|text| run(text).ok_or_else(|| ParseScheduleError(text.into())))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_as_it_is_written() {
        let schedule = Schedule(vec![(0, 12), (1, 30), (0, 5)]);
        assert_eq!(schedule.to_string(), "0x12.1x30.0x5");
        assert_eq!(schedule.to_string().parse(), Ok(schedule));
        assert_eq!("".parse(), Ok(Schedule::default()));
    }

    #[test]
    fn what_is_no_schedule_is_named() {
        let error = "0x12.zebra".parse::<Schedule>().unwrap_err();
        assert!(error.to_string().starts_with("\"zebra\" is no run"), "{error}");
    }
}
