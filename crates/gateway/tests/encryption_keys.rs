//! The keys that seal credentials, when they are lost, replaced, rotated and shared while processes run and start.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use gateway::{
    AUTH_PROBLEM, Forgotten, Gateway, GatewayError, GatewayParts, KeySource, LostKeys, Names,
    ShowCredentials, connections, encryption,
};
use registry::Registry;
use secrecy::ExposeSecret;
use serde_json::json;
use store::testing::TestDatabase;
use testkit::{AppBuilder, TestApp, on_both_databases};
use upstream::{Upstream, UpstreamOptions};
use vault::{EncryptionKey, KeyFile, KeyRing};

fn with_key_file() -> AppBuilder {
    AppBuilder::default().with_key_file()
}

fn ring(keys: &[&EncryptionKey]) -> KeySource {
    let older = keys[1..].iter().map(|key| (*key).clone()).collect();
    KeySource::Given(KeyRing::new(keys[0].clone(), older))
}

/// Starts another process with the app's key file.
async fn restart(app: &TestApp) -> Result<Arc<Gateway>, GatewayError> {
    start(app, KeySource::File(app.key_file().clone())).await
}

async fn start(app: &TestApp, keys: KeySource) -> Result<Arc<Gateway>, GatewayError> {
    app.try_another_gateway(Registry::builtin().unwrap(), keys).await
}

/// Returns whether the process can decrypt the credentials of every connection.
async fn opens_all(app: &TestApp, gateway: &Gateway) -> bool {
    let caller = app.caller().await;
    let filter = domain::ConnectionFilter::default();
    let mut all = true;
    for listed in connections::list(gateway, &caller, filter).await.unwrap() {
        all &= gateway.target(&listed.connection).await.is_ok();
    }
    all
}

fn write_keys(file: &KeyFile, keys: &[&EncryptionKey]) {
    let lines: Vec<String> = keys
        .iter()
        .map(|key| key.to_base64().expose_secret().to_owned())
        .collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
}

#[on_both_databases(with_key_file())]
async fn a_running_process_survives_the_loss_of_its_key_file_and_creates_no_other(app: TestApp) {
    app.expect_error("the key file cannot be used");
    app.connect_as(app.admin(), "before").await;
    let (path, aside) = (
        app.key_file().path(),
        app.key_file().path().with_extension("aside"),
    );
    fs::rename(path, &aside).unwrap();

    app.connect_as(app.admin(), "after").await;

    assert!(!path.exists(), "a running process made a key file");
    assert!(app.logs().contains(&format!("{} is missing", path.display())));
    assert!(opens_all(&app, app.gateway()).await);
    let refused = restart(&app).await.err().unwrap().to_string();
    assert!(
        refused.contains(&path.display().to_string()) && refused.contains("2 sealed"),
        "{refused}"
    );
    assert!(!path.exists(), "a start made a key file");
    fs::rename(&aside, path).unwrap();
    assert!(opens_all(&app, &restart(&app).await.unwrap()).await);
}

#[on_both_databases(with_key_file())]
async fn an_invalid_key_file_is_reported_and_not_used(app: TestApp) {
    app.expect_error("the key file cannot be used");
    app.connect_as(app.admin(), "before").await;
    let right = app.key_file().load().unwrap().current().clone();
    let (path, other) = (app.key_file().path(), EncryptionKey::generate());
    let truncated = fs::read(path).unwrap()[..20].to_vec();
    let spoils: [fn(&TestApp, &EncryptionKey, &[u8]); 4] = [
        |app, other, _| write_keys(app.key_file(), &[other]),
        |app, _, _| fs::write(app.key_file().path(), "").unwrap(),
        |app, _, cut| fs::write(app.key_file().path(), cut).unwrap(),
        |app, _, _| fs::set_permissions(app.key_file().path(), fs::Permissions::from_mode(0o644)).unwrap(),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        spoil(&app, &other, &truncated);
        let spoilt = fs::read(path).unwrap();
        app.connect_as(app.admin(), &format!("meanwhile-{number}")).await;

        let refused = restart(&app).await.err().unwrap().to_string();
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert_eq!(fs::read(path).unwrap(), spoilt);
        if number == 0 {
            let (id, needed) = (right.id().to_string(), "needed for 2 stored credentials");
            assert!(refused.contains(&id) && refused.contains(needed), "{refused}");
        }
        assert!(opens_all(&app, app.gateway()).await);
        write_keys(app.key_file(), &[&right]);
    }
    assert!(opens_all(&app, &restart(&app).await.unwrap()).await);
}

