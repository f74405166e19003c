//! Commands in a folder without a database: they say so, and create nothing.

use crate::process::Sandbox;

fn files(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_command_without_a_database_says_so_and_creates_nothing() {
    let commands: [&[&str]; 9] = [
        &["environments", "list"],
        &["environments", "create", "mine"],
        &["environments", "delete", "mine", "--yes"],
        &["api-keys", "list", "dev"],
        &["api-keys", "create", "dev", "--name", "mine"],
        &["api-keys", "revoke", "dev", "key_1", "--yes"],
        &["key", "rotate"],
        &["serve", "--no-migrate", "--listen", "127.0.0.1:0"],
        &["worker", "--no-migrate"],
    ];
    for command in commands {
        let sandbox = Sandbox::new();
        let ended = sandbox.run(command);
        assert_eq!(ended.status.code(), Some(2), "{command:?}: {}", ended.err);
        assert!(
            ended.err.contains("there is no database here")
                && ended.err.contains("trunkline.db")
                && ended.err.contains("trunkline serve"),
            "{command:?}: {}",
            ended.err
        );
        assert_eq!(files(&sandbox), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn a_configured_database_that_does_not_exist_is_named_in_the_error() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TRUNKLINE_DATABASE__URL", "sqlite://elsewhere/mine.db");
    let ended = sandbox.run(&["environments", "list"]);
    assert!(ended.err.contains("elsewhere/mine.db"), "{}", ended.err);
    assert_eq!(files(&sandbox), Vec::<String>::new());
}

#[test]
fn commands_that_need_no_database_do_not_create_one() {
    let sandbox = Sandbox::new();
    for command in [
        &["providers", "list"][..],
        &["config"],
        &["key", "generate"],
        &["version"],
        &["help"],
        &["completion", "bash"],
    ] {
        sandbox.succeed(command);
        assert_eq!(files(&sandbox), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn migrate_creates_a_database_that_other_commands_then_find() {
    let sandbox = Sandbox::new();
    sandbox.succeed(&["migrate"]);
    let listed = sandbox.succeed(&["environments", "list"]);
    assert_eq!(listed, "environment\tcreated\n");
}
