//! Keys that are revoked, restored, or replaced.

use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{TestApp, assert_table_equals_truth, on_both_databases};

use crate::inspect::{newest_run, pass_a_day};

async fn errors(app: &TestApp) -> Vec<Json> {
    let path = "/connections/my-twilio?provider_config_key=twilio";
    let shown = app.admin().get(path).await.expect(200).json();
    shown["errors"].as_array().unwrap().clone()
}

async fn revoke(app: &TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    assert!(errors(app).await.is_empty());
    app.simulator()
        .revoke(&app.simulator().credentials().main_key_sid);
    app.simulator().reset_requests();
    app.advance(Duration::from_mins(10));
    app.run_due().await;
}

#[on_both_databases]
async fn a_revoked_key_is_reported_and_causes_few_requests_until_it_works_again(app: TestApp) {
    revoke(&app).await;
    let run = newest_run(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("invalid_credentials"))
    );
    let reported = errors(&app).await;
    assert_eq!((reported.len(), &reported[0]["code"]), (1, &json!("20003")));
    assert!(
        reported[0]["message"]
            .as_str()
            .unwrap()
            .contains("API key was deleted"),
        "{reported:?}"
    );

    pass_a_day(&app, 144).await;
    let requests = app.simulator().requests().total;
    // The refused page and three endpoints, each requested twice; then only the endpoints after 1, 3, 7 and 15 hours.
    assert!(
        requests <= 8 + 4 * 6,
        "{requests} requests in a day with a refused key"
    );

    app.simulator()
        .restore(&app.simulator().credentials().main_key_sid);
    pass_a_day(&app, 12).await;
    assert!(errors(&app).await.is_empty());
    pass_a_day(&app, 1).await;
    assert_table_equals_truth(&app, "my-twilio").await;
}

#[on_both_databases]
async fn new_credentials_clear_the_error_at_once(app: TestApp) {
    revoke(&app).await;
    assert_eq!(errors(&app).await.len(), 1);

    let known = app.simulator().credentials();
    let body = json!({
        "connectionId": "my-twilio",
        "accountSid": known.account_sid,
        "apiKeySid": known.standard_key_sid,
        "apiKeySecret": known.standard_key_secret,
    });
    app.admin().post("/twilio/connect", &body).await.expect(201);

    assert!(errors(&app).await.is_empty());
    app.run_due().await;
    assert_eq!(
        newest_run(&app).await["status"],
        "succeeded",
        "and it is tried at once"
    );
}
