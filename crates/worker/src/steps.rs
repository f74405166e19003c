//! The steps of a run: each reads and stores some of the provider's records.
//!
//! A list that must be read in another way, such as once for each row of another table, is a further step.

pub(crate) mod backfill;
mod by_key;
mod deletions;
pub(crate) mod full_scan;
pub(crate) mod lookback;
mod missing;
pub(crate) mod recheck;
pub(crate) mod undated;
