//! A server, its keys and its shutdown.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use twilio_sim::{SimConfig, Simulator};

use crate::process::{Running, Sandbox};

/// A sandbox that is configured for the simulator.
pub(crate) struct Served {
    pub(crate) simulator: Simulator,
    pub(crate) sandbox: Sandbox,
    key_file: PathBuf,
}

impl Served {
    pub(crate) fn new(messages: u64) -> Self {
        let simulator = Simulator::start(SimConfig {
            messages,
            ..SimConfig::default()
        })
        .unwrap();
        let known = simulator.credentials();
        let mut sandbox = Sandbox::new();
        sandbox.set("TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", &simulator.url());
        sandbox.set("TRUNKLINE_SECRET_KEY", "11111111-1111-4111-8111-111111111111");
        sandbox.set("TWILIO_ACCOUNT_SID", &known.account_sid);
        sandbox.set("TWILIO_AUTH_TOKEN", &known.auth_token);
        let key_file = sandbox.path().join("trunkline.db.key");
        Self {
            simulator,
            sandbox,
            key_file,
        }
    }

    pub(crate) fn start(&self) -> Running {
        self.sandbox.start(&["serve", "--listen", "127.0.0.1:0"])
    }

    /// Runs a client command against `running`; fails unless it succeeds.
    pub(crate) fn ask(&self, running: &Running, arguments: &[&str]) -> String {
        self.sandbox
            .succeed(&[arguments, &["--url", &running.url()]].concat())
    }

    pub(crate) fn sync(&self, running: &Running) -> String {
        self.ask(
            running,
            &[
                "sync",
                "trigger",
                "twilio",
                "--connection-id",
                "acme",
                "--reset",
                "--wait",
            ],
        )
    }
}

