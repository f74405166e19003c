//! The worker: claims syncs that are due, reads them from the provider, and keeps the tables equal to the source. It also runs stored
//! actions.
//!
//! Only the binary (and tests) may depend on this crate. The invariants: one worker at a time runs a sync, proved by a lease that every
//! page's transaction checks; a page, its counts and the checkpoint are one transaction; interrupted work is repeated and never skipped.
//!
//! From top to bottom: `worker` claims due work, with the loop of `queue`; `run` is one run of one sync; `steps` are the parts of a run;
//! `slices` and `pager` read lists; `writer` stores records; all of them share the `context`.

mod checkpoint;
mod context;
mod deliveries;
mod failure;
mod incoming;
mod options;
mod page;
mod pager;
mod plan;
mod publisher;
mod queue;
mod run;
mod slices;
mod steps;
mod worker;
mod write_order;
mod writer;

pub use options::{ListBounds, WorkerOptions};
pub use worker::Worker;
