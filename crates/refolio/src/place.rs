//! Places: where a page is known, and so where it is found again when it has moved.

use std::borrow::Cow;

use crate::mapping::Mapping;
use crate::sync::Arc;
use crate::table::{Backing, Table};
use crate::units::{FrameNo, PageIndex, Vpn};

/// Where a page is known: in its file's mapping, or in a table.
#[derive(Clone, Debug)]
pub(crate) enum Place<'p> {
    // Lent, by whoever names many pages of one file: to count each of them costs more than to name it.
    File(Cow<'p, Arc<Mapping>>, PageIndex),
    Table(Cow<'p, Arc<Table>>, Vpn),
}

impl Place<'_> {
    /// The folio that holds the page at this moment.
    pub fn folio(&self) -> Option<FrameNo> {
        match self {
            Place::File(mapping, index) => Some(mapping.peek(*index)?.0),
            Place::Table(table, at) => Some(table.load(*at).mapped()?.folio),
        }
    }

    /// The file, or the one that is viewed.
    pub fn mapping(&self) -> Option<&Mapping> {
        match self {
            Place::File(mapping, _) => Some(mapping),
            Place::Table(table, _) => match &table.backing {
                Backing::File { mapping, .. } => Some(mapping),
                Backing::Anonymous { .. } => None,
            },
        }
    }
}