#[test]
fn a_first_start_creates_a_private_key_file_and_shows_an_api_key_once() {
    let sandbox = Sandbox::new();
    let first = sandbox.start(&["serve", "--listen", "127.0.0.1:0"]);
    let shown: Vec<String> = first
        .seen
        .iter()
        .filter(|line| line.contains("TRUNKLINE_SECRET_KEY=tl_dev_"))
        .cloned()
        .collect();
    assert_eq!(shown.len(), 1, "{:#?}", first.seen);
    let mode = std::fs::metadata(sandbox.path().join("trunkline.db.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        first.seen.iter().any(|line| line.contains("back up this file")),
        "{:#?}",
        first.seen
    );
    first.signal("TERM");

    let second = sandbox.start(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(
        !second.seen.iter().any(|line| line.contains("tl_dev_")),
        "{:#?}",
        second.seen
    );
}

#[test]
fn a_terminated_server_and_an_interrupted_worker_exit_successfully() {
    let sandbox = Sandbox::new();
    let (status, log) = sandbox
        .start(&["serve", "--listen", "127.0.0.1:0"])
        .signal("TERM");
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let (status, log) = sandbox.start(&["worker"]).signal("INT");
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

#[test]
fn connecting_syncing_and_reading_work_on_the_command_line() {
    let served = Served::new(40);
    let running = served.start();
    assert!(served.ask(&running, &["health"]).contains("is up"));
    let reported = served.sandbox.run(&[
        "connect",
        "twilio",
        "--connection-id",
        "acme",
        "--url",
        &running.url(),
    ]);
    assert!(reported.out.ends_with(": acme\n"), "{}", reported.out);
    assert!(reported.err.contains("sync status twilio"), "{}", reported.err);
    assert!(
        reported
            .err
            .contains("From environment variables: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN"),
        "{}",
        reported.err
    );

    assert!(served.sync(&running).contains(": ok in "));
    let records = ["records", "twilio", "messages", "--connection-id", "acme"];
    let rows = served.ask(&running, &[&records[..], &["--ndjson"]].concat());
    assert_eq!(
        u64::try_from(rows.lines().count()).unwrap(),
        served.simulator.live_count()
    );
    assert!(served.ask(&running, &records).contains("date_sent"));
    let listed = served.ask(&running, &["sync", "runs", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&listed).unwrap()["runs"][0]["id"].is_string());
    assert!(served.ask(&running, &["connections"]).contains("acme"));
    assert!(
        served
            .ask(&running, &["connections", "delete", "twilio", "acme", "--yes"])
            .contains("Deleted")
    );
}

#[test]
fn refused_credentials_are_reported_in_plain_words() {
    let mut served = Served::new(10);
    served
        .sandbox
        .set("TWILIO_AUTH_TOKEN", "00000000000000000000000000000000");
    let running = served.start();
    let ended = served
        .sandbox
        .run(&["connect", "twilio", "--url", &running.url()]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.err.contains("refused the credentials") && !ended.err.contains('{'),
        "{}",
        ended.err
    );
}

#[test]
fn a_key_that_may_not_read_a_sync_is_reported_by_connect_and_lists() {
    let mut served = Served::new(10);
    let known = served.simulator.credentials().clone();
    served
        .sandbox
        .set("TWILIO_API_KEY_SID", &known.restricted_key_sid);
    served
        .sandbox
        .set("TWILIO_API_KEY_SECRET", &known.restricted_key_secret);
    let running = served.start();
    let refused = "the key may not read twilio-messages: Twilio refused with HTTP 403, code 70051";

    let connect = [
        "connect",
        "twilio",
        "--connection-id",
        "acme",
        "--url",
        &running.url(),
    ];
    let reported = served.sandbox.run(&connect);
    assert!(reported.status.success(), "{}", reported.err);
    assert!(
        reported.err.contains(&format!("warning: {refused}")),
        "{}",
        reported.err
    );

    let row = |arguments: &[&str]| -> Vec<String> {
        let text = served.ask(&running, arguments);
        let line = text.lines().nth(1).unwrap();
        line.split('\t').map(str::to_owned).collect()
    };
    let connection = row(&["connections"]);
    assert_eq!(connection[2], "limited", "{connection:?}");
    assert!(connection[4].starts_with(refused), "{connection:?}");
    let shown = served.ask(&running, &["connections", "show", "twilio", "acme"]);
    assert!(shown.contains("limited") && shown.contains(refused), "{shown}");
    let sync = row(&["sync", "status", "twilio"]);
    assert!(sync[7].starts_with(refused), "{sync:?}");
}

#[test]
fn a_key_is_rotated_while_a_server_runs_and_the_old_one_can_be_removed() {
    let served = Served::new(20);
    let running = served.start();
    served.ask(&running, &["connect", "twilio", "--connection-id", "acme"]);
    served.sync(&running);

    let reported = served.sandbox.succeed(&["key", "rotate"]);
    assert!(
        reported.contains("1 credentials are encrypted again"),
        "{reported}"
    );
    assert!(
        served.sync(&running).contains(": ok in "),
        "the running server finds the new key"
    );

    let keys = std::fs::read_to_string(&served.key_file).unwrap();
    assert_eq!(keys.lines().count(), 2);
    std::fs::write(&served.key_file, keys.lines().next().unwrap()).unwrap();
    assert!(served.sync(&running).contains(": ok in "));
    running.signal("TERM");
    assert!(
        served.sync(&served.start()).contains(": ok in "),
        "a fresh server needs the new key alone"
    );
}

#[test]
fn a_lost_key_is_given_up_after_a_question_and_the_server_starts_again() {
    let served = Served::new(20);
    let running = served.start();
    served.ask(&running, &["connect", "twilio", "--connection-id", "acme"]);
    served.sync(&running);
    running.signal("TERM");
    let nothing = served.sandbox.succeed(&["key", "forget", "--lost"]);
    assert!(nothing.contains("No encryption key is lost"), "{nothing}");
    std::fs::remove_file(&served.key_file).unwrap();

    let refused = served.sandbox.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!refused.status.success());
    assert!(
        refused.err.contains("trunkline key forget --lost"),
        "{}",
        refused.err
    );
    let unsure = served.sandbox.run(&["key", "forget", "--lost"]);
    assert!(!unsure.status.success());
    assert!(
        unsure.err.contains("the credentials of 1 connection") && unsure.err.contains("--yes"),
        "{}",
        unsure.err
    );
    assert!(!served.sandbox.run(&["key", "forget", "--yes"]).status.success());

    let given_up = served.sandbox.succeed(&["key", "forget", "--lost", "--yes"]);
    assert!(given_up.contains("the credentials of 1 connection"), "{given_up}");
    let running = served.start();
    let listed = served.ask(&running, &["connections"]);
    assert!(listed.contains("acme") && listed.contains("lost"), "{listed}");
    let rows = served.ask(
        &running,
        &[
            "records",
            "twilio",
            "messages",
            "--connection-id",
            "acme",
            "--ndjson",
        ],
    );
    assert!(!rows.is_empty(), "its records are kept");
    served.ask(&running, &["connect", "twilio", "--connection-id", "acme"]);
    assert!(served.sync(&running).contains(": ok in "));
}
