//! `webhooks` and `events`: endpoints, deliveries and the feed of events on the command line.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use signature::standard::{self, SigningKey};
use testkit::{Receiver, Webhook};
use wiremock::ResponseTemplate;

use crate::process::{Running, Sandbox};
use crate::serving::Served;
use crate::terminal::shown;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_mins(2);

/// A gateway that may send webhooks to this machine, and a runtime for receivers.
pub(crate) struct World {
    served: Served,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new(messages: u64) -> Self {
        let mut served = Served::new(messages);
        served
            .sandbox
            .set("TRUNKLINE_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES", "true");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { served, runtime }
    }

    /// Starts the gateway, and points further commands to it.
    pub(crate) fn start(&mut self) -> Running {
        let running = self.served.start();
        self.sandbox_mut().set("TRUNKLINE_API_URL", &running.url());
        running
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.served.sandbox
    }

    fn sandbox_mut(&mut self) -> &mut Sandbox {
        &mut self.served.sandbox
    }

    pub(crate) fn receiver(&self) -> Receiver {
        self.runtime.block_on(Receiver::start())
    }

    /// Starts a receiver with one response to everything.
    pub(crate) fn answering(&self, response: ResponseTemplate) -> Receiver {
        self.runtime
            .block_on(Receiver::answering(move |_, _| response.clone()))
    }

    /// Runs a command; fails unless it succeeds.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        self.sandbox().succeed(arguments)
    }

    pub(crate) fn connect(&self, id: &str) {
        self.ask(&["connect", "twilio", "--connection-id", id]);
    }
}

/// Waits until a receiver has this many webhooks.
pub(crate) fn wait_for(receiver: &Receiver, count: usize) -> Vec<Webhook> {
    wait(&format!("{count} webhooks arrive"), || {
        receiver.got().len() >= count
    });
    receiver.got()
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "this did not come true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the value of a property in tab-separated values.
fn property(text: &str, name: &str) -> String {
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    let mut found = lines
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned());
    found.next().unwrap_or_default()
}

pub(crate) fn assert_signed(webhook: &Webhook, secret: &str) {
    let at: i64 = webhook.header("webhook-timestamp").parse().unwrap();
    let at = domain::Timestamp::from_micros(at * 1_000_000);
    let key = SigningKey::parse(&SecretString::from(secret)).unwrap();
    let signed = standard::sign([&key], &webhook.id(), at, &webhook.body).unwrap();
    let entries: Vec<&str> = webhook.header("webhook-signature").split(' ').collect();
    assert!(entries.contains(&signed.signature.as_str()), "{entries:?}");
}

