//! Variants of a sync: the same list read with another value for `${variant}`, with schedule, runs, checkpoint and rows of its own.

use domain::{Sync, SyncName, Variant};
use store::connections;
use store::syncs::{self, NewSync};
use store::{StoreError, credentials, tables};

use super::{declared, resolve_sync};
use crate::deletion;
use crate::error::{GatewayError, Result, refusable};
use crate::gateway::{Gateway, Names};

/// The most variants of a sync that a connection may have beside the base, as in Nango's API.
const MAX_VARIANTS: i64 = 100;

/// Creates a variant of a connection's sync. It runs at once, unless the sync's file says `auto_start: false`.
pub async fn create_variant(
    gateway: &Gateway,
    names: Names<'_>,
    name: &SyncName,
    variant: &Variant,
) -> Result<Sync> {
    let resolved = gateway.resolve(names).await?;
    let connection = resolved.connection;
    let auto_start = declared(&resolved.integration.provider, name)?.auto_start;
    if *variant == Variant::base() {
        return Err(GatewayError::BaseVariant);
    }
    let model = gateway.models.variant_model(&connection.provider, name, variant);
    let now = gateway.clock.now();
    let new = NewSync {
        variant: variant.clone(),
        ..NewSync::base(connection.id, name.clone(), auto_start, now)
    };
    let unknown = GatewayError::unknown_connection(connection.name.as_str(), connection.integration.as_str());
    // The table and the row that needs it are made in one transaction, even if this process made the table before: another process may
    // just have dropped it with its last variant.
    let made = gateway.store.write_long(refusable(move |c| {
        // The lock makes the cap hold, and keeps this from a connection that is being deleted.
        let row = connections::lock(c, connection.environment, &connection.integration, &connection.name);
        match row {
            Ok(row) if row.id == new.connection && credentials::lock(c, row.id)? => {}
            Ok(_) | Err(StoreError::NotFound { .. }) => return Err(unknown),
            Err(error) => return Err(error.into()),
        }
        if syncs::get(c, new.connection, &new.name, &new.variant)?.is_some() {
            return Err(GatewayError::VariantExists {
                sync: new.name.to_string(),
                variant: new.variant.to_string(),
            });
        }
        if syncs::count_variants(c, new.connection, &new.name)? >= MAX_VARIANTS {
            return Err(GatewayError::Capped(format!(
                "the sync {} of this connection has {MAX_VARIANTS} variants, which is the most: delete one first",
                new.name
            )));
        }
        if let Some(model) = &model {
            tables::ensure(c, model)?;
        }
        Ok(syncs::ensure(c, &new, now)?)
    }));
    let made = made.await??;
    gateway.sync_due.notify_one();
    Ok(made)
}

/// Deletes a variant of a connection's sync with its rows, and its table with the last connection's.
///
/// Workers lose the sync first, so that nothing is written after the deletion. An interrupted deletion can be repeated.
pub async fn delete_variant(
    gateway: &Gateway,
    names: Names<'_>,
    name: &SyncName,
    variant: &Variant,
) -> Result<()> {
    let (resolved, mut found) = resolve_sync(gateway, names, (name, variant)).await?;
    let connection = resolved.connection;
    if *variant == Variant::base() {
        return Err(GatewayError::BaseVariant);
    }
    if found.is_none() {
        return Err(GatewayError::NotFound(format!(
            "the connection {:?} has no variant {variant} of a sync {name}",
            connection.name
        )));
    }
    while let Some(sync) = found {
        if delete_one(gateway, &sync).await? {
            break;
        }
        let (id, name, variant) = (connection.id, name.clone(), variant.clone());
        let read = gateway.store.read(move |c| syncs::get(c, id, &name, &variant));
        found = read.await?;
    }
    Ok(())
}

/// Deletes the variant; returns false if another lease on it was taken meanwhile.
async fn delete_one(gateway: &Gateway, sync: &Sync) -> Result<bool> {
    let (id, now) = (sync.id, gateway.clock.now());
    let taken = gateway.store.write(move |c| {
        let lease = deletion::take_sync(c, id, now)?;
        syncs::set_paused(c, id, true, None, now)?;
        Ok(lease)
    });
    let lease = taken.await?;
    let kept = deletion::delete_rows_of_sync(gateway, sync, &lease).await?;
    if kept {
        let (deleted, table) = (sync.clone(), gateway.models.variant_table(sync));
        let gone = gateway.store.write_long(move |c| {
            // The lock on tables first, as where a variant is made.
            tables::lock(c)?;
            syncs::delete(c, id)?;
            match &table {
                Some(table) => {
                    tables::drop_unused(c, &deleted.provider, &deleted.name, &deleted.variant, table)
                }
                None => Ok(()),
            }
        });
        gone.await?;
        gateway.models.forget(sync);
    }
    Ok(kept)
}
