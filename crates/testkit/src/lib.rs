//! Only for tests: a whole Trunkline on either database, with clients, a simulated provider, and a manual clock.
//!
//! Other crates may depend on this one only for their tests. All parts of a [`TestApp`] are real: the API listens on a port of the
//! loopback, the database is a file or a PostgreSQL server of the test process, and the provider is the simulator.

#![expect(clippy::expect_used, reason = "a test whose app cannot start must fail")]
#![expect(clippy::missing_panics_doc, reason = "a test fails by a panic")]

mod app;
mod builder;
mod client;
mod logs;
mod receiver;
mod truth;
mod wait;

pub use app::TestApp;
pub use builder::{AppBuilder, PUBLIC_URL, registry_with};
pub use client::{Client, Reply};
pub use receiver::{Receiver, Webhook};
pub use store::Dialect;
pub use store::testing::{TestContext, TestServer};
pub use testkit_macros::on_both_databases;
pub use truth::assert_table_equals_truth;
pub use wait::wait_until;
