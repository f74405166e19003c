//! Encrypts everything again with the current key, after a rotation.

use domain::{ConnectionId, IntegrationId, RowId};
use store::webhook_secrets::{self, WebhookSecret};
use store::{DbConn, StoreError, integration_secrets};
use vault::SealContext;

use crate::error::Result;
use crate::gateway::Gateway;
use crate::{encryption_keys, integration_secrets as of_integrations, secrets, webhooks};

/// The progress of a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// How many credentials of connections, secret fields of integrations and secrets of webhooks were sealed again.
    pub sealed: u64,
    /// How many changed meanwhile, and so are sealed with the current key already.
    pub changed: u64,
}

/// Sealed texts that one query reads.
const BATCH: i64 = 200;

/// A sealed text, the row that it is in, and the place that it is bound to.
struct SealedText {
    row: SealedRow,
    place: SealContext<'static>,
    text: String,
}

#[derive(Clone, Copy)]
enum SealedRow {
    Credentials(ConnectionId),
    Integration(IntegrationId),
    Webhook(RowId<WebhookSecret>),
}

/// What another key than `key_id` sealed: credentials first, then secret fields of integrations, then secrets of webhooks; empty at the end.
fn not_sealed_with(c: &mut DbConn, key_id: &str) -> Result<Vec<SealedText>, StoreError> {
    let rows = store::credentials::not_sealed_with(c, key_id, BATCH)?.into_iter();
    let mut found: Vec<SealedText> = rows
        .map(|row| SealedText {
            row: SealedRow::Credentials(row.connection),
            place: secrets::place(row.environment, row.connection),
            text: row.sealed,
        })
        .collect();
    if found.is_empty() {
        let rows = integration_secrets::not_sealed_with(c, key_id, BATCH)?.into_iter();
        found.extend(rows.filter_map(|row| {
            Some(SealedText {
                row: SealedRow::Integration(row.id),
                place: of_integrations::place(&row),
                text: row.sealed_config?,
            })
        }));
    }
    if found.is_empty() {
        let rows = webhook_secrets::not_sealed_with(c, key_id, BATCH)?.into_iter();
        found.extend(rows.filter_map(|row| {
            Some(SealedText {
                row: SealedRow::Webhook(row.id),
                place: webhooks::place(&row)?,
                text: row.sealed,
            })
        }));
    }
    Ok(found)
}

/// Seals with the current key every credential, secret field of an integration and secret of a webhook that another key sealed. It can be interrupted
/// and repeated at any time.
///
/// `progress` is called after each.
pub async fn reseal(gateway: &Gateway, mut progress: impl FnMut(Rotation)) -> Result<Rotation> {
    let (keys, store) = (&gateway.keys, &gateway.store);
    let mut done = Rotation::default();
    loop {
        let current = keys.reload().await?.current().id();
        let rows = store.read(move |c| not_sealed_with(c, current.as_str())).await?;
        if rows.is_empty() {
            return Ok(done);
        }
        for SealedText {
            row,
            place,
            text: old,
        } in rows
        {
            // Reloaded each time, so that a key that only this process has is never used, and another rotation takes effect.
            let ring = keys.reload().await?;
            let Some(new) = ring.reseal(&place, &old.parse()?)? else {
                continue;
            };
            let now = gateway.clock.now();
            let replaced = store.write_durably(move |c| {
                encryption_keys::record(c, &ring, now)?;
                let (sealed, key_id) = (new.to_string(), new.key_id().as_str());
                match row {
                    SealedRow::Credentials(id) => {
                        store::credentials::replace_if_same(c, id, &old, &sealed, key_id, now)
                    }
                    SealedRow::Integration(id) => {
                        integration_secrets::replace_if_same(c, id, &old, &sealed, key_id)
                    }
                    SealedRow::Webhook(id) => webhook_secrets::replace_if_same(c, id, &old, &sealed, key_id),
                }
            });
            if replaced.await? {
                done.sealed += 1;
            } else {
                done.changed += 1;
            }
            progress(done);
        }
    }
}
