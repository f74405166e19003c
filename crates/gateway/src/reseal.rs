//! Sealing everything anew with the current key, after a rotation.

use domain::Clock;
use store::{DbConn, Store, StoreError, integration_secrets};
use vault::{Owner, SealContext};

use crate::credentials::{self, Credentials};
use crate::{GatewayError, integration_secrets as of_integrations, key_ring};

/// How far a rotation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Credentials of connections, and secret fields of integrations, sealed anew.
    pub sealed: u64,
    /// Those that changed meanwhile, and so are sealed with the current key already.
    pub changed: u64,
}

/// What is read for one step of a rotation.
const BATCH: i64 = 200;

/// A sealed text and where it stands.
struct SealedText {
    place: SealContext<'static>,
    text: String,
}

/// What another key than `key_id` sealed: credentials first, then secret fields of integrations; empty if nothing is left.
fn not_sealed_with(c: &mut DbConn, key_id: &str) -> Result<Vec<SealedText>, StoreError> {
    let rows = store::credentials::not_sealed_with(c, key_id, BATCH)?.into_iter();
    let mut found: Vec<SealedText> = rows
        .map(|row| SealedText {
            place: credentials::place(row.environment, row.connection),
            text: row.sealed,
        })
        .collect();
    if found.is_empty() {
        let rows = integration_secrets::not_sealed_with(c, key_id, BATCH)?.into_iter();
        found.extend(rows.filter_map(|row| {
            Some(SealedText {
                place: of_integrations::place(&row),
                text: row.sealed_config?,
            })
        }));
    }
    Ok(found)
}

impl Credentials {
    /// See [`crate::Gateway::reseal`].
    pub(crate) async fn reseal(
        &self,
        store: &Store,
        clock: &Clock,
        mut progress: impl FnMut(Rotation),
    ) -> Result<Rotation, GatewayError> {
        let mut done = Rotation::default();
        loop {
            let current = self.keys.reload(store).await?.current().id();
            let rows = store.read(move |c| not_sealed_with(c, current.as_str())).await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for SealedText { place, text: old } in rows {
                // Each time, so that nothing is sealed with a key that only this process has, and that another rotation counts.
                let ring = self.keys.reload(store).await?;
                let Some(new) = ring.reseal(&place, &old.parse()?)? else {
                    continue;
                };
                let now = clock.now();
                let replaced = store.write_durably(move |c| {
                    key_ring::record(c, &ring, now)?;
                    let (sealed, key_id) = (new.to_string(), new.key_id().as_str());
                    match place.owner {
                        Owner::Connection(id) => {
                            store::credentials::replace_if_same(c, id, &old, &sealed, key_id, now)
                        }
                        Owner::Integration(id) => {
                            integration_secrets::replace_if_same(c, id, &old, &sealed, key_id)
                        }
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
}
