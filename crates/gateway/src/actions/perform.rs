//! Carries out actions: sends the request and stores the records of the response.

use std::sync::Arc;

use domain::Connection;
use registry::Action;
use registry::webhooks::WEBHOOK_URL;
use serde_json::{Map, Value as Json, json};
use store::records::{self, Rows};
use store::{DbConn, StoreError};
use upstream::Target;
use url::Url;

use crate::error::{AttemptError, Result, request_failed};
use crate::gateway::Gateway;
use crate::health;
use crate::models::ModelTable;
use crate::webhooks;

/// Sends an action's request once and returns its response.
///
/// The records of the response are in the tables when this returns; if storing fails, the next run of the sync reads them. After a
/// redirect to another resource (303) nothing is stored, because that resource may not be the record.
// Every log line about the action names its connection.
#[tracing::instrument(
    name = "action",
    skip_all,
    fields(action = %action.name, integration = %connection.integration, connection = %connection.name)
)]
pub(super) async fn perform(
    gateway: &Gateway,
    connection: &Connection,
    action: &Action,
    inputs: &Map<String, Json>,
) -> Result<Json, AttemptError> {
    let target = action_target(gateway, connection, action).await?;
    let failed = |failed| request_failed(&target.provider, action.repeatable, failed);
    let request = target.action_request(action, inputs);
    let request = request.map_err(|error| failed(error.into()))?;
    let output_expected = !action.answer.is_empty() || action.writes.is_some();
    match gateway
        .upstream
        .send_action(&target, request, output_expected)
        .await
    {
        Ok(answer) => {
            if let Err(error) = health::clear_problem(gateway, connection).await {
                tracing::warn!(%error, "the problem of the connection was not cleared");
            }
            let body = body(&answer);
            forget(gateway, connection, &target, action, inputs).await;
            if !answer.carried_out {
                keep(gateway, connection, &target, action, &body).await;
            }
            Ok(pick(body, &action.answer))
        }
        Err(refusal) => {
            let told = refusal.error.provider();
            if told.is_some_and(|told| told.unauthorized) {
                // A confirmed refusal is stored on the connection.
                if let Err(error) = health::check_credentials(gateway, connection, &target).await {
                    tracing::warn!(%error, "the credentials could not be checked");
                }
            } else if told.is_some_and(|told| told.not_found) {
                forget(gateway, connection, &target, action, inputs).await;
            }
            Err(failed(refusal))
        }
    }
}

/// Returns the target of an action. It has the connection's webhook URL if the request uses it, the connection can verify callbacks, and the
/// public URL is not private.
async fn action_target(gateway: &Gateway, connection: &Connection, action: &Action) -> Result<Target> {
    let mut target = gateway.target(connection).await?;
    if !action.request.placeholders().contains(&WEBHOOK_URL) {
        return Ok(target);
    }
    let public = gateway.public_url.as_ref().and_then(|url| Url::parse(url).ok());
    if public.is_some_and(|url| upstream::may_be_public(&url)) {
        let secrets = gateway.connection_secrets(connection).await?;
        if gateway.can_verify(&target, &secrets) {
            let url = webhooks::own_url(gateway, connection, &secrets).await?;
            Arc::make_mut(&mut target.variables).webhook_url = url;
        }
    }
    Ok(target)
}

/// Stores the records of the response. The action has succeeded even if this fails.
async fn keep(gateway: &Gateway, connection: &Connection, target: &Target, action: &Action, body: &Json) {
    let Some(writes) = &action.writes else {
        return;
    };
    let Some(table) = gateway.models.base(&target.provider.name, &writes.sync) else {
        return;
    };
    let answered = match upstream::json_at(body, &writes.record) {
        Some(Json::Array(records)) => records.as_slice(),
        Some(record) => std::slice::from_ref(record),
        None => &[],
    };
    let read = answered.iter().map(|record| table.reader.read(record));
    let (records, damaged): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
    if let Some(Err(error)) = damaged.first() {
        tracing::warn!(%error, skipped = damaged.len(), "the response of an action has invalid records");
    }
    let records: Vec<_> = records.into_iter().flatten().collect();
    let written = change_rows(gateway, table, connection, move |c, rows| {
        records::put(c, rows, &records)
    });
    if let Err(error) = written.await {
        tracing::warn!(%error, "the record of an action is not in its table yet; the next run of the sync stores it");
    }
}

/// Marks the record that the action deletes as deleted.
async fn forget(
    gateway: &Gateway,
    connection: &Connection,
    target: &Target,
    action: &Action,
    inputs: &Map<String, Json>,
) {
    let Some(deletes) = &action.deletes else {
        return;
    };
    let table = gateway.models.base(&target.provider.name, &deletes.sync);
    let (Some(table), Ok(key)) = (table, target.action_text(&deletes.key, inputs)) else {
        return;
    };
    let removed = change_rows(gateway, table, connection, move |c, rows| {
        records::remove(c, rows, &[key])
    });
    if let Err(error) = removed.await {
        tracing::warn!(%error, "a deleted record is still in its table; the next runs of the sync find out");
    }
}

/// Changes a connection's rows of a table in one transaction.
async fn change_rows<T: Send + 'static>(
    gateway: &Gateway,
    table: &Arc<ModelTable>,
    connection: &Connection,
    change: impl FnOnce(&mut DbConn, &Rows<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (table, connection, now) = (Arc::clone(table), connection.id, gateway.clock.now());
    let changed = gateway
        .store
        .write(move |c| change(c, &table.rows(connection, now)));
    changed.await
}

/// Returns the body of a response: JSON, text, or `{"success": true}` without a body.
fn body(answer: &upstream::Response) -> Json {
    if answer.body.trim_ascii().is_empty() {
        return json!({ "success": true });
    }
    answer
        .json()
        .unwrap_or_else(|_| Json::String(answer.plain_text().unwrap_or_default()))
}

fn pick(body: Json, path: &[String]) -> Json {
    if path.is_empty() {
        body
    } else {
        upstream::json_at(&body, path).cloned().unwrap_or_default()
    }
}
