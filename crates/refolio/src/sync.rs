//! The only door to atomics, locks and parking. It stands in the lowest crate, because the array
//! needs it too; everything here imports it by this name.

pub(crate) use refolio_xarray::sync::*;
