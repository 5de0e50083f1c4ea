//! What can go wrong in a measurement.

use std::fmt;

/// Why a suite has no results.
#[derive(Debug)]
pub enum Error {
    /// The host asked to stop.
    Stopped,
    /// The machine or an option does not do; one line that names it and the remedy.
    Unusable(String),
    /// Something failed that should not: what was being done, and the cause.
    Failed(String),
}

impl Error {
    /// Something failed that should not.
    pub(crate) fn failed(doing: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {cause}"))
    }

    /// For `map_err`: something failed while doing this.
    pub(crate) fn while_<C: fmt::Display>(doing: &str) -> impl FnOnce(C) -> Self {
        move |cause| Self::failed(doing, cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Unusable(line) | Self::Failed(line) => f.write_str(line),
        }
    }
}

impl std::error::Error for Error {}

/// With this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
