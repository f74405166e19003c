//! `kill -9` while a provider sends events, some of them twice, late, out of order or forged.

use std::time::Duration;

use domain::{IncomingEvent, IncomingStatus};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};
use store::incoming::{self, IncomingFilter, LeasedIncoming};
use store::lease;
use testkit::{AppBuilder, Dialect, TestApp, assert_table_equals_truth, wait_until};
use twilio_sim::{CustomWebhook, Faults, InboundMessage, NewMessage, Patch, Status, WebhookFaults};

use crate::kills::Seed;
use crate::processes::{Process, Sandbox};
use crate::provider::{FORGED, Provider, event_ids};
use crate::webhooks::{EVENTS, KILLS, set};

/// The address that the provider knows. The simulator sends its requests to [`Provider`].
const PUBLIC: &str = "https://hooks.example.com";
const NAME: &str = "mine";
/// Requests that wait for a response. The next change of a message waits until there are fewer.
const MOST_OPEN: usize = 16;
/// The types of events that the account subscribes to.
const TYPES: [&str; 7] = [
    "message.queued",
    "message.sent",
    "message.delivered",
    "message.undelivered",
    "message.failed",
    "message.read",
    "inbound-message.received",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_postgres_lose_no_event_of_a_provider() {
    let commands: [&[&str]; 3] = [
        &["serve", "--no-worker", "--listen", "127.0.0.1:0"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["worker"],
    ];
    survive(Dialect::Postgres, &commands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_on_sqlite_lose_no_event_of_a_provider() {
    survive(Dialect::Sqlite, &[&["serve", "--listen", "127.0.0.1:0"]]).await;
}

async fn survive(dialect: Dialect, commands: &[&'static [&'static str]]) {
    let app = AppBuilder::default().system_clock().simulator(|config| {
        config.messages = 5;
        config.faults.latency_ms = 5;
    });
    let Some(app) = app.start(dialect).await else {
        return;
    };
    let seed = Seed(rand::random());
    let provider = Provider::start(seed.0).await;
    app.simulator().route_webhooks(PUBLIC, &provider.origin);
    // Nothing but events may change the table from here on.
    connect_and_pause(&app).await;
    subscribe(&app).await;
    let runs = runs(&app).await;
    let mut sandbox = Sandbox::new(&app);
    sandbox.set("TRUNKLINE_PUBLIC_URL", PUBLIC);
    let mut processes: Vec<Running> = commands
        .iter()
        .map(|command| Running::start(&mut sandbox, command))
        .collect();

    let (events, kills) = (
        set("TRUNKLINE_TEST_WEBHOOK_EVENTS", EVENTS),
        set("TRUNKLINE_TEST_WEBHOOK_KILLS", KILLS),
    );
    let mut account = Account::new(&app, seed.0);
    let mut held = 0;
    for number in 1..=events {
        account.change(&app);
        wait_until("requests get responses", async || {
            provider.set_urls(urls(&mut processes));
            provider.open() < MOST_OPEN
        })
        .await;
        if number % (events / kills).max(1) == 0 {
            held += app
                .store()
                .read(lease::count_held::<IncomingEvent>)
                .await
                .unwrap();
            let victim = account.dice.random_range(0..processes.len());
            let Running { process, command, .. } = processes.swap_remove(victim);
            process.kill();
            processes.push(Running::start(&mut sandbox, command));
        }
    }
    wait_until("every event is processed", async || {
        provider.set_urls(urls(&mut processes));
        let sent = app.simulator().webhooks_idle() && provider.open() == 0;
        sent && list(&app, Some(IncomingStatus::Pending)).await.is_empty()
    })
    .await;

    let ended = provider.ended();
    assert!(ended.wrong.is_empty(), "{:#?}", ended.wrong);
    assert_eq!(ended.refused, account.forged, "every forged request is refused");
    assert!(
        held > 0 && provider.repeated() > 0,
        "kills cut off {held} events and {} requests: nothing was proved",
        provider.repeated()
    );
    assert!(
        ended.accepted.len() >= events / 2,
        "{} events",
        ended.accepted.len()
    );
    assert_each_once(&app, &ended.accepted.into_iter().collect::<Vec<_>>()).await;
    assert_eq!(self::runs(&app).await, runs, "no run of the sync has helped");
    assert_table_equals_truth(&app, NAME).await;
}

/// A process, and its URL once it serves.
struct Running {
    process: Process,
    command: &'static [&'static str],
    url: Option<String>,
}

impl Running {
    fn start(sandbox: &mut Sandbox, command: &'static [&'static str]) -> Self {
        Self {
            process: sandbox.start(command),
            command,
            url: None,
        }
    }
}

fn urls(processes: &mut [Running]) -> Vec<String> {
    for running in processes.iter_mut().filter(|running| running.url.is_none()) {
        if running.command.contains(&"serve") {
            running.url = running.process.logged("url");
        }
    }
    processes
        .iter()
        .filter_map(|running| running.url.clone())
        .collect()
}

/// Connects the account, reads its messages once, and pauses the sync.
async fn connect_and_pause(app: &TestApp) {
    let known = app.simulator().credentials();
    let body =
        json!({ "connectionId": NAME, "accountSid": known.account_sid, "authToken": known.auth_token });
    app.admin().post("/twilio/connect", &body).await.expect(201);
    app.run_due().await;
    let selected =
        json!({ "provider_config_key": "twilio", "connection_id": NAME, "syncs": ["twilio-messages"] });
    app.admin().post("/sync/pause", &selected).await.expect(200);
}

/// Subscribes the address of the connection to Event Streams, and that of the integration to the messages that a number receives.
async fn subscribe(app: &TestApp) {
    let shown = app
        .admin()
        .get("/twilio/webhooks/address?connectionId=mine")
        .await;
    let url = shown.expect(200).json()["data"]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = url::Url::parse(&url).unwrap().path().to_owned();
    let destination =
        json!({ "destination": format!("{PUBLIC}{path}"), "method": "POST", "batch_events": true });
    let configuration = destination.to_string();
    let sink = [
        ("Description", "crash"),
        ("SinkType", "webhook"),
        ("SinkConfiguration", &configuration),
    ];
    let sink = post(app, "/v1/Sinks", &sink).await;
    let types: Vec<String> = TYPES
        .iter()
        .map(|name| json!({ "type": format!("com.twilio.messaging.{name}") }).to_string())
        .collect();
    let mut form = vec![
        ("Description", "crash"),
        ("SinkSid", sink["sid"].as_str().unwrap()),
    ];
    form.extend(types.iter().map(|text| ("Types", text.as_str())));
    post(app, "/v1/Subscriptions", &form).await;
    let numbers = format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers",
        app.simulator().credentials().account_sid
    );
    let listed = request(app, reqwest::Method::GET, &format!("{numbers}.json"), &[]).await;
    let own = &app.simulator().assets().numbers[0];
    let all = listed["incoming_phone_numbers"].as_array().unwrap();
    let number = all.iter().find(|number| number["phone_number"] == own.as_str());
    let path = format!("{numbers}/{}.json", number.unwrap()["sid"].as_str().unwrap());
    post(app, &path, &[("SmsUrl", &integration_url())]).await;
}