#[test]
fn an_endpoint_is_created_and_its_deliveries_are_shown_and_sent_again() {
    let mut world = World::new(10);
    let _running = world.start();
    let receiver = world.receiver();

    let made = world.sandbox().run(&[
        "webhooks",
        "create",
        &receiver.url(),
        "--events",
        "connection.*",
        "--header",
        "Authorization: Bearer geheim",
        "--retry-seconds",
        "0,5",
        "--ordered",
    ]);
    assert!(made.status.success(), "{}", made.err);
    let (id, secret) = (property(&made.out, "endpoint"), property(&made.out, "secret"));
    assert!(
        id.starts_with("we_") && secret.starts_with("whsec_"),
        "{}",
        made.out
    );
    assert!(made.err.contains("it is not shown again"), "{}", made.err);

    world.connect("acme");
    let got = wait_for(&receiver, 1);
    assert_signed(&got[0], &secret);
    assert_eq!(got[0].event_type(), "connection.created");
    assert_eq!(got[0].header("authorization"), "Bearer geheim");

    let listed = world.ask(&["webhooks"]);
    assert!(listed.contains(&id) && listed.contains("\tok\t"), "{listed}");
    let show = world.ask(&["webhooks", "show", &id]);
    assert_eq!(property(&show, "events"), "connection.*");
    assert_eq!(property(&show, "headers"), "Authorization");
    assert_eq!(property(&show, "attempts"), "0,5");
    assert_eq!(property(&show, "ordered"), "yes");
    assert!(!show.contains("whsec_") && !show.contains("geheim"), "{show}");

    wait("the delivery is stored", || {
        world
            .ask(&["webhooks", "deliveries", "--endpoint", &id])
            .contains("\tdelivered\t")
    });
    let filters = ["--status", "delivered", "--connection", "acme", "--limit", "5"];
    let deliveries = world.ask(&[&["webhooks", "deliveries"], &filters[..]].concat());
    let delivery = deliveries
        .lines()
        .nth(1)
        .unwrap()
        .split('\t')
        .next()
        .unwrap()
        .to_owned();
    let attempts = world.ask(&["webhooks", "delivery", &delivery]);
    assert_eq!(property(&attempts, "type"), "connection.created");
    assert!(property(&attempts, "try 1").contains(": 204 in "), "{attempts}");
    let beginning = delivery.get(.."dlv_0198f0c8a2b3".len()).unwrap();
    assert!(
        world
            .ask(&["webhooks", "delivery", beginning])
            .contains(&delivery)
    );

    world.ask(&["webhooks", "replay-delivery", &delivery]);
    wait("the second attempt is stored", || {
        let shown = world.ask(&["webhooks", "delivery", &delivery]);
        property(&shown, "try 2").contains(": 204 in ")
    });
    let replayed = world.ask(&["webhooks", "replay", &id, "--since", "1h"]);
    assert!(replayed.contains("all events since"), "{replayed}");
    let got = wait_for(&receiver, 3);
    assert!(got.iter().all(|webhook| webhook.id() == got[0].id()), "one event");
    let none = world.ask(&["webhooks", "replay", &id, "--failed"]);
    assert!(none.contains("Sending 0 failed deliveries"), "{none}");
}

#[test]
fn an_endpoint_is_changed_and_deleted_and_its_secret_replaced() {
    let mut world = World::new(5);
    let _running = world.start();
    let receiver = world.receiver();
    let made = world.ask(&[
        "webhooks",
        "create",
        &receiver.url(),
        "--events",
        "sync.*",
        "--ordered",
    ]);
    let (id, secret) = (property(&made, "endpoint"), property(&made, "secret"));

    let rotated = world.ask(&["webhooks", "rotate-secret", &id, "--overlap", "1h"]);
    let new = property(&rotated, "secret");
    assert_ne!(new, secret);
    let example = world.ask(&["webhooks", "example", &id, "sync.failed"]);
    assert!(example.starts_with("sync.failed: 204 in "), "{example}");
    let got = receiver.got();
    assert_signed(&got[0], &secret);
    assert_signed(&got[0], &new);

    let changed = world.ask(&[
        "webhooks",
        "update",
        &id,
        "--disable",
        "--ordered=false",
        "--reset",
        "events",
    ]);
    assert_eq!(property(&changed, "state"), "disabled");
    assert_eq!(property(&changed, "ordered"), "no");
    assert_eq!(property(&changed, "events"), "*");
    let enabled = world.ask(&["webhooks", "update", &id, "--enable", "--json"]);
    assert!(enabled.contains("\"enabled\": true"), "{enabled}");
    let nothing = world.sandbox().run(&["webhooks", "update", &id]);
    assert_eq!(nothing.status.code(), Some(2), "{}", nothing.err);

    let unsure = world.sandbox().run(&["webhooks", "delete", &id]);
    assert!(unsure.err.contains("--yes"), "{}", unsure.err);
    world.ask(&["webhooks", "delete", &id, "--yes"]);
    assert_eq!(world.ask(&["webhooks", "list"]).lines().count(), 1);
    let unknown = world.sandbox().run(&["webhooks", "show", &id]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        unknown.err.contains("there is no webhook endpoint"),
        "{}",
        unknown.err
    );
}

#[test]
fn an_example_that_the_endpoint_refuses_is_a_failure_and_its_words_are_shown() {
    let mut world = World::new(5);
    let _running = world.start();
    let receiver = world.answering(ResponseTemplate::new(401).set_body_string("who are you?"));
    let made = world.ask(&["webhooks", "create", &receiver.url()]);
    let id = property(&made, "endpoint");

    let ended = world
        .sandbox()
        .run(&["webhooks", "example", &id, "connection.created"]);

    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    assert!(
        ended.out.starts_with("connection.created: 401 in ") && ended.out.ends_with(": who are you?\n"),
        "{}",
        ended.out
    );
    let ended = world
        .sandbox()
        .run(&["webhooks", "example", &id, "connection.made"]);
    assert!(ended.err.contains("connection.created"), "{}", ended.err);
}

