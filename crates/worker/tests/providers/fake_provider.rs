//! A server that responds like a provider's documentation shows, and an app that is connected to it.
//!
//! A test file describes its provider by a [`FakeProvider`]: the authorization header, the refusal without it, and the responses. A
//! test changes the provider's lists with [`Setup::change_records`]. A request that the provider would not understand (an
//! unknown path, a wrong parameter) is a violation, and the next [`Setup::run_due`] fails with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// When the clock starts, in seconds since 1970: 2026-11-04T12:00:00Z.
pub(crate) const NOW: i64 = 1_793_793_600;
/// The name of the connection.
pub(crate) const CONNECTION: &str = "mine";

/// A description of a provider.
#[derive(Clone)]
pub(crate) struct FakeProvider {
    /// Its name.
    pub(crate) provider: &'static str,
    /// The fields of a valid connect.
    pub(crate) fields: Json,
    /// The authorization header, and its value for those fields.
    pub(crate) authorization: (&'static str, String),
    /// The documented response to a request without it.
    pub(crate) refusal: ResponseTemplate,
    /// Returns the documented response to a request; `None` for requests that the file may not send.
    pub(crate) respond: fn(&ReceivedRequest<'_>) -> Option<ResponseTemplate>,
}

/// A request that the provider got.
pub(crate) struct ReceivedRequest<'a> {
    request: &'a Request,
    state: &'a State,
}

impl ReceivedRequest<'_> {
    /// Scheme, host and port, for absolute URLs in a response.
    pub(crate) fn origin(&self) -> String {
        // The URL of the request does not have the host.
        format!("http://{}", self.header("host").unwrap())
    }

    pub(crate) fn path(&self) -> &str {
        self.request.url.path()
    }

    /// All query parameters.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        self.request.url.query_pairs().into_owned().collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().remove(name)
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.parameter(name).and_then(|value| value.parse().ok())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// The records of a list; empty if the test added none.
    pub(crate) fn records(&self, name: &str) -> Vec<Json> {
        self.state
            .records
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Records a violation unless `is_so`.
    pub(crate) fn require(&self, is_so: bool, what: &str) {
        if !is_so {
            self.state
                .record_violation(format!("{what}: {}", self.request.url));
        }
    }

    /// Records a violation for each parameter that is not in `known`.
    pub(crate) fn only(&self, known: &[&str]) {
        for name in self.parameters().keys() {
            self.require(
                known.contains(&name.as_str()),
                &format!("there is no parameter {name}"),
            );
        }
    }
}

/// A successful response.
#[expect(clippy::unnecessary_wraps, reason = "a provider's responses have this type")]
pub(crate) fn ok(body: &Json) -> Option<ResponseTemplate> {
    Some(response(200, body))
}

pub(crate) fn response(status: u16, body: &Json) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// Returns the records of a page.
pub(crate) fn part(list: &[Json], skip: usize, take: usize) -> Vec<Json> {
    list.iter().skip(skip).take(take).cloned().collect()
}

/// Returns a page by `page` and `per_page`, with the next one in a `Link` header.
#[expect(clippy::unnecessary_wraps, reason = "a provider's responses have this type")]
pub(crate) fn linked(request: &ReceivedRequest<'_>, origin: &str, list: &[Json]) -> Option<ResponseTemplate> {
    let (page, size) = (
        request.number("page").unwrap_or(1),
        request.number("per_page").unwrap_or(30),
    );
    request.require(size <= 100, "a page has 100 records at most");
    let shown = response(200, &json!(part(list, (page - 1) * size, size)));
    if page * size >= list.len() {
        return Some(shown);
    }
    let mut parameters = request.parameters();
    parameters.insert("page".to_owned(), (page + 1).to_string());
    let next = url::Url::parse_with_params(&format!("{origin}{}", request.path()), &parameters).unwrap();
    Some(shown.insert_header(
        "Link",
        format!("<{origin}/>; rel=\"first\", <{next}>; rel=\"next\""),
    ))
}

/// State that the server and the test share.
struct State {
    fake: FakeProvider,
    records: Mutex<HashMap<String, Vec<Json>>>,
    /// Responses that come before those of the provider.
    first: Mutex<VecDeque<ResponseTemplate>>,
    /// The URL that got such a response, and when.
    delayed: Mutex<Option<(String, Instant)>>,
    waited: Mutex<Option<Duration>>,
    violations: Mutex<Vec<String>>,
}

impl State {
    fn record_violation(&self, violation: String) {
        self.violations.lock().unwrap().push(violation);
    }

