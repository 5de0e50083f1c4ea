//! Which case catches which variant, and what it calls it.

/// A protection that is taken away, a case that then fails, and the names that its failure may
/// have.
pub type Row = (&'static str, &'static str, &'static [&'static str]);

/// All of them.
pub const TABLE: &[Row] = &[];
