//! A provider of one list, whose responses are a function of the request.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{StoredRecord, Timestamp};
use serde_json::{Value as Json, json};
use store::records;
use testkit::{AppBuilder, Dialect, TestApp};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::inspect;

/// A request for a page, or for one record.
pub(crate) struct ReceivedRequest {
    /// Its number among all requests, from 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// Scheme, host and port of the provider.
    pub(crate) origin: String,
}

impl ReceivedRequest {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn number_of(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }
}

/// Returns a page with records and the other fields of the body.
pub(crate) fn page(items: &[Json], beside: Json) -> ResponseTemplate {
    let mut body = beside;
    body["items"] = json!(items);
    ResponseTemplate::new(200).set_body_json(body)
}

/// Returns records with these keys.
pub(crate) fn things<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<Json> {
    ids.into_iter().map(|id| json!({ "id": id })).collect()
}

struct Responder<F> {
    respond: F,
    received: AtomicUsize,
}

impl<F: Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync> Respond for Responder<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.respond)(&ReceivedRequest {
            number: self.received.fetch_add(1, Ordering::SeqCst),
            path: request.url.path().to_owned(),
            query: request.url.query_pairs().into_owned().collect(),
            origin: format!("http://{}", request.headers["host"].to_str().unwrap()),
        })
    }
}

/// An app that is connected to the provider.
pub(crate) struct Acme {
    pub(crate) app: TestApp,
    server: MockServer,
}

/// Returns the provider file; `sync` has what differs: `paginate`, a window, `reread`.
fn file(sync: &str) -> String {
    let head = "\
display_name: Acme
auth_mode: API_KEY
proxy:
  base_url: https://api.acme.example
  headers: { authorization: \"Bearer ${apiKey}\" }
errors: { code: code }
syncs:
  acme-things:
    description: Things
    model: Thing
    table: acme_things
    runs: every hour
    request: { path: /things }
    records: items
    key: id
    deletes: { track: true, guard: 1 }
    columns: { id: text, state: text, at: timestamp }
";
    let indented = sync.lines().map(|line| format!("    {line}\n"));
    format!("{head}{}", indented.collect::<String>())
}

/// Runs `test` with an app that has synced the list once.
pub(crate) async fn on(
    dialect: Dialect,
    sync: &str,
    respond: impl Fn(&ReceivedRequest) -> ResponseTemplate + Send + Sync + 'static,
    test: impl AsyncFnOnce(Acme),
) {
    let server = MockServer::start().await;
    let responder = Responder {
        respond,
        received: AtomicUsize::new(0),
    };
    Mock::given(any()).respond_with(responder).mount(&server).await;
    let builder = AppBuilder::default()
        .provider_file("acme.yaml", &file(sync))
        .provider_url("acme", &server.uri())
        .upstream(|options| {
            // Responders count the requests of runs.
            options.list_check = Duration::ZERO;
        });
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    let body = json!({ "connectionId": "mine", "apiKey": "good" });
    app.admin().post("/acme/connect", &body).await.expect(201);
    app.run_due().await;
    test(Acme { app, server }).await;
}

impl Acme {
    /// Advances the clock by an hour and runs the sync.
    pub(crate) async fn next_hour(&self) {
        self.app.advance(Duration::from_mins(67));
        self.app.run_due().await;
    }

    /// Triggers the sync and runs it, without moving the clock.
    pub(crate) async fn run_now(&self) {
        let body =
            json!({ "provider_config_key": "acme", "connection_id": "mine", "syncs": ["acme-things"] });
        self.app.admin().post("/sync/trigger", &body).await.expect(200);
        self.app.run_due().await;
    }

    /// Returns every row by key, including those marked deleted.
    pub(crate) async fn rows(&self) -> BTreeMap<String, StoredRecord> {
        inspect::rows_of(&self.app, "acme", "acme-things", "mine")
            .await
            .into_iter()
            .collect()
    }

    /// Returns the keys of live rows, and of those marked deleted.
    pub(crate) async fn keys(&self) -> (Vec<String>, Vec<String>) {
        let (live, deleted): (Vec<_>, Vec<_>) = self
            .rows()
            .await
            .into_iter()
            .partition(|(_, row)| row.deleted_at.is_none());
        let keys = |rows: Vec<(String, StoredRecord)>| rows.into_iter().map(|(key, _)| key).collect();
        (keys(live), keys(deleted))
    }

    /// Writes a record like the response of an action does.
    pub(crate) async fn act(&self, record: &Json) {
        self.act_at(record, self.app.clock().now()).await;
    }

    /// Writes a record like an action of a process whose clock shows `now`.
    pub(crate) async fn act_at(&self, record: &Json, now: Timestamp) {
        let (table, connection) = inspect::table_of(&self.app, "acme", "acme-things", "mine").await;
        let record = table.reader.read(record).unwrap();
        let written = self.app.store().write(move |c| {
            let rows = table.rows(connection, now);
            records::put(c, &rows, &[record])
        });
        written.await.unwrap();
    }

    /// Marks rows as deleted, whatever the provider has.
    pub(crate) async fn mark_deleted(&self, keys: &[&str]) {
        let (table, connection) = inspect::table_of(&self.app, "acme", "acme-things", "mine").await;
        let keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
        let now = self.app.clock().now();
        let marked = self.app.store().write(move |c| {
            let rows = table.rows(connection, now);
            records::remove(c, &rows, &keys)
        });
        marked.await.unwrap();
    }

    pub(crate) async fn newest_run(&self) -> Json {
        inspect::newest_run(&self.app).await
    }

    /// Fails unless the newest run succeeded; returns why it was incomplete.
    pub(crate) async fn incomplete(&self) -> Option<String> {
        let run = self.newest_run().await;
        assert_eq!(run["status"], "succeeded", "{run:#}");
        run["incomplete"].as_str().map(str::to_owned)
    }

    /// Fails unless the newest run failed; returns the error's code.
    pub(crate) async fn error_code(&self) -> String {
        let run = self.newest_run().await;
        assert_eq!(run["status"], "failed", "{run:#}");
        run["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Returns the queries of all requests for the list.
    pub(crate) async fn queries(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let of_list = requests.iter().filter(|request| request.url.path() == "/things");
        of_list
            .map(|request| request.url.query().unwrap_or_default().to_owned())
            .collect()
    }
}
