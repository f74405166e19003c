//! A stage for one provider: a server that answers as its documentation shows, and an app that is connected to it.
//!
//! A test file describes its provider by a [`Play`]: the header that authorises, the refusal without it, and the answers. The lists
//! that are answered from are the stage's shelves, which a test changes while it goes on. What a provider would not understand (an
//! unknown path, a wrong parameter) is noted as an oddity, and the next [`Stage::run_due`] fails with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use testkit::{AppBuilder, Dialect, TestApp};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The clock of every stage begins here, in seconds since 1970: 2026-11-04T12:00:00Z.
pub(crate) const NOW: i64 = 1_793_793_600;
/// The name of the connection.
pub(crate) const CONNECTION: &str = "mine";

/// How a provider answers.
#[derive(Clone)]
pub(crate) struct Play {
    /// Its name.
    pub(crate) provider: &'static str,
    /// The fields that connect.
    pub(crate) fields: Json,
    /// The header that authorises, and its value for those fields.
    pub(crate) authorization: (&'static str, String),
    /// The documented answer to a call without it.
    pub(crate) refusal: ResponseTemplate,
    /// The documented answers to the calls that the file may make; `None` for all others.
    pub(crate) answers: fn(&Asked<'_>) -> Option<ResponseTemplate>,
}

/// A call that the provider answers.
pub(crate) struct Asked<'a> {
    request: &'a Request,
    scene: &'a Scene,
}

impl Asked<'_> {
    /// Scheme, host and port, for whole addresses in an answer.
    pub(crate) fn origin(&self) -> String {
        // The request's own address does not name the host that was called.
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

    /// A list of the stage; empty if the test put nothing there.
    pub(crate) fn shelf(&self, name: &str) -> Vec<Json> {
        self.scene
            .shelves
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Notes an oddity unless `is_so`.
    pub(crate) fn demand(&self, is_so: bool, what: &str) {
        if !is_so {
            self.scene.note(format!("{what}: {}", self.request.url));
        }
    }

    /// Notes parameters that the provider does not document.
    pub(crate) fn only(&self, known: &[&str]) {
        for name in self.parameters().keys() {
            self.demand(
                known.contains(&name.as_str()),
                &format!("there is no parameter {name}"),
            );
        }
    }
}

/// A successful answer.
#[expect(clippy::unnecessary_wraps, reason = "it is what a play's answers give")]
pub(crate) fn ok(body: &Json) -> Option<ResponseTemplate> {
    Some(answer(200, body))
}

pub(crate) fn answer(status: u16, body: &Json) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// The part of a list that a page shows.
pub(crate) fn part(list: &[Json], skip: usize, take: usize) -> Vec<Json> {
    list.iter().skip(skip).take(take).cloned().collect()
}

/// A page of a list that is counted by `page` and `per_page`, with the next one's address in a `Link` header.
#[expect(clippy::unnecessary_wraps, reason = "it is what a play's answers give")]
pub(crate) fn linked(asked: &Asked<'_>, origin: &str, list: &[Json]) -> Option<ResponseTemplate> {
    let (page, size) = (
        asked.number("page").unwrap_or(1),
        asked.number("per_page").unwrap_or(30),
    );
    asked.demand(size <= 100, "a page has 100 records at most");
    let shown = answer(200, &json!(part(list, (page - 1) * size, size)));
    if page * size >= list.len() {
        return Some(shown);
    }
    let mut parameters = asked.parameters();
    parameters.insert("page".to_owned(), (page + 1).to_string());
    let next = url::Url::parse_with_params(&format!("{origin}{}", asked.path()), &parameters).unwrap();
    Some(shown.insert_header(
        "Link",
        format!("<{origin}/>; rel=\"first\", <{next}>; rel=\"next\""),
    ))
}

/// What the server and the test share.
struct Scene {
    play: Play,
    shelves: Mutex<HashMap<String, Vec<Json>>>,
    /// Answers that come before the play's own.
    first: Mutex<VecDeque<ResponseTemplate>>,
    /// The address that got such an answer, and when.
    put_off: Mutex<Option<(String, Instant)>>,
    waited: Mutex<Option<Duration>>,
    oddities: Mutex<Vec<String>>,
}

impl Scene {
    fn note(&self, oddity: String) {
        self.oddities.lock().unwrap().push(oddity);
    }

    /// Notes how long the app waited, if this is the call that was put off.
    fn see(&self, address: &str) {
        let mut put_off = self.put_off.lock().unwrap();
        if let Some((_, since)) = put_off.take_if(|(waiting, _)| waiting == address) {
            *self.waited.lock().unwrap() = Some(since.elapsed());
        }
    }
}

struct Server(Arc<Scene>);

impl Respond for Server {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let scene = &self.0;
        let (name, good) = &scene.play.authorization;
        let given = request.headers.get(*name).and_then(|value| value.to_str().ok());
        if given != Some(good) {
            return scene.play.refusal.clone();
        }
        scene.see(request.url.as_str());
        if let Some(answer) = scene.first.lock().unwrap().pop_front() {
            *scene.put_off.lock().unwrap() = Some((request.url.to_string(), Instant::now()));
            return answer;
        }
        let asked = Asked { request, scene };
        if request.method != wiremock::http::Method::GET {
            scene.note(format!("{} {}", request.method, request.url));
        }
        (scene.play.answers)(&asked).unwrap_or_else(|| {
            scene.note(format!("nothing is documented at {}", request.url));
            ResponseTemplate::new(404)
        })
    }
}

/// A provider and an app.
pub(crate) struct Stage {
    pub(crate) app: TestApp,
    server: MockServer,
    scene: Arc<Scene>,
    /// How many requests connecting made.
    connecting: AtomicUsize,
}

/// Runs `test` on a stage over either database.
pub(crate) async fn on(dialect: Dialect, play: Play, test: impl AsyncFnOnce(Stage)) {
    let (builder, server, scene) = set_up(play).await;
    let Some(app) = builder.start(dialect).await else {
        return;
    };
    test(Stage::new(app, server, scene)).await;
}

async fn set_up(play: Play) -> (AppBuilder, MockServer, Arc<Scene>) {
    let scene = Arc::new(Scene {
        play,
        shelves: Mutex::default(),
        first: Mutex::default(),
        put_off: Mutex::default(),
        waited: Mutex::default(),
        oddities: Mutex::default(),
    });
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(Server(Arc::clone(&scene)))
        .mount(&server)
        .await;
    let url = server.uri().parse().unwrap();
    let provider = scene.play.provider.parse().unwrap();
    let builder = AppBuilder::default().upstream(|options| {
        options.base_urls.insert(provider, url);
    });
    (builder, server, scene)
}

impl Stage {
    /// A stage over SQLite that nothing is connected to yet.
    pub(crate) async fn of(play: Play) -> Self {
        let (builder, server, scene) = set_up(play).await;
        let app = builder.start(Dialect::Sqlite).await.unwrap();
        Self::new(app, server, scene)
    }

