//! Connect sessions: found while they last, deleted afterwards, and with what they belong to.

use std::time::Duration;

use serde_json::{Map, json};
use store::connect_sessions::{self, ConnectSession};
use store::connections;
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, create, new_connection};

fn session(environment: domain::EnvironmentId, hash: &str, from: domain::Timestamp) -> ConnectSession {
    ConnectSession {
        environment,
        token_hash: hash.to_owned(),
        connection: None,
        end_user: Some(json!({ "id": "u1" })),
        tags: [("plan".to_owned(), "pro".to_owned())].into(),
        allowed_integrations: Some(vec!["twilio".parse().unwrap()]),
        defaults: Map::new(),
        overrides: Map::new(),
        webhook_url_override: None,
        created_at: from,
        expires_at: from.plus(Duration::from_micros(100)),
    }
}

#[test]
fn debug_output_shows_neither_the_hash_nor_the_end_user() {
    let new = ConnectSession {
        end_user: Some(json!({ "email": "ada@example.org" })),
        ..session(domain::EnvironmentId::from_raw(1), "the hash", NOW)
    };
    let shown = format!("{new:?}");
    assert!(!shown.contains("the hash"), "{shown}");
    assert!(!shown.contains("ada@example.org"), "{shown}");
}

#[on_both_databases]
async fn a_session_is_found_until_it_ends_and_deleted_when_another_is_created(fixture: Fixture) {
    let dev = fixture.environment("dev").await;
    let find = |hash: &'static str, at: u64| {
        fixture
            .store
            .read(move |c| connect_sessions::by_hash(c, hash, NOW.plus(Duration::from_micros(at))))
    };
    let add = |hash, at| {
        let new = session(dev, hash, NOW.plus(Duration::from_micros(at)));
        fixture.store.write(move |c| connect_sessions::insert(c, &new))
    };

    add("first", 0).await.unwrap();

    let found = find("first", 99).await.unwrap().unwrap();
    assert_eq!(found.tags, [("plan".to_owned(), "pro".to_owned())].into());
    assert_eq!(found.allowed_integrations, Some(vec!["twilio".parse().unwrap()]));
    assert_eq!(found.connection, None);
    assert_eq!(find("first", 100).await.unwrap(), None);
    assert_eq!(find("other", 0).await.unwrap(), None);
    add("second", 99).await.unwrap();
    assert!(find("first", 0).await.unwrap().is_some());
    add("third", 100).await.unwrap();
    assert_eq!(find("first", 0).await.unwrap(), None, "it is swept");
    assert!(find("second", 100).await.unwrap().is_some());
}

#[on_both_databases]
async fn a_session_is_deleted_with_its_connection_and_ended_only_by_its_environment(fixture: Fixture) {
    let (dev, other) = (
        fixture.environment("dev").await,
        fixture.environment("other").await,
    );
    let made = fixture.store.write(move |c| {
        let row = create(c, &new_connection(dev, "c"))?;
        let renewing = ConnectSession {
            connection: Some(row.id),
            ..session(dev, "renewing", NOW)
        };
        connect_sessions::insert(c, &renewing)?;
        connect_sessions::insert(c, &session(dev, "plain", NOW))?;
        Ok(row)
    });
    let row = made.await.unwrap();
    let find = |hash: &'static str| {
        fixture
            .store
            .read(move |c| connect_sessions::by_hash(c, hash, NOW))
    };
    assert_eq!(find("renewing").await.unwrap().unwrap().connection, Some(row.id));

    fixture
        .store
        .write(move |c| connections::delete(c, row.id))
        .await
        .unwrap();

    assert_eq!(find("renewing").await.unwrap(), None);
    let end = |environment| {
        fixture
            .store
            .write(move |c| connect_sessions::delete(c, environment, "plain"))
    };
    end(other).await.unwrap();
    assert!(find("plain").await.unwrap().is_some());
    end(dev).await.unwrap();
    assert_eq!(find("plain").await.unwrap(), None);
}
