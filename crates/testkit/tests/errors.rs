//! Errors in the log fail the test of the app that logged them.

#![cfg(test)]

use testkit::{Dialect, TestApp};
use tokio::runtime::Runtime;

/// Causes a 500, whose cause the server logs.
async fn cause_error(app: &TestApp) {
    app.connect_twilio().await;
    app.store()
        .write(|c| store::testing::run_sql(c, "DROP TABLE twilio_messages"))
        .await
        .unwrap();
    app.admin()
        .get("/twilio/messages?connectionId=my-twilio")
        .await
        .expect(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unexpected_error_fails_only_the_test_of_its_app() {
    let own = TestApp::on(Dialect::Sqlite).await.unwrap();
    let other = std::thread::spawn(|| {
        Runtime::new().unwrap().block_on(async {
            let app = TestApp::on(Dialect::Sqlite).await.unwrap();
            cause_error(&app).await;
        });
    });

    let failed = other.join().unwrap_err();

    let message = failed.downcast_ref::<String>().unwrap();
    assert!(message.contains("a request failed"), "{message}");
    drop(own);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_error_does_not_fail_the_test() {
    let app = TestApp::on(Dialect::Sqlite).await.unwrap();
    app.expect_error("no such table: twilio_messages");

    cause_error(&app).await;
}
