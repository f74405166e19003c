//! Errors at the start of a command: each says what is wrong, in which setting, and what to do. Exit status 2 means that the command
//! did not begin, 1 that it failed.

use std::net::TcpListener;

use crate::process::{Ended, Sandbox};
use crate::serving::Served;

/// Runs a command with variables; fails unless it exits with `status`, writes all of `reported`, and prints no result.
fn fails(variables: &[(&str, &str)], arguments: &[&str], status: i32, reported: &[&str]) -> Ended {
    let mut sandbox = Sandbox::new();
    for (name, value) in variables {
        sandbox.set(name, value);
    }
    let ended = sandbox.run(arguments);
    assert_eq!(ended.status.code(), Some(status), "{arguments:?}: {}", ended.err);
    for reported in reported {
        assert!(
            ended.err.contains(reported),
            "{arguments:?}: {reported:?} in {}",
            ended.err
        );
    }
    ended
}

const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];

#[test]
fn an_invalid_setting_is_reported_with_its_variable_and_advice() {
    let serve = |variable: (&str, &str), reported: &[&str]| drop(fails(&[variable], SERVE, 2, reported));
    serve(
        ("TRUNKLINE_INTEGRATIONS_DIR", "nowhere"),
        &[
            "`integrations_dir` (TRUNKLINE_INTEGRATIONS_DIR)",
            "no folder nowhere",
            "create it",
        ],
    );
    serve(
        ("TRUNKLINE_SECRET_KEY", "short"),
        &[
            "`secret_key` (TRUNKLINE_SECRET_KEY)",
            "at least 32",
            "trunkline key generate",
        ],
    );
    serve(
        ("TRUNKLINE_ENCRYPTION_KEY", "short"),
        &[
            "`encryption_key` (TRUNKLINE_ENCRYPTION_KEY)",
            "32 bytes in base64",
        ],
    );
    serve(
        ("TRUNKLINE_LOG__LEVEL", "loud"),
        &[
            "`log.level` (TRUNKLINE_LOG__LEVEL)",
            "error, warn, info, debug or trace",
        ],
    );
    serve(("RUST_LOG", "a=b=c"), &["RUST_LOG", "warn,trunkline=debug"]);
    serve(
        ("TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", "example.org"),
        &["TRUNKLINE_PROVIDERS__TWILIO__BASE_URL", "write https://HOST"],
    );
    serve(
        ("TRUNKLINE_PROVIDERS__TWILIO__ALLOWED_ORIGINS", "example.org"),
        &[
            "TRUNKLINE_PROVIDERS__TWILIO__ALLOWED_ORIGINS",
            "write https://HOST",
        ],
    );
    serve(
        ("TRUNKLINE_CONFIG", "nowhere.toml"),
        &["no configuration file nowhere.toml", "TRUNKLINE_CONFIG"],
    );
    let postgres = ("TRUNKLINE_DATABASE__URL", "postgres://me:geheim@127.0.0.1:1/none");
    let ended = fails(
        &[postgres],
        &["migrate"],
        1,
        &["`database.url` (TRUNKLINE_DATABASE__URL)"],
    );
    assert!(!ended.err.contains("geheim"), "{}", ended.err);
}

#[test]
fn a_setting_for_an_unknown_provider_is_refused_with_the_most_similar_one() {
    let typo = ("TRUNKLINE_PROVIDERS__TWLIO__BASE_URL", "http://127.0.0.1:1");
    let reported = [
        "TRUNKLINE_PROVIDERS__TWLIO__",
        "does not exist; did you mean twilio?",
    ];
    for command in [SERVE, &["worker"], &["providers", "list"]] {
        fails(&[typo], command, 2, &reported);
    }
    // It shows the settings anyway, because they must be corrected.
    let ended = fails(&[typo], &["config"], 2, &reported);
    assert!(ended.out.contains("providers.twlio.base_url"), "{}", ended.out);
}

#[test]
fn a_file_that_is_not_toml_is_named_with_the_line() {
    let sandbox = Sandbox::new();
    std::fs::write(
        sandbox.path().join("trunkline.toml"),
        "[worker]\nconcurrency = \n",
    )
    .unwrap();
    let ended = sandbox.run(SERVE);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    assert!(
        ended.err.contains("trunkline.toml cannot be read") && ended.err.contains("line 2"),
        "{}",
        ended.err
    );
}

#[test]
fn a_port_in_use_is_an_error_that_says_how_to_choose_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let reported = [
        address.as_str(),
        "another process uses it",
        "--port",
        "`listen` (TRUNKLINE_LISTEN)",
    ];
    fails(&[], &["serve", "--listen", &address], 1, &reported);
}

#[test]
fn a_missing_key_and_a_refused_one_have_different_errors() {
    let command = &["connections", "--url", "http://127.0.0.1:1"];
    fails(
        &[],
        command,
        2,
        &[
            "`secret_key` (TRUNKLINE_SECRET_KEY) is not set",
            "api-keys create",
        ],
    );
    let served = Served::new(1);
    let running = served.start();
    let url = running.url();
    let other = ("TRUNKLINE_SECRET_KEY", "22222222-2222-4222-8222-222222222222");
    fails(
        &[other],
        &["connections", "--url", &url],
        1,
        &["TRUNKLINE_SECRET_KEY (`secret_key`) holds the key"],
    );
}

#[test]
fn a_missing_value_without_a_terminal_is_a_usage_error() {
    let served = Served::new(1);
    let running = served.start();
    let url = running.url();
    served.ask(&running, &["connect", "twilio", "--connection-id", "acme"]);
    for command in [
        &["connections", "delete", "twilio", "acme", "--url", &url][..],
        &["environments", "delete", "dev"],
        &["sync", "run", "not-an-id", "--url", &url],
    ] {
        let ended = served.sandbox.run(command);
        assert_eq!(ended.status.code(), Some(2), "{command:?}: {}", ended.err);
    }
    let ended = served
        .sandbox
        .run(&["connections", "delete", "twilio", "acme", "--url", &url]);
    assert!(ended.err.contains("confirm with --yes"), "{}", ended.err);
}
