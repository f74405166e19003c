//! The models of all providers, with the SQL statements and the reader of each.
//!
//! The tables of base variants are made at start. Each other variant has its own table, which is made, or extended after a change of the
//! file, when a process first uses it. Connections with a variant of the same name share it, as they share the base variant's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    ConnectionId, Model, ProviderName, RecordReader, Sync, SyncName, TableName, Timestamp, Variant,
};
use parking_lot::RwLock;
use registry::Registry;
use store::records::{Rows, TableSql};
use store::{Dialect, Store, StoreError, tables};

/// How long the first use of a variant waits for its table to be made.
const TABLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A model with its table.
#[derive(Debug)]
pub struct ModelTable {
    /// The model.
    pub model: Arc<Model>,
    /// The statements of its table.
    pub sql: TableSql,
    /// Reads the provider's records into rows.
    pub reader: RecordReader,
}

impl ModelTable {
    /// The rows of a connection, to write at `now`.
    pub fn rows(&self, connection: ConnectionId, now: Timestamp) -> Rows<'_> {
        Rows {
            table: &self.sql,
            connection,
            now,
        }
    }

    fn new(model: Arc<Model>, dialect: Dialect) -> Self {
        Self {
            sql: TableSql::new(Arc::clone(&model), dialect),
            reader: RecordReader::new(&model),
            model,
        }
    }
}

/// The models of all providers.
pub(crate) struct Models {
    store: Store,
    base: HashMap<(ProviderName, SyncName), Arc<ModelTable>>,
    /// Those that this process has used.
    variants: RwLock<HashMap<(ProviderName, SyncName, Variant), Arc<ModelTable>>>,
}

impl Models {
    /// Makes or extends the table of every model, and the statements for it.
    pub(crate) async fn prepare(registry: &Registry, store: Store) -> Result<Self, StoreError> {
        let mut base = HashMap::new();
        for provider in registry.iter() {
            for (name, sync) in &provider.syncs {
                let model = Arc::clone(&sync.model);
                store.maintain(move |c| store::tables::ensure(c, &model)).await?;
                let table = ModelTable::new(Arc::clone(&sync.model), store.dialect());
                base.insert((provider.name.clone(), name.clone()), Arc::new(table));
            }
        }
        let models = Self {
            store,
            base,
            variants: RwLock::default(),
        };
        models.drop_orphans().await?;
        Ok(models)
    }

    /// Drops the tables of unused variants.
    async fn drop_orphans(&self) -> Result<(), StoreError> {
        let others: Vec<TableName> = self.base.values().map(|base| base.model.table.clone()).collect();
        let bases: Vec<_> = self
            .base
            .iter()
            .map(|((provider, sync), base)| (provider.clone(), sync.clone(), Arc::clone(&base.model)))
            .collect();
        let dropped = self.store.maintain(move |c| {
            let mut dropped = Vec::new();
            for (provider, sync, model) in &bases {
                dropped.extend(tables::drop_orphans(c, provider, sync, model, &others)?);
            }
            Ok(dropped)
        });
        for table in dropped.await? {
            tracing::info!(
                table,
                "dropped the empty table of a variant that no connection has"
            );
        }
        Ok(())
    }

    /// Forgets a variant whose table may have been dropped; its next use makes the table again.
    pub(crate) fn forget(&self, sync: &Sync) {
        let name = (sync.provider.clone(), sync.name.clone(), sync.variant.clone());
        self.variants.write().remove(&name);
    }

    /// The model of a variant of a provider's sync; `None` if the provider has no such sync.
    pub(crate) fn variant_model(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Option<Model> {
        let base = self.base(provider, sync)?;
        Some(base.model.of_variant(variant))
    }

    /// The name of a variant's table; `None` for the base variant and for a sync that no file declares.
    pub(crate) fn variant_table(&self, sync: &Sync) -> Option<TableName> {
        if sync.variant == Variant::base() {
            return None;
        }
        let model = self.variant_model(&sync.provider, &sync.name, &sync.variant)?;
        Some(model.table)
    }

    /// The table of the base variant of a provider's sync.
    pub(crate) fn base(&self, provider: &ProviderName, sync: &SyncName) -> Option<&Arc<ModelTable>> {
        self.base.get(&(provider.clone(), sync.clone()))
    }

    /// The table of a variant of a provider's sync, made if there is none; `None` if the provider has no such sync.
    pub(crate) async fn table(
        &self,
        provider: &ProviderName,
        sync: &SyncName,
        variant: &Variant,
    ) -> Result<Option<Arc<ModelTable>>, StoreError> {
        let Some(base) = self.base(provider, sync) else {
            return Ok(None);
        };
        if *variant == Variant::base() {
            return Ok(Some(Arc::clone(base)));
        }
        let name = (provider.clone(), sync.clone(), variant.clone());
        if let Some(table) = self.variants.read().get(&name) {
            return Ok(Some(Arc::clone(table)));
        }
        let model = Arc::new(base.model.of_variant(variant));
        let made = Arc::clone(&model);
        // Making it goes on if an index takes longer to build; only the request stops waiting.
        let making = self.store.maintain(move |c| tables::ensure(c, &made));
        tokio::time::timeout(TABLE_TIMEOUT, making)
            .await
            .map_err(|late| StoreError::Busy(late.into()))??;
        let table = Arc::new(ModelTable::new(model, self.store.dialect()));
        self.variants.write().insert(name, Arc::clone(&table));
        Ok(Some(table))
    }

    /// The base variants' tables of a provider.
    pub(crate) fn of_provider<'a>(
        &'a self,
        provider: &'a ProviderName,
    ) -> impl Iterator<Item = &'a Arc<ModelTable>> {
        self.base
            .iter()
            .filter(move |((name, _), _)| name == provider)
            .map(|(_, table)| table)
    }
}
