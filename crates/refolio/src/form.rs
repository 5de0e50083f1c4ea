//! The four forms of the check that a migration makes before it freezes the source.

/// What is checked before the freeze, and where (linux-mm, August 2021). All four are safe, because
/// whoever takes a folio out of its slot holds the folio lock (rule 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// Under the i_pages lock: references as expected? slot still the folio? then freeze. Mainline
    /// until 5.15.
    CheckThenFreeze,
    /// The references under no lock; the slot under the i_pages lock, then freeze. The patch that
    /// was under review.
    EarlyCheck,
    /// Under the i_pages lock: slot still the folio? then freeze. The first counter-proposal.
    LoadThenFreeze,
    /// Under the i_pages lock: freeze. The second one, merged as 0ef024621417 (5.16).
    #[default]
    FreezeOnly,
}

impl Form {
    /// All four, in the order of history.
    pub const ALL: [Form; 4] =
        [Form::CheckThenFreeze, Form::EarlyCheck, Form::LoadThenFreeze, Form::FreezeOnly];
}
