//! On which database a test runs, and what happens where there is none.

use std::io::Write;

use store::Dialect;
use store::testing::TestDatabase;

use crate::{AppBuilder, TestApp};

/// If this is set, a test that would be skipped for want of PostgreSQL fails.
const REQUIRE_POSTGRES: &str = "TRUNKLINE_TEST_REQUIRE_POSTGRES";

/// Runs `test` with an app of `builder` on `dialect`; says `SKIPPED` on standard error where PostgreSQL's programs are missing.
///
/// # Panics
/// If PostgreSQL is missing and `TRUNKLINE_TEST_REQUIRE_POSTGRES` is set, or if the app does not start.
pub async fn run<F: Future<Output = ()>>(
    builder: AppBuilder,
    dialect: Dialect,
    test: impl FnOnce(TestApp) -> F,
) {
    match builder.start(dialect).await {
        Some(app) => test(app).await,
        None => skipped(),
    }
}

/// A new database with all control tables.
pub(crate) async fn open(dialect: Dialect) -> Option<TestDatabase> {
    TestDatabase::new(dialect).await
}

fn skipped() {
    assert!(
        std::env::var_os(REQUIRE_POSTGRES).is_none(),
        "PostgreSQL's programs are missing, and {REQUIRE_POSTGRES} is set"
    );
    // The stream itself, past the capture of output: whoever runs the tests must see it.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: PostgreSQL's programs (initdb, pg_ctl) are not there"
    );
}
