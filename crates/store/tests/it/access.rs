//! Environments, API keys, integrations, vault keys and sealed credentials.

use std::time::Duration;

use domain::{ApiKeyId, IntegrationId, Timestamp};
use store::api_keys::{self, NewApiKey};
use store::integrations::{self, IntegrationChange};
use store::vault_keys::{self, VaultKey};
use store::{StoreError, credentials, environments};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW};

#[on_both_databases]
async fn an_environment_is_created_once(fixture: Fixture) {
    let first = fixture.environment("dev").await;
    assert_eq!(fixture.environment("dev").await, first);
    assert_ne!(fixture.environment("prod").await, first);
    let missing = fixture
        .store
        .read(|c| environments::by_name(c, &"none".parse().unwrap()))
        .await;
    assert!(matches!(
        missing,
        Err(StoreError::NotFound { what: "environment" })
    ));
}

#[on_both_databases]
async fn a_change_of_an_integration_that_does_not_exist_fails(fixture: Fixture) {
    let (id, change) = (IntegrationId::from_raw(1), IntegrationChange::default());
    let changed = fixture
        .store
        .write(move |c| integrations::change(c, id, &change, NOW))
        .await;
    assert!(matches!(
        changed,
        Err(StoreError::NotFound { what: "integration" })
    ));
}

#[on_both_databases]
async fn a_revoked_key_is_not_found_and_another_environment_cannot_revoke_it(fixture: Fixture) {
    let (ours, theirs) = (
        fixture.environment("ours").await,
        fixture.environment("theirs").await,
    );
    let id = ApiKeyId::new(NOW);
    let key = NewApiKey {
        environment: ours,
        id,
        name: "app".to_owned(),
        prefix: "tl_abc".to_owned(),
        hash: "hash".to_owned(),
        scopes: vec!["connections:read".to_owned()],
        created_at: NOW,
    };
    let again = NewApiKey {
        id: ApiKeyId::new(NOW),
        ..key.clone()
    };
    fixture
        .store
        .write(move |c| api_keys::insert(c, &key))
        .await
        .unwrap();
    let twice = fixture.store.write(move |c| api_keys::insert(c, &again)).await;
    assert!(
        matches!(twice, Err(StoreError::Conflict { what: "API key" })),
        "{twice:?}"
    );

    let found = fixture
        .store
        .read(|c| api_keys::by_hash(c, "hash"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.id, found.environment_name.as_str(), found.scopes),
        (id, "ours", vec!["connections:read".to_owned()])
    );
    fixture
        .store
        .write(move |c| api_keys::touch(c, id, NOW.plus(Duration::from_micros(1))))
        .await
        .unwrap();
    let refused = fixture
        .store
        .write(move |c| api_keys::revoke(c, theirs, id, NOW))
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    assert_eq!(
        fixture
            .store
            .read(move |c| api_keys::count(c, ours))
            .await
            .unwrap(),
        1
    );

    fixture
        .store
        .write(move |c| api_keys::revoke(c, ours, id, NOW.plus(Duration::from_micros(2))))
        .await
        .unwrap();
    fixture
        .store
        .write(move |c| api_keys::revoke(c, ours, id, NOW.plus(Duration::from_micros(3))))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .store
            .read(|c| api_keys::by_hash(c, "hash"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        fixture
            .store
            .read(move |c| api_keys::count(c, ours))
            .await
            .unwrap(),
        0
    );
    let row = fixture
        .store
        .read(move |c| api_keys::list(c, ours))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (row.last_used_at, row.revoked_at),
        (
            Some(NOW.plus(Duration::from_micros(1))),
            Some(NOW.plus(Duration::from_micros(2)))
        )
    );
}

#[on_both_databases]
async fn credentials_are_resealed_only_if_they_did_not_change_meanwhile(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    fixture
        .store
        .write(move |c| credentials::put(c, connection, "one", "k1", NOW))
        .await
        .unwrap();
    let old = fixture
        .store
        .read(|c| credentials::not_sealed_with(c, "k2", 10))
        .await
        .unwrap();
    assert_eq!(
        (old.len(), old[0].connection, old[0].sealed.as_str()),
        (1, connection, "one")
    );

    fixture
        .store
        .write(move |c| credentials::put(c, connection, "two", "k1", NOW))
        .await
        .unwrap();
    let replace = |old: &'static str| {
        fixture
            .store
            .write(move |c| credentials::replace_if_same(c, connection, old, "three", "k2", NOW))
    };
    assert!(!replace("one").await.unwrap());
    assert!(replace("two").await.unwrap());

    assert_eq!(
        fixture
            .store
            .read(move |c| credentials::get(c, connection))
            .await
            .unwrap(),
        "three"
    );
    assert!(
        fixture
            .store
            .read(|c| credentials::not_sealed_with(c, "k2", 10))
            .await
            .unwrap()
            .is_empty()
    );
}

#[on_both_databases]
async fn a_vault_key_is_kept_and_retired(fixture: Fixture) {
    let key = |id: &str, at: Timestamp| VaultKey {
        key_id: id.to_owned(),
        check: "x".to_owned(),
        created_at: at,
    };
    let (second, first) = (key("b", NOW.plus(Duration::from_micros(1))), key("a", NOW));
    let expected = vec![first.clone(), second.clone()];
    fixture
        .store
        .write(move |c| {
            [&second, &first, &first]
                .into_iter()
                .try_for_each(|key| vault_keys::ensure(c, key))
        })
        .await
        .unwrap();
    assert_eq!(fixture.store.read(vault_keys::list).await.unwrap(), expected);
}
