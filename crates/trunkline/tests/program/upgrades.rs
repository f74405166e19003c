//! An older program with the database of a newer one, and the database file of a stopped server.

use store::testing::run_sql;
use store::{Store, StoreOptions};

use crate::process::Sandbox;

/// Runs SQL in the database of a sandbox, without the program.
fn sql(sandbox: &Sandbox, sql: &'static str) {
    let url = format!("sqlite://{}", sandbox.path().join("trunkline.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&url.parse().unwrap(), StoreOptions::default())
            .await
            .unwrap();
        store.maintain(move |c| run_sql(c, sql)).await.unwrap();
        store.close().await;
    });
}

#[test]
fn an_older_program_refuses_the_database_of_a_newer_one() {
    let sandbox = Sandbox::new();
    sandbox
        .start(&["serve", "--listen", "127.0.0.1:0"])
        .signal("TERM");
    sql(
        &sandbox,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')",
    );
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["serve", "--no-migrate", "--listen", "127.0.0.1:0"],
        &["worker"],
        &["worker", "--no-migrate"],
        &["migrate"],
        &["environments", "list"],
        &["api-keys", "list", "dev"],
        &["key", "rotate"],
    ] {
        let ended = sandbox.run(command);
        assert!(!ended.status.success(), "{command:?}");
        assert!(
            ended.err.contains("newer version of Trunkline"),
            "{command:?}: {}",
            ended.err
        );
    }
}

#[test]
fn a_stopped_server_leaves_a_single_database_file() {
    let sandbox = Sandbox::new();
    for _ in 0..3 {
        let running = sandbox.start(&["serve", "--listen", "127.0.0.1:0"]);
        let (status, log) = running.signal("TERM");
        assert!(status.success(), "{log:#?}");
        let mut files: Vec<_> = std::fs::read_dir(sandbox.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, ["trunkline.db", "trunkline.db.key"]);
    }
    let listed = sandbox.succeed(&["environments", "list"]);
    assert!(listed.contains("dev"), "{listed}");
}
