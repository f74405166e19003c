//! Times that a wrong clock wrote, read by a correct one.

use std::time::Duration;

use domain::{ActionId, ActionJob, RowId, RunStatus, Sync, Timestamp, Trigger};
use serde_json::json;
use store::actions::{self, ActionEnd, NewAction};
use store::connect_sessions::{self, ConnectSession};
use store::runs::{self, Ending, RunNotes};
use store::{Lease, lease, schedule};
use testkit_macros::on_both_databases;

use crate::fixture::{Fixture, NOW};

const MINUTE: Duration = Duration::from_mins(1);
/// What the wrong clock showed at `NOW`.
const AHEAD: Timestamp = NOW.plus(Duration::from_hours(400 * 24));

async fn released(fixture: &Fixture, now: Timestamp) -> (usize, usize) {
    let release = move |c: &mut store::DbConn| {
        Ok((
            lease::release_misdated::<Sync>(c, now)?,
            lease::release_misdated::<ActionJob>(c, now)?,
        ))
    };
    fixture.store.write(release).await.unwrap()
}

#[on_both_databases]
async fn due_times_and_leases_of_a_clock_that_was_ahead_are_due(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, None).await;
    let due = |fixture: &Fixture| {
        let store = fixture.store.clone();
        async move {
            store
                .read(move |c| schedule::state(c, sync))
                .await
                .unwrap()
                .due_at
        }
    };
    // A due time that is as far ahead as intended stays, however far that is.
    let month = NOW.plus(30 * Timestamp::DAY);
    let set = move |c: &mut store::DbConn| lease::reschedule(c, sync, Some(month), NOW);
    fixture.store.write(set).await.unwrap();
    assert_eq!(released(&fixture, NOW).await, (0, 0));
    assert_eq!(due(&fixture).await, Some(month));

    // The clock was ahead while the sync was postponed by five minutes.
    let set = move |c: &mut store::DbConn| lease::reschedule(c, sync, Some(AHEAD.plus(5 * MINUTE)), AHEAD);
    fixture.store.write(set).await.unwrap();
    assert_eq!(released(&fixture, AHEAD).await, (0, 0));
    assert_eq!(released(&fixture, NOW).await, (1, 0));
    assert_eq!(due(&fixture).await, Some(NOW));
    assert_eq!(released(&fixture, NOW).await, (0, 0), "once");

    // A worker with such a clock claimed it and died.
    let claim = move |c: &mut store::DbConn| schedule::claim(c, AHEAD, AHEAD.plus(MINUTE), "dead", 5);
    assert_eq!(fixture.store.write(claim).await.unwrap().len(), 1);
    assert_eq!(released(&fixture, NOW).await, (1, 0));
    let claim = move |c: &mut store::DbConn| schedule::claim(c, NOW, NOW.plus(MINUTE), "living", 5);
    assert_eq!(fixture.store.write(claim).await.unwrap().len(), 1);

    // A lease of a clock that differs by a usual amount stays.
    let (late, lease) = (NOW.minus(MINUTE / 2), NOW.plus(MINUTE));
    assert_eq!(released(&fixture, late).await, (0, 0));
    assert_eq!(due(&fixture).await, Some(lease));
}

#[on_both_databases]
async fn actions_of_a_clock_that_was_ahead_are_due_and_deleted_on_time(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let store = |key: &str, at: Timestamp| {
        let new = NewAction {
            id: ActionId::random(),
            connection,
            name: "send".parse().unwrap(),
            input: serde_json::Map::new(),
            repeatable: false,
            max_attempts: 1,
            due_at: at.plus(MINUTE),
            holder: Some("h".to_owned()),
            key: Some((key.to_owned(), "hash".to_owned())),
        };
        let store = fixture.store.clone();
        async move { store.write(move |c| actions::insert(c, &new, at)).await.unwrap() }
    };
    let end = |number: RowId<ActionJob>, at: Timestamp| {
        let store = fixture.store.clone();
        async move {
            let end = ActionEnd::Succeeded(json!({}));
            assert!(
                store
                    .write(move |c| actions::finish(c, &Lease::new(number, "h"), &end, at))
                    .await
                    .unwrap()
            );
        }
    };
    let (ahead, fresh) = store("ahead", AHEAD).await;
    assert!(fresh);
    assert_eq!(
        released(&fixture, NOW).await,
        (0, 1),
        "its holder is taken for dead"
    );

    end(ahead.number, AHEAD).await;
    let prune = |now: Timestamp| {
        let store = fixture.store.clone();
        let before = now.minus(5 * Timestamp::DAY);
        async move {
            store
                .write(move |c| actions::prune(c, before, now))
                .await
                .unwrap()
        }
    };
    assert_eq!(
        prune(NOW).await,
        0,
        "its key still counts: when it ended is unknown"
    );
    let (right, _) = store("right", NOW).await;
    end(right.number, NOW).await;
    assert_eq!(prune(NOW.plus(4 * Timestamp::DAY)).await, 0);
    // A clock that is far behind deletes nothing.
    assert_eq!(prune(Timestamp::from_micros(0)).await, 0);
    assert_eq!(prune(NOW.plus(6 * Timestamp::DAY)).await, 2);
    assert!(
        store("ahead", NOW.plus(6 * Timestamp::DAY)).await.1,
        "the key is free"
    );
}

#[on_both_databases]
async fn runs_of_a_clock_that_was_ahead_are_deleted_like_old_ones(fixture: Fixture) {
    let connection = fixture.connection("c").await;
    let sync = fixture.sync(connection, None).await;
    for at in [
        AHEAD,
        AHEAD.plus(Duration::from_micros(1)),
        NOW,
        NOW.plus(Duration::from_micros(1)),
    ] {
        let run = move |c: &mut store::DbConn| {
            let (run, _) = runs::enqueue(c, sync, Trigger::Api, at)?;
            let ending = Ending {
                status: RunStatus::Succeeded,
                error: None,
                at,
            };
            runs::note(c, run.id, &RunNotes::default(), Some(ending))
        };
        fixture.store.write(run).await.unwrap();
    }
    let before = NOW.minus(30 * Timestamp::DAY);
    let prune =
        move |c: &mut store::DbConn| runs::prune(c, before, 2, 10, NOW.plus(Duration::from_micros(2)));
    assert_eq!(fixture.store.write(prune).await.unwrap(), 2);
}

#[on_both_databases]
async fn a_connect_session_of_a_clock_that_was_ahead_has_ended(fixture: Fixture) {
    let environment = fixture.environment("dev").await;
    for (hash, at, there) in [
        ("ahead", AHEAD, false),
        ("right", NOW, true),
        ("behind", Timestamp::from_micros(0), false),
    ] {
        let new = ConnectSession {
            environment,
            token_hash: hash.to_owned(),
            connection: None,
            end_user: None,
            tags: std::collections::BTreeMap::new(),
            allowed_integrations: None,
            defaults: serde_json::Map::new(),
            overrides: serde_json::Map::new(),
            webhook_url_override: None,
            created_at: at,
            expires_at: at.plus(30 * MINUTE),
        };
        let find = move |c: &mut store::DbConn| {
            connect_sessions::insert(c, &new)?;
            connect_sessions::by_hash(c, hash, NOW)
        };
        assert_eq!(
            fixture.store.write(find).await.unwrap().is_some(),
            there,
            "{hash}"
        );
    }
}
