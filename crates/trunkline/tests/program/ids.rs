//! Ids by their prefixes.

use crate::serving::Served;

/// Returns the values of a column of tab-separated values, without its heading.
fn column(text: &str, index: usize) -> Vec<String> {
    let lines = text.lines().skip(1);
    lines
        .map(|line| line.split('\t').nth(index).unwrap().to_owned())
        .collect()
}

/// Returns the characters of an id from one position to another.
fn part(id: &str, from: usize, to: usize) -> &str {
    id.get(from..to).unwrap()
}

#[test]
fn a_unique_prefix_of_an_id_names_a_run_a_connection_or_a_key() {
    let served = Served::new(10);
    let running = served.start();
    let made = served.ask(&running, &["connect", "twilio"]);
    let connection = made.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(connection.len(), 36, "{made}");
    for _ in 0..2 {
        served.ask(&running, &["sync", "trigger", "twilio", "--wait"]);
    }
    let runs = column(&served.ask(&running, &["sync", "runs"]), 0);
    let shared = runs[0]
        .chars()
        .zip(runs[1].chars())
        .take_while(|(a, b)| a == b)
        .count();

    let shown = served.ask(&running, &["sync", "run", part(&runs[0], 0, shared + 1)]);
    assert!(shown.contains(&format!("run\t{}", runs[0])), "{shown}");
    let shown = served.ask(&running, &["sync", "run", part(&runs[0], 4, shared + 1)]);
    assert!(shown.contains(&runs[0]), "{shown}");
    let url = running.url();
    let ended = served
        .sandbox
        .run(&["sync", "run", part(&runs[0], 0, shared), "--url", &url]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.err.contains("several runs") && ended.err.contains(&runs[1]),
        "{}",
        ended.err
    );
    let ended = served.sandbox.run(&["sync", "run", "run_ffff", "--url", &url]);
    assert!(
        ended.err.contains("no run whose id begins with run_ffff"),
        "{}",
        ended.err
    );

    let beginning = part(&connection, 0, 8);
    let shown = served.ask(&running, &["connections", "show", "twilio", beginning]);
    assert!(shown.contains(&connection), "{shown}");
    served.ask(
        &running,
        &["records", "twilio", "messages", "--connection-id", beginning],
    );
    served.ask(
        &running,
        &["sync", "status", "twilio", "--connection-id", beginning],
    );

    served
        .sandbox
        .succeed(&["api-keys", "create", "dev", "--name", "second"]);
    let keys = served.sandbox.succeed(&["api-keys", "list", "dev"]);
    let ids = column(&keys, 0);
    let ended = served
        .sandbox
        .run(&["api-keys", "revoke", "dev", "key_", "--yes"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ids.iter().all(|id| ended.err.contains(id)), "{}", ended.err);
    let second = keys
        .lines()
        .skip(1)
        .position(|line| line.contains("\tsecond\t"))
        .unwrap();
    let id = &ids[second];
    served
        .sandbox
        .succeed(&["api-keys", "revoke", "dev", part(id, 0, id.len() - 2), "--yes"]);
    let keys = served.sandbox.succeed(&["api-keys", "list", "dev"]);
    assert!(
        keys.lines()
            .any(|line| line.contains(id) && line.contains("\trevoked\t")),
        "{keys}"
    );
}

#[test]
fn a_name_that_an_app_chose_must_be_complete() {
    let served = Served::new(5);
    let running = served.start();
    served.ask(
        &running,
        &["connect", "twilio", "--connection-id", "dead-beef-10"],
    );
    let url = running.url();
    for command in [
        &["records", "twilio", "messages", "--connection-id", "dead-beef-1"][..],
        &["connections", "show", "twilio", "dead-beef-1"],
        &["connections", "delete", "twilio", "dead-beef-1", "--yes"],
    ] {
        let ended = served.sandbox.run(&[command, &["--url", &url]].concat());
        assert_eq!(ended.status.code(), Some(1), "{command:?}");
        assert!(
            ended.err.contains("did you mean dead-beef-10?"),
            "{command:?}: {}",
            ended.err
        );
    }
}