    /// Measures how long the app waited, if this repeats the delayed request.
    fn measure_wait(&self, address: &str) {
        let mut delayed = self.delayed.lock().unwrap();
        if let Some((_, since)) = delayed.take_if(|(waiting, _)| waiting == address) {
            *self.waited.lock().unwrap() = Some(since.elapsed());
        }
    }
}

struct Server(Arc<State>);

impl Respond for Server {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let state = &self.0;
        let (name, good) = &state.fake.authorization;
        let given = request.headers.get(*name).and_then(|value| value.to_str().ok());
        if given != Some(good) {
            return state.fake.refusal.clone();
        }
        state.measure_wait(request.url.as_str());
        if let Some(response) = state.first.lock().unwrap().pop_front() {
            *state.delayed.lock().unwrap() = Some((request.url.to_string(), Instant::now()));
            return response;
        }
        if request.method != wiremock::http::Method::GET {
            state.record_violation(format!("{} {}", request.method, request.url));
        }
        let received = ReceivedRequest { request, state };
        (state.fake.respond)(&received).unwrap_or_else(|| {
            state.record_violation(format!("nothing is documented at {}", request.url));
            ResponseTemplate::new(404)
        })
    }
}

/// A provider and a connected app.
pub(crate) struct Setup {
    pub(crate) app: TestApp,
    server: MockServer,
    state: Arc<State>,
    /// How many requests connecting sent.
    connecting: AtomicUsize,
}

/// Runs `test` with the provider and an app on `dialect`.
pub(crate) async fn on(dialect: Dialect, fake: FakeProvider, test: impl AsyncFnOnce(Setup)) {
    let (builder, server, state) = set_up(fake).await;
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    test(Setup::new(app, server, state)).await;
}

async fn set_up(fake: FakeProvider) -> (AppBuilder, MockServer, Arc<State>) {
    let state = Arc::new(State {
        fake,
        records: Mutex::default(),
        first: Mutex::default(),
        delayed: Mutex::default(),
        waited: Mutex::default(),
        violations: Mutex::default(),
    });
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(Server(Arc::clone(&state)))
        .mount(&server)
        .await;
    let url = server.uri().parse().unwrap();
    let provider = state.fake.provider.parse().unwrap();
    let builder = AppBuilder::default().upstream(|options| {
        options.base_urls.insert(provider, url);
    });
    (builder, server, state)
}

impl Setup {
    /// Starts the provider and an app on SQLite without a connection.
    pub(crate) async fn of(fake: FakeProvider) -> Self {
        let (builder, server, state) = set_up(fake).await;
        let app = builder.start(Dialect::Sqlite).await.unwrap();
        Self::new(app, server, state)
    }

    fn new(app: TestApp, server: MockServer, state: Arc<State>) -> Self {
        let connecting = AtomicUsize::new(0);
        Self {
            app,
            server,
            state,
            connecting,
        }
    }

    /// Changes the records of a list.
    pub(crate) fn change_records(&self, list_name: &str, change: impl FnOnce(&mut Vec<Json>)) {
        change(
            self.state
                .records
                .lock()
                .unwrap()
                .entry(list_name.to_owned())
                .or_default(),
        );
    }

    /// Changes the record of a list whose `field` is `value`.
    pub(crate) fn change(&self, list_name: &str, field: &str, value: &Json, change: impl FnOnce(&mut Json)) {
        self.change_records(list_name, |list| {
            change(list.iter_mut().find(|record| record[field] == *value).unwrap());
        });
    }

    /// Connects, and waits for the first runs.
    pub(crate) async fn connect(&self) {
        let reply = self.try_to_connect(&json!({})).await;
        reply.expect(201);
        self.run_due().await;
    }

    /// Connects with `wrong` in place of valid fields. Returns the error message; fails unless nothing is stored.
    pub(crate) async fn refusal(&self, wrong: &Json) -> String {
        let reply = self.try_to_connect(wrong).await.expect(400);
        assert_eq!(reply.code(), "connection_test_failed", "{}", reply.text);
        let path = format!(
            "/connections/{CONNECTION}?provider_config_key={}",
            self.state.fake.provider
        );
        self.app.admin().get(&path).await.expect(404);
        self.assert_no_violation();
        reply.message()
    }

