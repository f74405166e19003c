//! Commands that need no gateway.

use crate::process::Sandbox;

#[test]
fn an_unknown_variable_ends_every_command_with_status_2_and_its_name() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_DATABSE__URL", "sqlite://x.db");
    let ended = sandbox.run(&["serve"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        ended.err.contains("TRUNKLINE_DATABSE__URL") && ended.err.contains("did you mean `database.url`?"),
        "{}",
        ended.err
    );
}

#[test]
fn the_configuration_is_listed_with_origins_and_without_secrets() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_SECRET_KEY", "geheim-geheim-geheim-geheim-geheim");
    std::fs::write(
        sandbox.path().join("trunkline.toml"),
        "[worker]\nconcurrency = 3\n",
    )
    .unwrap();
    let listed = sandbox.succeed(&["config"]);
    let line = |key: &str| listed.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(
        line("secret_key").contains("(set)") && !listed.contains("geheim"),
        "{listed}"
    );
    assert!(line("worker.concurrency").contains("trunkline.toml"), "{listed}");
    assert!(line("listen").contains("the default"), "{listed}");
}

#[test]
fn every_variable_of_the_compose_file_is_one_that_the_program_reads() {
    let compose =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker-compose.yml")).unwrap();
    let known = Sandbox::new().succeed(&["config", "--variables"]);
    let known: Vec<&str> = known.lines().collect();
    let set: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
        .filter(|name| name.starts_with("TRUNKLINE_"))
        .collect();
    assert!(set.len() > 3, "{set:?}");
    for variable in set {
        assert!(known.contains(&variable), "{variable} is not among {known:?}");
    }
}

#[test]
fn an_invalid_provider_file_is_reported_with_file_line_and_status_1() {
    let sandbox = Sandbox::new();
    let text =
        include_str!("../../../../integrations/twilio.yaml").replace("auth_mode: BASIC", "auth_mode: BASICS");
    std::fs::write(sandbox.path().join("mine.yaml"), text).unwrap();
    let ended = sandbox.run(&["providers", "check", "mine.yaml"]);
    assert_eq!(ended.status.code(), Some(1), "{}{}", ended.out, ended.err);
    assert!(
        ended.err.contains("mine.yaml:5") && ended.err.contains("auth_mode"),
        "{}",
        ended.err
    );
}

#[test]
fn a_valid_provider_file_passes() {
    let sandbox = Sandbox::new();
    std::fs::write(
        sandbox.path().join("twilio.yaml"),
        include_str!("../../../../integrations/twilio.yaml"),
    )
    .unwrap();
    assert!(
        sandbox
            .succeed(&["providers", "check", "twilio.yaml"])
            .contains("twilio is valid (twilio-messages)")
    );
}

#[test]
fn a_provider_is_shown_whole_or_by_section() {
    let sandbox = Sandbox::new();
    let whole = sandbox.succeed(&["providers", "show", "github"]);
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let section = sandbox.succeed(&["providers", "show", "github", "webhooks"]);
    let section: serde_json::Value = serde_json::from_str(&section).unwrap();
    assert_eq!(section["signature"]["header"], "X-Hub-Signature-256");
    assert_eq!(whole["webhooks"], section);
    let ended = sandbox.run(&["providers", "show", "githb"]);
    assert!(
        !ended.status.success() && ended.err.contains("did you mean github?"),
        "{}",
        ended.err
    );
    let ended = sandbox.run(&["providers", "show", "github", "webhook"]);
    assert!(
        !ended.status.success() && ended.err.contains("did you mean webhooks?"),
        "{}",
        ended.err
    );
}

#[test]
fn a_file_of_many_entries_is_reported_entry_by_entry_and_does_not_prevent_a_start() {
    let mut sandbox = Sandbox::new();
    let text = include_str!("../../../registry/tests/fixtures/many.yaml");
    std::fs::write(sandbox.path().join("many.yaml"), text).unwrap();
    let ended = sandbox.run(&["providers", "check", "many.yaml"]);
    assert_eq!(ended.status.code(), Some(1), "two entries are wrong");
    let line = |name: &str| ended.out.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("plainkey\t").contains("works"), "{}", ended.out);
    assert!(line("tokenless").contains("2 warnings"), "{}", ended.out);
    assert!(line("signed\t").contains("hmacSha1Hex"), "{}", ended.out);
    assert!(line("twilio").contains("twilio.yaml"), "{}", ended.out);
    assert!(
        ended
            .out
            .contains("19 entries work; not supported: 4, wrong: 2, giving way to another file: 1"),
        "{}",
        ended.out
    );
    assert!(
        ended.err.contains("\"base_url\" is missing here"),
        "{}",
        ended.err
    );

    sandbox.set("TRUNKLINE_INTEGRATIONS_DIR", ".");
    let ended = sandbox.run(&["providers", "list"]);
    assert!(
        ended.status.success() && ended.out.contains("plainkey"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("7 entries are not served"), "{}", ended.err);
}

#[test]
fn an_invalid_provider_file_in_the_folder_prevents_a_start() {
    let mut sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("mine.yaml"), "display_name: Mine\n").unwrap();
    sandbox.set("TRUNKLINE_INTEGRATIONS_DIR", ".");
    let ended = sandbox.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    assert!(ended.err.contains("mine.yaml"), "{}", ended.err);
}

#[test]
fn a_start_on_postgres_without_a_key_says_what_to_set_and_how_to_create_one() {
    let mut sandbox = Sandbox::new();
    sandbox.set(
        "TRUNKLINE_DATABASE__URL",
        "postgres://nobody:geheim@127.0.0.1:1/none",
    );
    let ended = sandbox.run(&["key", "rotate"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    assert!(
        ended.err.contains("TRUNKLINE_ENCRYPTION_KEY") && ended.err.contains("trunkline key generate"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("geheim"));
}

#[test]
fn generated_keys_are_accepted_as_configuration() {
    let mut sandbox = Sandbox::new();
    let generated = sandbox.succeed(&["key", "generate"]);
    for line in generated.lines() {
        let (name, value) = line.split_once('=').unwrap();
        sandbox.set(name, value);
    }
    let running = sandbox.start(&["serve", "--no-worker", "--listen", "127.0.0.1:0"]);
    assert!(!sandbox.path().join("trunkline.db.key").exists());
    assert!(running.signal("TERM").0.success());
}

#[test]
fn migrations_are_listed_once() {
    let sandbox = Sandbox::new();
    assert!(
        sandbox
            .succeed(&["migrate"])
            .starts_with("migration\tapplied_to\n")
    );
    assert!(sandbox.succeed(&["migrate"]).contains("up to date"));
}

#[test]
fn a_client_command_without_a_key_or_a_gateway_says_what_to_do() {
    let mut sandbox = Sandbox::new();
    assert!(sandbox.run(&["connections"]).err.contains("TRUNKLINE_SECRET_KEY"));
    sandbox.set("TRUNKLINE_SECRET_KEY", "00000000-0000-4000-8000-000000000000");
    let ended = sandbox.run(&["connections", "--url", "http://127.0.0.1:1"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.err.contains("http://127.0.0.1:1") && ended.err.contains("trunkline serve"),
        "{}",
        ended.err
    );
    assert_eq!(
        sandbox
            .run(&["health", "--url", "http://127.0.0.1:1"])
            .status
            .code(),
        Some(1)
    );
}