fn integration_url() -> String {
    format!("{PUBLIC}/webhook/dev/twilio")
}

async fn post(app: &TestApp, path: &str, form: &[(&str, &str)]) -> Json {
    request(app, reqwest::Method::POST, path, form).await
}

/// Sends a request to the simulator's API.
async fn request(app: &TestApp, method: reqwest::Method, path: &str, form: &[(&str, &str)]) -> Json {
    let known = app.simulator().credentials();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let http = reqwest::Client::builder().build().unwrap();
    let sent = http
        .request(method, format!("{}{path}", app.simulator().url()))
        .basic_auth(&known.account_sid, Some(&known.auth_token))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let response = sent.send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {response:?}");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

fn set_faults(app: &TestApp, webhooks: WebhookFaults) {
    let faults = app.simulator().faults();
    app.simulator().set_faults(Faults { webhooks, ..faults });
}

/// The messages that change, and the random choices.
struct Account {
    dice: StdRng,
    /// Messages whose status changes again.
    unfinished: Vec<(String, Status)>,
    changes: u64,
    /// The number of forged requests.
    forged: usize,
}

impl Account {
    fn new(app: &TestApp, seed: u64) -> Self {
        let account = Self {
            dice: StdRng::seed_from_u64(seed),
            unfinished: Vec::new(),
            changes: 0,
            forged: 0,
        };
        set_faults(
            app,
            WebhookFaults {
                doubled: 0.1,
                repeated: 0.1,
                ..WebhookFaults::default()
            },
        );
        account
    }

    /// Changes a message, or forges an event of one.
    fn change(&mut self, app: &TestApp) {
        self.changes += 1;
        match self.dice.random_range(0..10) {
            0 => {
                app.simulator().receive(&InboundMessage {
                    to: Some(app.simulator().assets().numbers[0].clone()),
                    body: Some(format!("received {}", self.changes)),
                    ..InboundMessage::default()
                });
            }
            1 if !self.unfinished.is_empty() => self.forge(app),
            2..8 if !self.unfinished.is_empty() => {
                let index = self.dice.random_range(0..self.unfinished.len());
                let (sid, status) = self.unfinished.swap_remove(index);
                self.advance(app, sid, status);
            }
            _ => {
                let sid = app.simulator().insert(NewMessage {
                    status: Some(Status::Queued),
                    status_callback: Some(integration_url()),
                    ..NewMessage::default()
                });
                // The first status is in no status callback.
                self.advance(app, sid, Status::Queued);
            }
        }
    }

    /// Gives a message its next status, and at its end what only the record has.
    fn advance(&mut self, app: &TestApp, sid: String, status: Status) {
        let next = match status {
            Status::Queued => Status::Sending,
            Status::Sending if self.dice.random_range(0..8) == 0 => Status::Failed,
            Status::Sending => Status::Sent,
            Status::Sent if self.dice.random_range(0..4) == 0 => Status::Undelivered,
            Status::Sent => Status::Delivered,
            _ => Status::Read,
        };
        let failed = matches!(next, Status::Failed | Status::Undelivered);
        let ended = failed || matches!(next, Status::Delivered | Status::Read);
        let patch = Patch {
            status: Some(next),
            error_code: failed.then_some(Some(30_005)),
            price: ended.then(|| Some(format!("-0.{:05}", self.changes))),
            body: (next == Status::Read).then(String::new),
            date_updated: Some(app.simulator().now() + Duration::from_secs(self.changes)),
            ..Patch::default()
        };
        assert!(app.simulator().patch(&sid, patch));
        if !failed && next != Status::Read {
            self.unfinished.push((sid, next));
        }
    }

    /// Sends a status callback that says that a message has failed, with a wrong signature or altered after it was signed.
    fn forge(&mut self, app: &TestApp) {
        let known = app.simulator().credentials();
        let (sid, _) = &self.unfinished[self.dice.random_range(0..self.unfinished.len())];
        let usual = app.simulator().faults().webhooks;
        let altered = self.dice.random_range(0..2) == 0;
        let (wrong_signature, altered) = if altered { (0.0, 1.0) } else { (1.0, 0.0) };
        set_faults(
            app,
            WebhookFaults {
                wrong_signature,
                altered,
                ..WebhookFaults::default()
            },
        );
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        app.simulator().send_webhook(CustomWebhook {
            url: format!("{}?{FORGED}", integration_url()),
            parameters: vec![
                parameter("AccountSid", &known.account_sid),
                parameter("MessageSid", sid),
                parameter("MessageStatus", "failed"),
                parameter("ErrorCode", "30001"),
            ],
            ..CustomWebhook::default()
        });
        set_faults(app, usual);
        self.forged += 1;
    }
}

/// Every accepted event is stored once, is processed, and has reached the app once.
async fn assert_each_once(app: &TestApp, accepted: &[String]) {
    let all = list(app, None).await;
    let mut ids = Vec::new();
    for leased in &all {
        let event = &leased.event;
        assert_eq!(
            (event.status, event.verified, event.error.as_deref()),
            (IncomingStatus::Processed, true, None),
            "{event:?}"
        );
        let request = &leased.request;
        ids.extend(event_ids(&request.headers, request.body.as_deref().unwrap()));
    }
    ids.sort();
    assert_eq!(ids, accepted, "the stored events are those that were accepted");
    let mut forwarded = 0;
    wait_until("every event is published", async || {
        forwarded = count_forwarded(app).await;
        forwarded >= all.len()
    })
    .await;
    assert_eq!(forwarded, all.len(), "the app gets each event once");
}

async fn list(app: &TestApp, status: Option<IncomingStatus>) -> Vec<LeasedIncoming> {
    let environment = app.caller().await.environment;
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let filter = IncomingFilter {
            integration: None,
            status,
            connection_name: None,
            before,
            limit: 500,
        };
        let page = app.store().read(move |c| {
            let events = incoming::list(c, environment, &filter)?;
            let found = events
                .iter()
                .map(|event| incoming::find(c, environment, event.id));
            found.collect::<Result<Vec<_>, _>>()
        });
        let page = page.await.unwrap();
        let Some(last) = page.last() else { return all };
        before = Some(last.event.number);
        all.extend(page);
    }
}

/// Returns how many events of the provider are in the feed.
async fn count_forwarded(app: &TestApp) -> usize {
    let (mut count, mut cursor) = (0, "0".to_owned());
    loop {
        let path = format!("/events?types=provider.event&limit=1000&cursor={cursor}");
        let page = app.admin().get(&path).await.expect(200).json();
        let events = page["events"].as_array().unwrap().len();
        if events == 0 {
            return count;
        }
        count += events;
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
    }
}

/// Returns how many runs the sync had.
async fn runs(app: &TestApp) -> usize {
    let listed = app.admin().get("/sync/runs?limit=1000").await.expect(200);
    listed.json()["runs"].as_array().unwrap().len()
}
