//! The steps of a run: each reads a part of what the provider has, and stores it.

pub(crate) mod backfill;
mod by_key;
mod deletions;
pub(crate) mod full_scan;
pub(crate) mod lookback;
mod missing;
pub(crate) mod recheck;
pub(crate) mod undated;