    fn new(app: TestApp, server: MockServer, scene: Arc<Scene>) -> Self {
        let connecting = AtomicUsize::new(0);
        Self {
            app,
            server,
            scene,
            connecting,
        }
    }

    /// What `change` makes of the list that the provider shows as `shelf`.
    pub(crate) fn shelve(&self, shelf: &str, change: impl FnOnce(&mut Vec<Json>)) {
        change(
            self.scene
                .shelves
                .lock()
                .unwrap()
                .entry(shelf.to_owned())
                .or_default(),
        );
    }

    /// The same for the one record whose `field` is `value`.
    pub(crate) fn change(&self, shelf: &str, field: &str, value: &Json, change: impl FnOnce(&mut Json)) {
        self.shelve(shelf, |list| {
            change(list.iter_mut().find(|record| record[field] == *value).unwrap());
        });
    }

    /// Connects, and lets the first runs come to their end.
    pub(crate) async fn connect(&self) {
        let reply = self.try_to_connect(&json!({})).await;
        reply.expect(201);
        self.run_due().await;
    }

    /// What a provider's refusal of these fields, in place of the good ones, is told as. Nothing is stored then.
    pub(crate) async fn refusal(&self, wrong: &Json) -> String {
        let reply = self.try_to_connect(wrong).await.expect(400);
        assert_eq!(reply.code(), "connection_test_failed", "{}", reply.text);
        let path = format!(
            "/connections/{CONNECTION}?provider_config_key={}",
            self.scene.play.provider
        );
        self.app.admin().get(&path).await.expect(404);
        self.assert_no_oddity();
        reply.message()
    }

