//! For tests alone: a whole Trunkline on either database, with clients by role, a simulated provider, and the clock in hand.
//!
//! No crate but for its tests may depend on this one. A [`TestApp`] is real in all its parts: the API listens on a port of the
//! loopback, the database is a file or a PostgreSQL server of the test process, and the provider is the simulator.

#![expect(
    clippy::expect_used,
    reason = "a harness that cannot start can only fail, and says here why"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "whatever goes wrong here is a panic: that is how a test fails"
)]

mod app;
mod builder;
mod client;
mod database;
mod logs;
mod truth;

pub use app::TestApp;
pub use builder::AppBuilder;
pub use client::{Client, Reply};
pub use database::run;
pub use store::Dialect;
pub use store::testing::TestServer;
pub use truth::assert_table_equals_truth;

/// Runs each named `async fn(TestApp)` once on SQLite and once on PostgreSQL; the tests are called `name::sqlite` and
/// `name::postgres`. With `name in builder`, the app is what the function `builder` makes.
///
/// A function that is left out of the list is dead code, which the compiler tells.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident $(in $builder:ident)?),+ $(,)?) => {
        $(
            mod $name {
                fn builder() -> $crate::AppBuilder {
                    $crate::on_both_databases!(@ $($builder)?)
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    $crate::run(builder(), $crate::Dialect::Sqlite, super::$name).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    $crate::run(builder(), $crate::Dialect::Postgres, super::$name).await;
                }
            }
        )+
    };
    (@) => {
        $crate::AppBuilder::default()
    };
    (@ $builder:ident) => {
        super::$builder()
    };
}
