//! Runs that the provider refuses: whether the key is revoked or lacks a permission, and the problem that is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp, on_both_databases, wait_until};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::inspect::newest_run;

const FILE: &str = r#"
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: "Bearer ${apiKey}" }
  verification: { endpoints: [/me] }
errors: { code: code, message: message }
syncs:
  acme-things:
    description: Things
    model: Thing
    table: acme_things
    runs: every hour
    request: { path: /things }
    paginate: { type: none }
    records: items
    key: id
    columns: { id: text }
"#;

/// The statuses of the provider's responses.
#[derive(Default)]
struct Statuses {
    me: AtomicU16,
    things: AtomicU16,
    /// Milliseconds until a response.
    delay: AtomicU16,
}

struct Setup {
    app: TestApp,
    statuses: Arc<Statuses>,
    server: MockServer,
}

/// Runs `test` with an app that has synced the list once.
async fn on(dialect: Dialect, test: impl AsyncFnOnce(Setup)) {
    let statuses = Arc::new(Statuses::default());
    statuses.me.store(200, Ordering::SeqCst);
    statuses.things.store(200, Ordering::SeqCst);
    let server = MockServer::start().await;
    let statuses_shown = Arc::clone(&statuses);
    let respond = move |request: &Request| {
        let (status, body) = if request.url.path() == "/me" {
            (
                &statuses_shown.me,
                json!({ "code": "wrong_key", "message": "Wrong key" }),
            )
        } else {
            (
                &statuses_shown.things,
                json!({ "code": "no_scope", "message": "No scope", "items": [{ "id": "a" }] }),
            )
        };
        ResponseTemplate::new(status.load(Ordering::SeqCst))
            .set_body_json(body)
            .set_delay(Duration::from_millis(
                statuses_shown.delay.load(Ordering::SeqCst).into(),
            ))
    };
    Mock::given(any()).respond_with(respond).mount(&server).await;
    let builder = AppBuilder::default()
        .provider_file("acme.yaml", FILE)
        .provider_url("acme", &server.uri())
        .upstream(|options| {
            options.max_attempts = 2;
        });
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "mine", "apiKey": "good" });
    let reported = app.admin().post("/acme/connect", &body).await.expect(201).json();
    assert_eq!(reported.get("unreadable_syncs"), None);
    app.run_due().await;
    assert_eq!(newest_run(&app).await["status"], "succeeded");
    test(Setup {
        app,
        statuses,
        server,
    })
    .await;
}

impl Setup {
    fn respond_with_statuses(&self, me: u16, things: u16) {
        self.statuses.me.store(me, Ordering::SeqCst);
        self.statuses.things.store(things, Ordering::SeqCst);
    }

    /// Runs the sync an hour later; returns its newest run.
    async fn next_hour(&self) -> Json {
        self.app.advance(Duration::from_mins(67));
        self.app.run_due().await;
        newest_run(&self.app).await
    }

    /// Returns the connection's errors, each as its type and code.
    async fn errors(&self) -> Vec<(String, String)> {
        let path = "/connections/mine?provider_config_key=acme";
        let shown = self.app.admin().get(path).await.expect(200).json();
        let text = |error: &Json, name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let errors = shown["errors"].as_array().unwrap().iter();
        errors
            .map(|error| (text(error, "type"), text(error, "code")))
            .collect()
    }

    async fn state(&self) -> Json {
        let path = "/sync/status?provider_config_key=acme&connection_id=mine&syncs=*";
        let states = self.app.admin().get(path).await.expect(200).json();
        states["syncs"][0].clone()
    }
}

fn of_sync() -> Vec<(String, String)> {
    vec![("sync".to_owned(), "no_scope".to_owned())]
}

#[on_both_databases]
async fn a_later_refusal_of_a_list_is_stored_on_its_sync_and_a_success_clears_it(dialect: Dialect) {
    on(dialect, async |setup| {
        for status in [403, 401] {
            setup.respond_with_statuses(200, status);
            let run = setup.next_hour().await;
            assert_eq!(run["error"]["code"], "no_scope", "{run:#}");
            let hint = run["error"]["hint"].as_str().unwrap();
            assert!(hint.contains("give the key permission"), "{hint}");
            assert_eq!(setup.errors().await, of_sync());
            let state = setup.state().await;
            assert_eq!(
                (&state["status"], &state["problem"]["type"]),
                (&json!("ERROR"), &json!("permission"))
            );
            let message = state["problem"]["message"].as_str().unwrap();
            assert!(
                message.starts_with("the key may not read acme-things: Acme refused"),
                "{message}"
            );

            setup.respond_with_statuses(200, 200);
            assert_eq!(setup.next_hour().await["status"], "succeeded");
            assert_eq!(setup.errors().await, []);
            assert_eq!(setup.state().await.get("problem"), None);
        }
    })
    .await;
}

#[on_both_databases]
async fn a_revoked_key_is_not_taken_for_one_that_lacks_a_permission(dialect: Dialect) {
    on(dialect, async |setup| {
        setup.respond_with_statuses(401, 403);
        let run = setup.next_hour().await;
        assert_eq!(run["error"]["code"], "invalid_credentials", "{run:#}");
        assert_eq!(
            setup.errors().await,
            [("auth".to_owned(), "wrong_key".to_owned())]
        );
        assert_eq!(setup.state().await.get("problem"), None);
    })
    .await;
}

#[on_both_databases]
async fn other_failures_do_not_change_the_stored_problem(dialect: Dialect) {
    on(dialect, async |setup| {
        setup.respond_with_statuses(503, 403);
        setup.next_hour().await;
        assert_eq!(setup.errors().await, [], "it is unknown whether the key is valid");

        setup.respond_with_statuses(200, 403);
        setup.next_hour().await;
        let since = setup.state().await["problem"]["at"].clone();
        setup.next_hour().await;
        assert_eq!(setup.state().await["problem"]["at"], since, "it lasts");

        setup.respond_with_statuses(200, 503);
        assert_eq!(setup.next_hour().await["status"], "failed");
        assert_eq!(setup.errors().await, of_sync());
    })
    .await;
}

#[on_both_databases]
async fn a_run_with_an_older_key_stores_no_problem(dialect: Dialect) {
    on(dialect, async |setup| {
        setup.respond_with_statuses(200, 403);
        setup.statuses.delay.store(1_000, Ordering::SeqCst);
        let select =
            json!({ "provider_config_key": "acme", "connection_id": "mine", "syncs": ["acme-things"] });
        setup.app.admin().post("/sync/trigger", &select).await.expect(200);
        let requests = async || setup.server.received_requests().await.unwrap().len();
        let before = requests().await;
        // The connection changes while the run waits for its list, as if it got another key.
        let change = async {
            wait_until("the run requests its list", async || requests().await > before).await;
            setup.app.clock().advance(Duration::from_micros(1));
            let body = json!({ "metadata": { "changed": true } });
            let path = "/connections/mine?provider_config_key=acme";
            setup.app.admin().patch(path, &body).await.expect(200);
        };
        tokio::join!(setup.app.run_due(), change);
        assert_eq!(newest_run(&setup.app).await["status"], "failed");
        assert_eq!(setup.errors().await, []);
    })
    .await;
}
