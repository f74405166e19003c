//! What users type: other spellings, typing errors, pipes.

use crate::process::Sandbox;
use crate::serving::Served;

#[test]
fn help_version_and_completion_are_commands() {
    let sandbox = Sandbox::new();
    assert!(
        sandbox
            .succeed(&["help"])
            .contains("Exit status: 0 success; 1 failure")
    );
    assert!(sandbox.succeed(&["help", "records"]).contains("--after <TIME>"));
    assert!(sandbox.succeed(&["help", "sync", "runs"]).contains("CHECKED"));
    for (command, reported) in [
        ("pause", "still runs to its end"),
        ("start", "They run at once"),
        ("trigger", "Paused syncs run too"),
    ] {
        assert!(
            sandbox.succeed(&["help", "sync", command]).contains(reported),
            "{command}"
        );
    }
    let version = sandbox.succeed(&["version"]);
    assert_eq!(version, sandbox.succeed(&["--version"]));
    assert!(
        sandbox
            .succeed(&["version", "--json"])
            .contains("\"version\": \"")
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            sandbox.succeed(&["completion", shell]).contains("trunkline"),
            "{shell}"
        );
    }
}

#[test]
fn a_typing_error_exits_with_status_2_and_a_suggestion() {
    let ended = Sandbox::new().run(&["conections"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.err.contains("'connections'"), "{}", ended.err);
}

#[test]
fn an_address_to_listen_on_may_be_a_name_or_a_port_alone() {
    for (flags, url) in [
        (["--listen", "localhost:0"], "http://127.0.0.1:"),
        (["--listen", ":0"], "http://127.0.0.1:"),
        (["--port", "0"], "http://127.0.0.1:"),
    ] {
        let sandbox = Sandbox::new();
        let running = sandbox.start(&["serve", "--no-worker", flags[0], flags[1]]);
        assert!(running.url().starts_with(url), "{flags:?}: {}", running.url());
        let bare = running.url().replace("http://", "");
        assert!(
            sandbox.succeed(&["health", "--url", &bare]).contains("is up"),
            "{flags:?}"
        );
    }
    let ended = Sandbox::new().run(&["serve", "--listen", "3003"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.err.contains(":3003 for every address"), "{}", ended.err);
}

#[test]
fn health_has_a_form_for_programs() {
    let sandbox = Sandbox::new();
    let running = sandbox.start(&["serve", "--no-worker", "--listen", "127.0.0.1:0"]);
    let json = |ended: &str| serde_json::from_str::<serde_json::Value>(ended).unwrap();
    let well = json(&sandbox.succeed(&["health", "--json", "--url", &running.url()]));
    assert_eq!(
        (&well["result"], &well["url"]),
        (&"ok".into(), &running.url().into())
    );
    let ended = sandbox.run(&["health", "--json", "--url", "127.0.0.1:1"]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(json(&ended.out)["result"], "failed");
}

#[test]
fn unknown_names_are_reported_with_a_suggestion() {
    let served = Served::new(20);
    let running = served.start();
    served.ask(&running, &["connect", "twilio", "--connection-id", "my-twilio"]);
    let (url, sandbox) = (running.url(), &served.sandbox);
    let fails = |arguments: &[&str], reported: &[&str]| {
        let ended = sandbox.run(&[arguments, &["--url", &url]].concat());
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {}", ended.out);
        for reported in reported {
            assert!(ended.err.contains(reported), "{arguments:?}: {}", ended.err);
        }
    };
    let integration = &["no integration \"twilo\"", "did you mean twilio?"][..];
    fails(&["connect", "twilo"], integration);
    fails(&["sync", "status", "twilo"], integration);
    fails(&["sync", "trigger", "twilo"], integration);
    fails(&["action", "twilo"], integration);
    fails(
        &["records", "twilo", "messages", "--connection-id", "my-twilio"],
        integration,
    );
    fails(&["connections", "show", "twilo", "my-twilio"], integration);
    let connection = &["no connection \"my-twillio\"", "did you mean my-twilio?"][..];
    fails(
        &["records", "twilio", "messages", "--connection-id", "my-twillio"],
        connection,
    );
    fails(&["connections", "show", "twilio", "my-twillio"], connection);
    fails(
        &["records", "twilio", "mesages", "--connection-id", "my-twilio"],
        &["no model \"mesages\"", "did you mean messages?"],
    );
    fails(
        &[
            "records",
            "twilio",
            "messages",
            "--connection-id",
            "my-twilio",
            "--columns",
            "sid,staus",
        ],
        &["no column \"staus\"", "did you mean status?", "they have: sid"],
    );
    fails(
        &["action", "twilio", "send-mesage", "--connection-id", "my-twilio"],
        &["no action \"send-mesage\"", "did you mean send-message?"],
    );
    fails(
        &["connect", "twilio", "--field", "acountSid=x"],
        &["did you mean accountSid?"],
    );
}

#[test]
fn in_a_pipe_tables_are_tab_separated_values_with_stable_headings() {
    let served = Served::new(20);
    let running = served.start();
    served.ask(&running, &["connect", "twilio", "--connection-id", "acme"]);
    served.sync(&running);

    let lines = |arguments: &[&str]| -> Vec<Vec<String>> {
        let text = served.ask(&running, arguments);
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    };
    let connections = lines(&["connections"]);
    assert_eq!(
        connections[0],
        ["connection", "integration", "state", "created", "problem"]
    );
    assert_eq!(connections[1][..3], ["acme", "twilio", "ok"]);
    assert!(
        connections[1][3].ends_with('Z') && connections[1][3].contains('T'),
        "{connections:?}"
    );

    let runs = lines(&["sync", "runs"]);
    assert_eq!(
        runs[0].join(" "),
        "run connection sync state started took new updated deleted checked pages trigger error note"
    );
    assert!(
        runs[1..]
            .iter()
            .all(|run| run.len() == runs[0].len() && run[0].len() == 36),
        "{runs:?}"
    );
    assert!(runs[1..].iter().any(|run| run[3] == "ok"), "{runs:?}");
    let new: u64 = runs[1..].iter().map(|run| run[6].parse::<u64>().unwrap()).sum();
    assert!(new > 0 && new <= 20, "{runs:?}");

    let status = lines(&["sync", "status", "twilio"]);
    assert_eq!(status[0][..4], ["connection", "sync", "state", "rows"]);
    assert!(status[1][3].parse::<u64>().unwrap() > 0, "{status:?}");

    let records = lines(&["records", "twilio", "messages", "--connection-id", "acme"]);
    assert!(records[0].contains(&"sid".to_owned()) && records[0].contains(&"body".to_owned()));
    assert!(
        records.iter().all(|record| record.len() == records[0].len()),
        "{records:?}"
    );
}

#[test]
fn a_secret_on_the_command_line_is_accepted_with_a_warning_and_one_from_a_file_without() {
    let served = Served::new(5);
    let running = served.start();
    let known = served.simulator.credentials();
    let (account, token) = (format!("accountSid={}", known.account_sid), &known.auth_token);
    let url = running.url();
    let connect = |secret: &[&str]| {
        let common = ["connect", "twilio", "--url", &url, "--field", &account];
        served.sandbox.run(&[&common[..], secret].concat())
    };
    let ended = connect(&["--field", &format!("authToken={token}")]);
    assert!(ended.status.success(), "{}", ended.err);
    assert!(
        ended.err.contains("warning: authToken is a secret") && !ended.err.contains(token.as_str()),
        "{}",
        ended.err
    );
    std::fs::write(served.sandbox.path().join("token"), format!("{token}\n")).unwrap();
    let ended = connect(&["--field-file", "authToken=token"]);
    assert!(
        ended.status.success() && !ended.err.contains("warning"),
        "{}",
        ended.err
    );
}