#[on_both_databases(with_key_file())]
async fn a_used_database_without_its_key_file_is_refused_and_none_is_created(app: TestApp) {
    // Nothing is connected yet; it is enough that the database was used with a key.
    let elsewhere = KeyFile::at(app.key_file().path().with_file_name("restored.key"));

    let refused = start(&app, KeySource::File(elsewhere.clone()))
        .await
        .err()
        .unwrap();

    let id = app.key_file().load().unwrap().current().id().to_string();
    assert!(
        refused.to_string().contains("restored.key is missing"),
        "{refused}"
    );
    assert!(refused.to_string().contains(&id), "{refused}");
    assert!(!elsewhere.path().exists());
}

#[on_both_databases]
async fn concurrent_first_starts_end_with_one_key(app: TestApp) {
    let database = TestDatabase::new(app.store().dialect()).await.unwrap();
    let file = KeyFile::at(app.key_file().path().with_file_name("first.key"));
    let one = || fresh(&app, &database, KeySource::File(file.clone()));

    let started = futures::future::join_all(std::iter::repeat_with(one).take(4)).await;

    assert!(started.iter().all(Result::is_ok));
    let known = database
        .store()
        .await
        .read(store::vault_keys::list)
        .await
        .unwrap();
    let id = file.load().unwrap().current().id().to_string();
    assert_eq!(known.iter().map(|key| &key.key_id).collect::<Vec<_>>(), [&id]);
}

#[on_both_databases]
async fn processes_that_start_with_different_keys_do_not_share_a_database(app: TestApp) {
    let database = TestDatabase::new(app.store().dialect()).await.unwrap();
    let keys: Vec<EncryptionKey> = (0..4).map(|_| EncryptionKey::generate()).collect();

    let starts = keys.iter().map(|key| fresh(&app, &database, ring(&[key])));
    let started = futures::future::join_all(starts).await;

    assert_eq!(started.iter().filter(|start| start.is_ok()).count(), 1);
    let refused = started
        .iter()
        .find_map(|start| start.as_ref().err())
        .unwrap()
        .to_string();
    assert!(
        refused.contains("TRUNKLINE_ENCRYPTION_KEY is not of this database"),
        "{refused}"
    );
}

async fn fresh(
    app: &TestApp,
    database: &TestDatabase,
    keys: KeySource,
) -> Result<Arc<Gateway>, GatewayError> {
    let parts = GatewayParts {
        store: database.store().await,
        registry: Registry::builtin().unwrap(),
        upstream: Upstream::new(UpstreamOptions::default(), app.clock().clone()).unwrap(),
        keys,
        clock: app.clock().clone(),
        public_url: None,
    };
    Gateway::start(parts).await
}

#[on_both_databases]
async fn a_start_fails_if_a_key_that_is_still_needed_is_missing(app: TestApp) {
    app.connect_as(app.admin(), "one").await;
    app.connect_as(app.admin(), "two").await;
    let old = EncryptionKey::from_base64(app.encryption_key().expose_secret()).unwrap();
    let new = EncryptionKey::generate();
    let both = start(&app, ring(&[&new, &old])).await.unwrap();
    assert!(opens_all(&app, &both).await);

    let refused = start(&app, ring(&[&new])).await.err().unwrap().to_string();
    let reported = format!("{} (needed for 2 stored credentials)", old.id());
    assert!(refused.contains(&reported), "{refused}");

    encryption::rotate(&both).await.unwrap();
    encryption::reseal(&both, |_| ()).await.unwrap();
    assert!(opens_all(&app, &start(&app, ring(&[&new])).await.unwrap()).await);
    assert!(start(&app, ring(&[&old])).await.is_err());
}

