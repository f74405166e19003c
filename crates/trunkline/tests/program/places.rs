//! Commands in a folder that has no database: they say so, and leave nothing behind.

use crate::process::Place;

fn files(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path()).unwrap();
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
        let place = Place::new();
        let ended = place.run(command);
        assert_eq!(ended.status.code(), Some(2), "{command:?}: {}", ended.err);
        assert!(
            ended.err.contains("there is no database here")
                && ended.err.contains("trunkline.db")
                && ended.err.contains("trunkline serve"),
            "{command:?}: {}",
            ended.err
        );
        assert_eq!(files(&place), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn a_configured_database_that_does_not_exist_is_named_in_the_error() {
    let mut place = Place::new();
    place.set("TRUNKLINE_DATABASE__URL", "sqlite://elsewhere/mine.db");
    let ended = place.run(&["environments", "list"]);
    assert!(ended.err.contains("elsewhere/mine.db"), "{}", ended.err);
    assert_eq!(files(&place), Vec::<String>::new());
}

#[test]
fn commands_that_need_no_database_do_not_create_one() {
    let place = Place::new();
    for command in [
        &["providers", "list"][..],
        &["config"],
        &["key", "generate"],
        &["version"],
        &["help"],
        &["completion", "bash"],
    ] {
        place.succeed(command);
        assert_eq!(files(&place), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn migrate_creates_a_database_that_other_commands_then_find() {
    let place = Place::new();
    place.succeed(&["migrate"]);
    let listed = place.succeed(&["environments", "list"]);
    assert_eq!(listed, "environment\tcreated\n");
}
