//! Integrations that only the gateway knows: commands ask it, and read no provider files.

use twilio_sim::{SimConfig, Simulator};

use crate::process::{Running, Sandbox};

/// A gateway with a folder of provider files, and a client sandbox that has only the key.
struct Apart {
    _simulator: Simulator,
    gateway: Sandbox,
    client: Sandbox,
}

const KEY: &str = "11111111-1111-4111-8111-111111111111";

impl Apart {
    fn new() -> Self {
        let simulator = Simulator::start(SimConfig {
            messages: 30,
            ..SimConfig::default()
        })
        .unwrap();
        let known = simulator.credentials();
        let (mut gateway, mut client) = (Sandbox::new(), Sandbox::new());
        let file = include_str!("../../../../integrations/twilio.yaml")
            .replace("twilio", "acme")
            .replace("TWILIO_", "ACME_")
            .replace("display_name: Twilio", "display_name: Acme");
        std::fs::create_dir(gateway.path().join("files")).unwrap();
        std::fs::write(gateway.path().join("files/acme.yaml"), file).unwrap();
        gateway.set("TRUNKLINE_INTEGRATIONS_DIR", "files");
        gateway.set("TRUNKLINE_PROVIDERS__ACME__BASE_URL", &simulator.url());
        gateway.set("TRUNKLINE_SECRET_KEY", KEY);
        client.set("TRUNKLINE_SECRET_KEY", KEY);
        client.set("ACME_ACCOUNT_SID", &known.account_sid);
        client.set("ACME_AUTH_TOKEN", &known.auth_token);
        Self {
            _simulator: simulator,
            gateway,
            client,
        }
    }

    fn start(&self) -> Running {
        self.gateway.start(&["serve", "--listen", "127.0.0.1:0"])
    }

    fn ask(&self, running: &Running, arguments: &[&str]) -> String {
        self.client
            .succeed(&[arguments, &["--url", &running.url()]].concat())
    }
}

#[test]
fn every_command_works_for_a_provider_file_that_only_the_gateway_has() {
    let apart = Apart::new();
    let running = apart.start();

    let reported = apart.ask(&running, &["connect", "acme", "--connection-id", "mine"]);
    assert!(reported.contains("Acme connection created"), "{reported}");
    apart.ask(&running, &["sync", "trigger", "acme", "--wait", "--reset"]);
    let records = ["records", "acme", "messages", "--connection-id", "mine"];
    let rows = apart.ask(
        &running,
        &[&records[..], &["--limit", "100", "--columns", "sid,status"]].concat(),
    );
    assert!(
        rows.starts_with("sid\tstatus\n") && rows.lines().count() > 25,
        "{rows}"
    );
    let none = apart.ask(
        &running,
        &[&records[..], &["--before", "2001-01-01T00:00:00Z"]].concat(),
    );
    assert_eq!(none.lines().count(), 1, "{none}");
    assert!(
        apart
            .ask(&running, &["action", "acme"])
            .contains("send-message\t")
    );
    let listed = apart.ask(&running, &["providers", "list", "--server"]);
    assert!(
        listed.contains("acme\tAcme\tBASIC\tacme-messages\tacme_messages"),
        "{listed}"
    );
    assert!(!apart.client.succeed(&["providers", "list"]).contains("acme"));
}

#[test]
fn every_command_works_for_an_integration_that_was_created_over_the_api() {
    let apart = Apart::new();
    let running = apart.start();
    let url = format!("{}/integrations", running.url());
    let made = tokio::runtime::Runtime::new().unwrap().block_on(async {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = r#"{"provider":"acme","unique_key":"acme-eu"}"#;
        let request = client
            .post(url)
            .bearer_auth(KEY)
            .header("Content-Type", "application/json");
        request.body(body).send().await.unwrap().status()
    });
    assert_eq!(made, 200);

    apart.ask(&running, &["connect", "acme-eu", "--connection-id", "mine"]);
    apart.ask(&running, &["sync", "trigger", "acme-eu", "--wait", "--reset"]);
    let records = [
        "records",
        "acme-eu",
        "messages",
        "--connection-id",
        "mine",
        "--after",
        "2001-01-01T00:00:00Z",
    ];
    assert!(apart.ask(&running, &records).starts_with("sid\t"));
    assert!(
        apart
            .ask(&running, &["action", "acme-eu", "--json"])
            .contains("\"send-message\"")
    );
}

#[test]
fn a_missing_field_without_a_terminal_is_an_error_that_names_flag_and_variable() {
    let apart = Apart::new();
    let running = apart.start();
    let mut client = Sandbox::new();
    client.set("TRUNKLINE_SECRET_KEY", KEY);
    let ended = client.run(&["connect", "acme", "--url", &running.url()]);
    assert_eq!(ended.status.code(), Some(2));
    for reported in [
        "ACME_ACCOUNT_SID (or --field accountSid=…)",
        "ACME_AUTH_TOKEN (or --field-file authToken=FILE)",
        "Account SID and auth token:",
    ] {
        assert!(ended.err.contains(reported), "{}", ended.err);
    }
}