#[on_both_databases(with_key_file())]
async fn a_rotation_stops_when_its_key_file_is_lost_and_is_finished_later(app: TestApp) {
    app.expect_error("the key file cannot be used");
    app.connect_as(app.admin(), "one").await;
    app.connect_as(app.admin(), "two").await;
    let (path, aside) = (
        app.key_file().path(),
        app.key_file().path().with_extension("aside"),
    );
    let rotating = restart(&app).await.unwrap();
    let key = encryption::rotate(&rotating).await.unwrap();
    assert!(key.made);

    let stopped = encryption::reseal(&rotating, |_| fs::rename(path, &aside).unwrap()).await;

    let reported = stopped.unwrap_err().to_string();
    assert!(reported.contains("is missing"), "{reported}");
    assert!(!path.exists());
    fs::rename(&aside, path).unwrap();
    let again = restart(&app).await.unwrap();
    let same = encryption::rotate(&again).await.unwrap();
    assert_eq!((same.id, same.made), (key.id, false));
    assert_eq!(encryption::reseal(&again, |_| ()).await.unwrap().sealed, 1);
    assert!(opens_all(&app, &again).await && opens_all(&app, app.gateway()).await);
    assert!(encryption::rotate(&again).await.unwrap().made);
}

#[on_both_databases(with_key_file())]
async fn a_rotation_that_was_killed_before_the_database_knew_its_key_loses_nothing(app: TestApp) {
    app.connect_as(app.admin(), "old").await;
    // The file is written, and the process dies before its transaction.
    let new = app.key_file().rotate().unwrap().current().id();

    app.connect_as(app.admin(), "new").await;

    let known = app.store().read(store::vault_keys::list).await.unwrap();
    assert!(known.iter().any(|key| key.key_id == new.as_str()));
    let again = restart(&app).await.unwrap();
    let key = encryption::rotate(&again).await.unwrap();
    assert_eq!((key.id, key.made), (new, false));
    assert_eq!(encryption::reseal(&again, |_| ()).await.unwrap().sealed, 1);
    assert!(opens_all(&app, &again).await && opens_all(&app, app.gateway()).await);
}

#[on_both_databases(with_key_file())]
async fn a_rotation_never_writes_over_a_file_that_lacks_a_key(app: TestApp) {
    app.expect_error("the key file cannot be used");
    app.connect_as(app.admin(), "one").await;
    let (path, other) = (app.key_file().path(), EncryptionKey::generate());
    let right = fs::read(path).unwrap();
    write_keys(app.key_file(), &[&other]);
    let wrong = fs::read(path).unwrap();

    assert!(encryption::rotate(app.gateway()).await.is_err());

    assert_eq!(fs::read(path).unwrap(), wrong);
    fs::write(path, right).unwrap();
    assert!(opens_all(&app, &restart(&app).await.unwrap()).await);
}

#[on_both_databases(with_key_file())]
async fn concurrent_rotations_keep_every_key(app: TestApp) {
    app.connect_as(app.admin(), "one").await;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(restart(&app).await.unwrap());
    }

    let rotations = processes.iter().map(|process| async move {
        encryption::rotate(process).await.unwrap();
        encryption::reseal(process, |_| ()).await.unwrap();
    });
    futures::future::join_all(rotations).await;

    assert!(opens_all(&app, &restart(&app).await.unwrap()).await);
    let held = app.key_file().load().unwrap().ids();
    for known in app.store().read(store::vault_keys::list).await.unwrap() {
        assert!(
            held.iter().any(|id| id.as_str() == known.key_id),
            "{} is lost",
            known.key_id
        );
    }
}

async fn row(app: &TestApp, gateway: &Gateway, name: &str) -> domain::Connection {
    let caller = app.caller().await;
    connections::find(gateway, Names::of(&caller, "twilio", name))
        .await
        .unwrap()
}

async fn connect(app: &TestApp, gateway: &Gateway, name: &str) {
    let caller = app.caller().await;
    let body = serde_json::from_value(app.connect_body(name)).unwrap();
    connections::connect(gateway, &caller, "twilio", body)
        .await
        .unwrap();
}

