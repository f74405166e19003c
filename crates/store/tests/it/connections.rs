//! Connections: storing, finding, filtering and deleting them.

use std::time::Duration;

use domain::{ConnectionFilter, Problem};
use serde_json::json;
use store::connections::{self, ConnectionChange, NewConnection};
use store::{StoreError, credentials, schedule, syncs};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW, create, new_connection};

fn map(json: &serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    json.as_object().unwrap().clone()
}

#[on_both_databases]
async fn storing_a_connection_again_replaces_given_fields_keeps_the_rest_and_clears_the_problem(
    fixture: Fixture,
) {
    let first = NewConnection {
        connection_config: map(&json!({"accountSid": "AC1"})),
        change: ConnectionChange {
            metadata: Some(map(&json!({"a": [1, null]}))),
            tags: Some([("team".to_owned(), "x\"y".to_owned())].into()),
            end_user: Some(json!({"id": "u1", "email": "Ann@Example.com"})),
            webhook_url_override: None,
        },
        ..new_connection(fixture.environment("dev").await, "c")
    };
    let second = NewConnection {
        connection_config: map(&json!({"accountSid": "AC2"})),
        ..new_connection(first.environment, "c")
    };
    let expected = first.clone();
    let row = fixture.store.write(move |c| create(c, &first)).await.unwrap();
    let problem = Problem {
        kind: "auth".to_owned(),
        code: Some("20003".to_owned()),
        message: "no".to_owned(),
        at: NOW,
    };
    let stored = problem.clone();
    fixture
        .store
        .write(move |c| connections::set_problem(c, row.id, Some(&stored)))
        .await
        .unwrap();
    let found = fixture
        .store
        .read(move |c| connections::get_any_environment(c, row.id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.problem, Some(problem));

    let row = fixture
        .store
        .write(move |c| {
            let later = NOW.plus(Duration::from_micros(5));
            assert!(!connections::insert(c, &second, later)?);
            connections::replace(c, row.id, &second, later)?;
            connections::find(c, second.environment, &second.integration, &second.name)
        })
        .await
        .unwrap();

    assert_eq!(row.connection_config, map(&json!({"accountSid": "AC2"})));
    assert_eq!(
        (row.metadata, Some(row.tags), row.end_user),
        (
            expected.change.metadata,
            expected.change.tags,
            expected.change.end_user
        )
    );
    assert_eq!(
        (row.problem, row.created_at, row.updated_at),
        (None, NOW, NOW.plus(Duration::from_micros(5)))
    );
}

#[on_both_databases]
async fn a_connection_of_another_environment_is_not_found(fixture: Fixture) {
    fixture.connection("c").await;
    let other = fixture.environment("other").await;
    let (integration, name) = ("twilio".parse().unwrap(), "c".parse().unwrap());
    let found = fixture
        .store
        .read(move |c| connections::find(c, other, &integration, &name))
        .await;
    assert!(matches!(found, Err(StoreError::NotFound { what: "connection" })));
}

#[on_both_databases]
async fn a_list_is_newest_first_and_every_filter_holds(fixture: Fixture) {
    let dev = fixture.environment("dev").await;
    let tagged = NewConnection {
        change: ConnectionChange {
            tags: Some(
                [
                    ("a.b\"c".to_owned(), "1".to_owned()),
                    ("d".to_owned(), "2".to_owned()),
                ]
                .into(),
            ),
            end_user: Some(json!({"id": "u_1", "email": "Ann@Example.com"})),
            ..ConnectionChange::default()
        },
        ..new_connection(dev, "tagged")
    };
    fixture.connection("plain").await;
    fixture.store.write(move |c| create(c, &tagged)).await.unwrap();
    fixture.connection("third").await;
    let names = async |filter: ConnectionFilter| {
        let rows = fixture
            .store
            .read(move |c| connections::list(c, dev, &filter))
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| row.name.to_string())
            .collect::<Vec<_>>()
    };
    let all = ConnectionFilter::default;
    let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let search = |text: &str| ConnectionFilter {
        search: Some(text.to_owned()),
        ..all()
    };
    let cases: [(ConnectionFilter, &[&str]); 10] = [
        (all(), &["third", "tagged", "plain"]),
        (
            ConnectionFilter {
                limit: 2,
                page: 1,
                ..all()
            },
            &["plain"],
        ),
        (
            ConnectionFilter {
                name: Some("third".parse().unwrap()),
                ..all()
            },
            &["third"],
        ),
        (search("ann@EX"), &["tagged"]),
        (search("U_1"), &["tagged"]),
        (search("u%1"), &[]),
        (
            ConnectionFilter {
                end_user_id: Some("u_1".to_owned()),
                ..all()
            },
            &["tagged"],
        ),
        (
            ConnectionFilter {
                integrations: vec!["other".parse().unwrap()],
                ..all()
            },
            &[],
        ),
        (
            ConnectionFilter {
                tags: vec![tag("a.b\"c", "1"), tag("d", "2")],
                ..all()
            },
            &["tagged"],
        ),
        (
            ConnectionFilter {
                tags: vec![tag("d", "1")],
                ..all()
            },
            &[],
        ),
    ];
    for (filter, wanted) in cases {
        assert_eq!(names(filter).await, wanted);
    }
}

#[on_both_databases]
async fn deleting_a_connection_deletes_everything_that_belongs_to_it(fixture: Fixture) {
    let stream = fixture.stream().await;
    let (dev, sync, connection) = (
        fixture.environment("dev").await,
        stream.lease.id,
        stream.connection,
    );
    fixture
        .store
        .write(move |c| credentials::put(c, connection, "s", "k", NOW))
        .await
        .unwrap();
    fixture
        .store
        .write(move |c| connections::delete(c, connection))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .store
            .read(move |c| syncs::get_any_environment(c, sync))
            .await
            .unwrap(),
        None
    );
    assert!(
        fixture
            .store
            .read(move |c| schedule::state(c, sync))
            .await
            .is_err()
    );
    assert!(
        fixture
            .store
            .read(move |c| credentials::get(c, connection))
            .await
            .is_err()
    );
    assert_eq!(
        fixture
            .store
            .read(move |c| connections::count(c, dev, None))
            .await
            .unwrap(),
        0
    );
    assert!(
        fixture.connection("c1").await > connection,
        "numbers are not given out again"
    );
}
