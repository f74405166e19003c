//! `webhooks listen`: events are forwarded to this machine.

use wiremock::ResponseTemplate;

use crate::webhooks::{World, assert_signed, wait_for};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[test]
fn listen_forwards_signed_events_and_survives_a_restart_of_the_gateway() {
    let mut world = World::new(10);
    let running = world.start();
    let receiver = world.receiver();
    let (url, to) = (running.url(), receiver.url());
    let port = url.rsplit(':').next().unwrap();
    let listen = [
        "webhooks",
        "listen",
        "--forward-to",
        &to,
        "--events",
        "connection.*",
        "--secret",
        SECRET,
    ];
    let mut listening = world.sandbox().start_until(&listen, "Ctrl-C ends this");
    assert!(
        listening.seen.iter().any(|line| line.contains(SECRET)),
        "{:#?}",
        listening.seen
    );

    world.connect("acme");
    let got = wait_for(&receiver, 1);
    assert_signed(&got[0], SECRET);
    assert_eq!(got[0].event_type(), "connection.created");
    assert_eq!(got[0].header("content-type"), "application/json");
    let listed: serde_json::Value = serde_json::from_str(&world.ask(&["events", "--json"])).unwrap();
    let event = &listed["events"][0];
    assert_eq!(event["id"], got[0].id());
    assert_eq!(event["data"], got[0].json()["data"]);

    running.signal("TERM");
    listening.wait_for("The gateway does not respond");
    let _running = world.sandbox().start(&["serve", "--port", port]);
    listening.wait_for("The gateway responds again");
    world.connect("other");
    wait_for(&receiver, 2);
    listening.wait_for_output("\tother\t");

    let ended = listening.end("INT");
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.err.contains("2 events forwarded."), "{}", ended.err);
    let lines: Vec<Vec<&str>> = ended.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 3, "{}", ended.out);
    assert_eq!(
        lines[0],
        [
            "time",
            "type",
            "connection",
            "integration",
            "status",
            "ms",
            "problem",
            "event"
        ]
    );
    assert_eq!(lines[1][1..5], ["connection.created", "acme", "twilio", "204"]);
    assert_eq!(lines[2][2], "other");
}

#[test]
fn listen_says_what_the_app_refused_and_that_nothing_listens() {
    let mut world = World::new(5);
    let _running = world.start();
    let receiver = world.answering(ResponseTemplate::new(500).set_body_string("oops"));
    let elsewhere = "http://127.0.0.1:1/elsewhere";
    let redirecting = world.answering(ResponseTemplate::new(307).insert_header("location", elsewhere));
    let listen = |to: &str| {
        let listen = [
            "webhooks",
            "listen",
            "--json",
            "--events",
            "connection.*",
            "--forward-to",
            to,
        ];
        world.sandbox().start_until(&listen, "Ctrl-C ends this")
    };
    let (refused, redirected, nobody) = (
        listen(&receiver.url()),
        listen(&redirecting.url()),
        listen("127.0.0.1:1"),
    );

    world.connect("acme");

    for (mut listening, status, problem) in [
        (refused, 500.into(), "oops"),
        (redirected, 307.into(), "webhooks do not follow redirects"),
        (
            nobody,
            serde_json::Value::Null,
            "nothing listens at http://127.0.0.1:1/",
        ),
    ] {
        listening.wait_for_output("\"status\"");
        let ended = listening.end("INT");
        assert!(ended.err.contains("your app did not accept 1."), "{}", ended.err);
        let line: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(line["status"], status, "{line}");
        assert!(
            line["problem"].as_str().unwrap_or_default().starts_with(problem),
            "{line}"
        );
        assert_eq!(line["connection_id"], "acme");
    }
    let ended = world
        .sandbox()
        .run(&["webhooks", "listen", "--forward-to", "x", "--secret", "geheim"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        ended.err.contains("whsec_") && !ended.err.contains("geheim"),
        "{}",
        ended.err
    );
}