#[test]
fn events_are_listed_and_followed() {
    let mut world = World::new(10);
    let _running = world.start();
    let mut following = world
        .sandbox()
        .start_until(&["events", "--follow"], "Waiting for events");
    world.connect("acme");
    wait("the first run is an event", || {
        world.ask(&["events", "--types", "sync.*"]).contains("acme")
    });

    let listed = world.ask(&["events"]);
    let heading = "time\ttype\tconnection\tintegration\tabout\tevent\n";
    assert!(listed.starts_with(heading), "{listed}");
    assert!(
        listed.contains("\tconnection.created\tacme\ttwilio\t\tevt_"),
        "{listed}"
    );
    let newest = world.ask(&["events", "--limit", "1"]);
    assert!(
        newest.lines().count() == 2 && newest.contains("\ttwilio-messages: "),
        "{newest}"
    );
    let json: serde_json::Value = serde_json::from_str(&world.ask(&["events", "--json"])).unwrap();
    assert_eq!(json["events"][0]["type"], "connection.created");
    assert!(json["next_cursor"].is_string());
    following.wait_for_output("sync.succeeded");
    let ended = following.end("INT");
    assert!(ended.status.success(), "{}", ended.err);
    let beginning = |text: &str| text.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(beginning(&ended.out), beginning(&listed));

    let unknown = world.sandbox().run(&["events", "--types", "sync.succeded"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        unknown.err.contains("did you mean sync.succeeded?"),
        "{}",
        unknown.err
    );
}

#[test]
fn tables_of_webhooks_fit_80_columns() {
    let mut world = World::new(10);
    let _running = world.start();
    let receiver = world.receiver();
    let made = world.ask(&[
        "webhooks",
        "create",
        &format!("{}/with/a/long/path/that/has/no/room/in/a/table", receiver.url()),
        "--description",
        "The hooks of our app, which has a long description",
        "--ed25519",
    ]);
    let id = property(&made, "endpoint");
    let dead = world.ask(&[
        "webhooks",
        "create",
        "http://127.0.0.1:1/dead",
        "--events",
        "sync.*,action.*",
    ]);
    let dead = property(&dead, "endpoint");
    world.connect("a-connection");
    wait_for(&receiver, 2);
    wait("an attempt at the dead endpoint failed", || {
        world.ask(&["webhooks", "show", &dead]).contains("failing")
    });
    let deliveries = world.ask(&["webhooks", "deliveries", "--endpoint", &dead]);
    let delivery = deliveries.lines().nth(1).unwrap().split('\t').next().unwrap();

    let commands: [&[&str]; 9] = [
        &["webhooks", "list"],
        &["webhooks", "show", &id],
        &["webhooks", "show", &dead],
        &["webhooks", "deliveries"],
        &["webhooks", "delivery", delivery],
        &["webhooks", "replay", &id, "--since", "1h"],
        &["webhooks", "rotate-secret", &id],
        &["events"],
        &["help", "webhooks", "replay"],
    ];
    for command in commands {
        let text = shown(world.sandbox(), 80, command);
        let plain = text
            .replace("\u{1b}[1m", "")
            .replace("\u{1b}[0m", "")
            .replace("\u{1b}[4m", "");
        for line in plain.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line:?}");
        }
    }
    let listed = shown(world.sandbox(), 80, &["webhooks"]);
    assert!(listed.contains("failing") && listed.contains("…"), "{listed}");
    let short = listed.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert!(
        shown(world.sandbox(), 80, &["webhooks", "show", short]).contains(&id),
        "{listed}"
    );
    let listed = shown(world.sandbox(), 80, &["webhooks", "deliveries"]);
    assert!(
        listed.contains("delivered") && listed.contains("pending"),
        "{listed}"
    );
}
