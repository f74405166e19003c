//! What a worker's log lines contain, and what they must not.

use std::time::Duration;

use testkit::{TestApp, on_both_databases};

use crate::inspect::newest_run;

/// Returns the lines about one run.
fn lines(app: &TestApp, run: &str) -> Vec<String> {
    let logs = app.logs();
    let own = logs.lines().filter(|line| line.contains(run));
    own.map(str::to_owned).collect()
}

#[on_both_databases]
async fn every_line_about_a_run_names_its_integration_connection_and_sync(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    let run = newest_run(&app).await["id"].as_str().unwrap().to_owned();
    let own = lines(&app, &run);
    assert!(
        own.iter().any(|line| line.contains("the run started")),
        "{own:#?}"
    );
    assert!(
        own.iter().any(|line| line.contains("the run succeeded")),
        "{own:#?}"
    );
    // Separate tasks read the pages.
    let requests = own.iter().filter(|line| line.contains("http.status"));
    assert!(requests.count() > 0, "{own:#?}");
    for line in &own {
        for name in [
            "integration=twilio",
            "connection=my-twilio",
            "sync=twilio-messages",
        ] {
            assert!(line.contains(name), "{line}");
        }
    }
}

#[on_both_databases]
async fn a_failed_run_is_logged_once_without_text_of_the_provider(app: TestApp) {
    app.connect_twilio().await;
    app.run_due().await;
    app.simulator()
        .revoke(&app.simulator().credentials().main_key_sid);
    app.advance(Duration::from_mins(10));
    app.run_due().await;
    let run = newest_run(&app).await;
    let said = run["error"]["message"].as_str().unwrap();
    let own = lines(&app, run["id"].as_str().unwrap());
    let failed: Vec<&String> = own
        .iter()
        .filter(|line| line.contains("the run failed"))
        .collect();
    assert_eq!(failed.len(), 1, "{own:#?}");
    assert!(
        failed[0].contains("error.code=\"invalid_credentials\""),
        "{failed:?}"
    );
    assert!(own.iter().all(|line| !line.contains(said)), "{said}: {own:#?}");
    assert!(own.iter().all(|line| !line.contains("succeeded")), "{own:#?}");
}