    /// Connects with the valid fields, of which `others` replaces some.
    pub(crate) async fn try_to_connect(&self, others: &Json) -> testkit::Reply {
        let mut body = self.state.fake.fields.clone();
        body["connectionId"] = json!(CONNECTION);
        for (name, value) in others.as_object().unwrap() {
            body[name] = value.clone();
        }
        let path = format!("/{}/connect", self.state.fake.provider);
        let reply = self.app.admin().post(&path, &body).await;
        let made = self.server.received_requests().await.unwrap().len();
        self.connecting.store(made, Ordering::Relaxed);
        reply
    }

    /// Runs what is due; fails unless all runs so far succeeded.
    pub(crate) async fn run_due(&self) {
        self.app.run_due().await;
        self.assert_no_violation();
        for run in self.runs().await {
            assert_eq!(run["status"], "succeeded", "{run:#}");
        }
    }

    /// Advances the clock and runs what is due; returns the newest run, which must fail.
    pub(crate) async fn advance_to_failure(&self, time: Duration) -> Json {
        self.app.advance(time);
        self.app.run_due().await;
        self.assert_no_violation();
        let newest = self.runs().await.remove(0);
        assert_eq!(newest["status"], "failed", "{newest:#}");
        newest
    }

    /// Advances the clock and runs what is due.
    pub(crate) async fn advance_and_run(&self, time: Duration) {
        self.app.advance(time);
        self.run_due().await;
    }

    /// Starts a sync that does not start by itself, and runs it.
    pub(crate) async fn start(&self, sync: &str) {
        let provider = self.state.fake.provider;
        let body = json!({ "provider_config_key": provider, "connection_id": CONNECTION, "syncs": [sync] });
        self.app.admin().post("/sync/start", &body).await.expect(200);
        self.run_due().await;
    }

    /// The clock, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.app.clock().now().as_micros() / 1_000_000
    }

    /// Returns all runs, newest first.
    pub(crate) async fn runs(&self) -> Vec<Json> {
        let listed = self.app.admin().get("/sync/runs?limit=1000").await.expect(200);
        listed.json()["runs"].as_array().unwrap().clone()
    }

    /// The live rows of a table in the order of the API, newest first.
    pub(crate) async fn rows(&self, plural: &str) -> Vec<Json> {
        let path = format!("/{}/{plural}?connectionId={CONNECTION}", self.state.fake.provider);
        let listed = self
            .app
            .admin()
            .get_as(&path, "application/x-ndjson")
            .await
            .expect(200);
        listed
            .text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The row whose `field` is `value`.
    pub(crate) async fn row(&self, plural: &str, field: &str, value: &Json) -> Json {
        let rows = self.rows(plural).await;
        let found = rows.into_iter().find(|row| row[field] == *value);
        found.unwrap_or_else(|| panic!("no row with {field} {value}"))
    }

    /// The queries of requests for `path` since the connect, in order.
    pub(crate) async fn queries(&self, path: &str) -> Vec<String> {
        let connecting = self.connecting.load(Ordering::Relaxed);
        self.queries_among(path, connecting..usize::MAX).await
    }

    /// The queries of requests for `path` during the connect, in order.
    pub(crate) async fn queries_to_connect(&self, path: &str) -> Vec<String> {
        let connecting = self.connecting.load(Ordering::Relaxed);
        self.queries_among(path, 0..connecting).await
    }

    async fn queries_among(&self, path: &str, numbers: Range<usize>) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let numbered = requests.iter().enumerate();
        let of_path =
            numbered.filter(|(number, request)| numbers.contains(number) && request.url.path() == path);
        of_path
            .map(|(_, request)| request.url.query().unwrap_or_default().to_owned())
            .collect()
    }

    /// Responds to the next request with `response`; see [`Setup::waited`].
    pub(crate) fn respond_next(&self, response: ResponseTemplate) {
        self.state.first.lock().unwrap().push_back(response);
    }

    /// How long the app waited before it repeated the request of [`Setup::respond_next`].
    pub(crate) fn waited(&self) -> Duration {
        self.state
            .waited
            .lock()
            .unwrap()
            .take()
            .expect("the request was repeated")
    }

    fn assert_no_violation(&self) {
        assert_eq!(*self.state.violations.lock().unwrap(), Vec::<String>::new());
    }
}
