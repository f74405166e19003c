//! The worker: takes syncs that are due, reads them from the provider, and keeps the tables equal to the source; and carries out
//! stored actions.
//!
//! Only the binary (and tests) may depend on this crate. The invariants: one worker holds a sync at a time, proved by a lease that
//! every page's transaction checks; a page, its counts and the checkpoint are one transaction; whatever is cut off is repeated
//! and never skipped.

mod actions;
mod checkpoint;
mod context;
mod deletions;
mod failure;
mod followup;
mod list;
mod narrow;
mod ordering;
mod page;
mod plan;
mod pool;
mod reading;
mod run;
mod slice;
mod undated;
mod worker;
mod writing;

pub use worker::{ListBounds, Worker, WorkerOptions};
