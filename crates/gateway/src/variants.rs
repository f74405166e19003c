//! Variants of a sync: the same list read with another value for `${variant}`, with schedule, runs, checkpoint and rows of its own.

use std::sync::Arc;

use domain::{Connection, ProviderName, Sync, SyncName, Variant};
use store::connections;
use store::syncs::{self, NewSync};
use store::{StoreError, credentials, tables};

use crate::gateway::Inner;
use crate::held::Holder;
use crate::models::ModelTable;
use crate::syncs::Syncs;
use crate::{Caller, GatewayError};

/// Variants of a sync that a connection may have beside the base, as in Nango's API.
const MAX_VARIANTS: i64 = 100;

impl Syncs<'_> {
    /// Makes a variant of a connection's sync. It begins at once, unless the provider's file has its syncs wait to be started.
    pub async fn create_variant(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
        name: &SyncName,
        variant: &Variant,
    ) -> Result<Sync, GatewayError> {
        let connection = self.0.connection(caller, integration, connection).await?;
        let auto_start = self.0.declared(&connection, name)?.auto_start;
        if *variant == Variant::base() {
            return Err(GatewayError::BaseVariant);
        }
        let model = self.0.models.variant_model(&connection.provider, name, variant);
        let now = self.0.clock.now();
        let new = NewSync {
            connection: connection.id,
            name: name.clone(),
            variant: variant.clone(),
            paused: !auto_start,
            due_at: auto_start.then_some(now),
        };
        let unknown = GatewayError::unknown_connection(&connection.name, &connection.integration);
        // The table and the row that counts on it come in one transaction, whatever this process made before: another may just have
        // dropped the table with its last variant.
        let made = self.0.store.write_long(move |c| {
            // One at a time, so that the cap holds, and not while the connection is being deleted.
            let row = connections::lock(c, connection.environment, &connection.integration, &connection.name);
            match row {
                Ok(row) if row.id == new.connection && credentials::lock(c, row.id)? => {}
                Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(Err(unknown)),
                Err(error) => return Err(error),
            }
            if syncs::get(c, new.connection, &new.name, &new.variant)?.is_some() {
                return Ok(Err(GatewayError::VariantExists {
                    sync: new.name.to_string(),
                    variant: new.variant.to_string(),
                }));
            }
            if syncs::count_variants(c, new.connection, &new.name)? >= MAX_VARIANTS {
                return Ok(Err(GatewayError::Capped(format!(
                    "the sync {} of this connection has {MAX_VARIANTS} variants, which is the most: delete one first",
                    new.name
                ))));
            }
            if let Some(model) = &model {
                tables::ensure(c, model)?;
            }
            Ok(Ok(syncs::ensure(c, &new, now)?))
        });
        let made = made.await??;
        self.0.due.notify_one();
        Ok(made)
    }

    /// Deletes a variant of a connection's sync with its rows, and its table with the last connection's.
    ///
    /// Like a reset it is taken from whoever holds it first, so that nobody writes behind the deletion. Cut off in the middle, the
    /// deletion can be repeated.
    pub async fn delete_variant(
        &self,
        caller: &Caller,
        integration: &str,
        connection: &str,
        name: &SyncName,
        variant: &Variant,
    ) -> Result<(), GatewayError> {
        let connection = self.0.connection(caller, integration, connection).await?;
        if *variant == Variant::base() {
            return Err(GatewayError::BaseVariant);
        }
        let mut found = self.0.find_sync(&connection, name, variant).await?;
        if found.is_none() {
            return Err(GatewayError::UnknownVariant(format!(
                "the connection {:?} has no variant {variant} of a sync {name}",
                connection.name
            )));
        }
        while let Some(sync) = found {
            if self.delete_held(&sync).await? {
                break;
            }
            found = self.0.find_sync(&connection, name, variant).await?;
        }
        Ok(())
    }

    /// False if somebody else took the sync meanwhile.
    async fn delete_held(&self, sync: &Sync) -> Result<bool, GatewayError> {
        let (id, now) = (sync.id, self.0.clock.now());
        let holder = Holder::new(now);
        let taker = holder.clone();
        self.0
            .store
            .write(move |c| {
                taker.take(c, id, now)?;
                syncs::set_paused(c, id, true, None, now)
            })
            .await?;
        let kept = self.0.delete_rows_of(sync, &holder).await?;
        if kept {
            let (deleted, table) = (sync.clone(), self.0.models.variant_table(sync));
            let gone = self.0.store.write_long(move |c| {
                // The lock on tables first, as when a variant is made.
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
            self.0.models.forget(sync);
        }
        Ok(kept)
    }
}

impl Inner {
    /// See [`crate::Gateway::table`].
    pub(crate) async fn table(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Arc<ModelTable>>, GatewayError> {
        Ok(self
            .models
            .of_variant(&self.store, provider, sync, variant)
            .await?)
    }

    /// The connection's sync of that name and variant.
    pub(crate) async fn find_sync(
        &self,
        connection: &Connection,
        name: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Sync>, GatewayError> {
        let (id, name, variant) = (connection.id, name.clone(), variant.clone());
        Ok(self
            .store
            .read(move |c| syncs::get(c, id, &name, &variant))
            .await?)
    }

    /// The sync as the provider's file of a connection declares it.
    pub(crate) fn declared(
        &self,
        connection: &Connection,
        name: &SyncName,
    ) -> Result<&registry::Sync, GatewayError> {
        let provider = self.provider(&connection.provider)?;
        let declared = provider.syncs.get(name).map(AsRef::as_ref);
        declared.ok_or_else(|| crate::syncs::no_such_sync(provider, name))
    }
}