    /// Sends the good fields with `others` in their place.
    pub(crate) async fn try_to_connect(&self, others: &Json) -> testkit::Reply {
        let mut body = self.scene.play.fields.clone();
        body["connectionId"] = json!(CONNECTION);
        for (name, value) in others.as_object().unwrap() {
            body[name] = value.clone();
        }
        let path = format!("/{}/connect", self.scene.play.provider);
        let reply = self.app.admin().post(&path, &body).await;
        let made = self.server.received_requests().await.unwrap().len();
        self.connecting.store(made, Ordering::Relaxed);
        reply
    }

    /// Lets what is due run to its end, and sees that all runs so far went well.
    pub(crate) async fn run_due(&self) {
        self.app.run_due().await;
        self.assert_no_oddity();
        for run in self.runs().await {
            assert_eq!(run["status"], "succeeded", "{run:#}");
        }
    }

    /// Lets time go on, and then what is due run; returns the newest run, which fails.
    pub(crate) async fn pass_to_failure(&self, time: Duration) -> Json {
        self.app.advance(time);
        self.app.run_due().await;
        self.assert_no_oddity();
        let newest = self.runs().await.remove(0);
        assert_eq!(newest["status"], "failed", "{newest:#}");
        newest
    }

    /// Lets time go on, and then what is due run.
    pub(crate) async fn pass(&self, time: Duration) {
        self.app.advance(time);
        self.run_due().await;
    }

    /// Starts a sync that does not start by itself, and lets it run.
    pub(crate) async fn start(&self, sync: &str) {
        let provider = self.scene.play.provider;
        let body = json!({ "provider_config_key": provider, "connection_id": CONNECTION, "syncs": [sync] });
        self.app.admin().post("/sync/start", &body).await.expect(200);
        self.run_due().await;
    }

    /// The clock, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.app.clock().now().as_micros() / 1_000_000
    }

    /// All runs, newest first.
    pub(crate) async fn runs(&self) -> Vec<Json> {
        let listed = self.app.admin().get("/sync/runs?limit=1000").await.expect(200);
        listed.json()["runs"].as_array().unwrap().clone()
    }

    /// The live rows of a table in the order of the API, newest first.
    pub(crate) async fn rows(&self, plural: &str) -> Vec<Json> {
        let path = format!("/{}/{plural}?connectionId={CONNECTION}", self.scene.play.provider);
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

    /// The queries with which `path` was called since the connection was made, in order.
    pub(crate) async fn queries(&self, path: &str) -> Vec<String> {
        let connecting = self.connecting.load(Ordering::Relaxed);
        self.queries_among(path, connecting..usize::MAX).await
    }

    /// The queries with which `path` was called to connect, in order.
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

    /// The next call is answered so, whatever it is; [`Stage::waited`] tells what became of it.
    pub(crate) fn first_answer(&self, answer: ResponseTemplate) {
        self.scene.first.lock().unwrap().push_back(answer);
    }

    /// How long the app waited to make the call again that [`Stage::first_answer`] answered.
    pub(crate) fn waited(&self) -> Duration {
        self.scene
            .waited
            .lock()
            .unwrap()
            .take()
            .expect("the call was made again")
    }

    fn assert_no_oddity(&self) {
        assert_eq!(*self.scene.oddities.lock().unwrap(), Vec::<String>::new());
    }
}