#[on_both_databases]
async fn a_lost_key_is_given_up_and_its_connections_wait_for_new_credentials(app: TestApp) {
    app.connect_as(app.admin(), "one").await;
    app.connect_as(app.admin(), "two").await;
    app.run_due().await;
    let rows = app.rows("one").await;
    let old = EncryptionKey::from_base64(app.encryption_key().expose_secret()).unwrap();
    let new = EncryptionKey::generate();
    let both = start(&app, ring(&[&new, &old])).await.unwrap();
    connect(&app, &both, "three").await;
    let nothing = LostKeys::find(app.store(), &ring(&[&new, &old])).await.unwrap();
    assert!(nothing.sealed_by_key().is_empty());
    let reported = start(&app, ring(&[&new])).await.err().unwrap().to_string();
    assert!(reported.contains("trunkline key forget --lost"), "{reported}");

    let left = ring(&[&new]);
    let lost = LostKeys::find(app.store(), &left).await.unwrap();
    assert_eq!((lost.sealed_by_key().len(), lost.connections()), (1, 2));
    assert!(lost.sealed_by_key().contains_key(old.id().as_str()));
    // A key that is found before the confirmation is not given up.
    let kept = lost.forget(app.store(), &ring(&[&new, &old]), app.clock()).await;
    assert_eq!(kept.unwrap(), Forgotten::default());
    let forgotten = lost.forget(app.store(), &left, app.clock()).await.unwrap();
    assert_eq!(forgotten.connections, 2);

    let gateway = start(&app, left.clone()).await.unwrap();
    let again = LostKeys::find(app.store(), &left).await.unwrap();
    assert!(again.sealed_by_key().is_empty());
    assert!(gateway.target(&row(&app, &gateway, "three").await).await.is_ok());
    let caller = app.caller().await;
    for name in ["one", "two"] {
        let row = row(&app, &gateway, name).await;
        assert_eq!(row.problem.as_ref().unwrap().kind, AUTH_PROBLEM);
        let refused = gateway.target(&row).await.err().unwrap();
        assert!(matches!(refused, GatewayError::CredentialsLost(_)), "{refused}");
        let names = Names::of(&caller, "twilio", name);
        let shown = connections::show(&gateway, &caller, names, ShowCredentials::IfAllowed).await;
        assert!(shown.unwrap().credentials.is_none());
    }
    assert_eq!(app.rows("one").await, rows, "the table stays");
    // Nothing is left of them that a rotation would have to decrypt.
    let third = EncryptionKey::generate();
    let rotating = start(&app, ring(&[&third, &new])).await.unwrap();
    encryption::rotate(&rotating).await.unwrap();
    assert_eq!(encryption::reseal(&rotating, |_| ()).await.unwrap().sealed, 1);

    connect(&app, &rotating, "one").await;
    let known = app.simulator().credentials();
    let patch = json!({ "credentials":
        { "type": "BASIC", "username": known.main_key_sid, "password": known.main_key_secret } });
    let patch = serde_json::from_value(patch).unwrap();
    connections::patch(&rotating, &caller, Names::of(&caller, "twilio", "two"), patch)
        .await
        .unwrap();
    for name in ["one", "two"] {
        let row = row(&app, &rotating, name).await;
        assert!(
            row.problem.is_none() && rotating.target(&row).await.is_ok(),
            "{name}"
        );
    }
    assert!(start(&app, ring(&[&third])).await.is_ok());
}

#[on_both_databases(with_key_file())]
async fn a_lost_key_file_is_given_up_and_the_next_start_creates_another(app: TestApp) {
    app.expect_error("the key file cannot be used");
    app.connect_as(app.admin(), "one").await;
    let source = KeySource::File(app.key_file().clone());
    let good = fs::read(app.key_file().path()).unwrap();
    // A damaged file is left for the operator.
    fs::write(app.key_file().path(), &good[..20]).unwrap();
    assert!(LostKeys::find(app.store(), &source).await.is_err());
    fs::remove_file(app.key_file().path()).unwrap();
    let reported = restart(&app).await.err().unwrap().to_string();
    assert!(reported.contains("trunkline key forget --lost"), "{reported}");

    let lost = LostKeys::find(app.store(), &source).await.unwrap();
    assert_eq!((lost.sealed_by_key().len(), lost.connections()), (1, 1));
    let forgotten = lost.forget(app.store(), &source, app.clock()).await.unwrap();
    assert_eq!(forgotten.connections, 1);

    let gateway = restart(&app).await.unwrap();
    assert!(app.key_file().path().exists());
    connect(&app, &gateway, "one").await;
    assert!(gateway.target(&row(&app, &gateway, "one").await).await.is_ok());
}
