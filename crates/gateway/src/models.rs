//! Every model of every provider with what is made from it once: its statements and its reader.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Model, ProviderName, RecordReader, SyncName};
use registry::{Provider, Registry};
use store::records::TableSql;
use store::{Store, StoreError};

/// A model and what is generated from it.
#[derive(Debug)]
pub struct ModelTable {
    /// The model.
    pub model: Arc<Model>,
    /// The statements of its table.
    pub sql: TableSql,
    /// Reads the provider's records.
    pub reader: RecordReader,
}

/// The models of all providers.
#[derive(Debug, Default)]
pub struct Models(HashMap<(ProviderName, SyncName), Arc<ModelTable>>);

impl Models {
    /// Makes or extends the table of every model, and the statements for it.
    pub(crate) async fn prepare(registry: &Registry, store: &Store) -> Result<Self, StoreError> {
        let mut models = HashMap::new();
        for provider in registry.iter() {
            for (name, sync) in &provider.syncs {
                let model = Arc::clone(&sync.model);
                store.write(move |c| store::tables::ensure(c, &model)).await?;
                let table = ModelTable {
                    sql: TableSql::new(&sync.model, store.dialect()),
                    reader: RecordReader::new(&sync.model),
                    model: Arc::clone(&sync.model),
                };
                models.insert((provider.name.clone(), name.clone()), Arc::new(table));
            }
        }
        Ok(Self(models))
    }

    /// The table that a sync of a provider fills.
    pub fn of_sync(&self, provider: &ProviderName, sync: &SyncName) -> Option<&Arc<ModelTable>> {
        self.0.get(&(provider.clone(), sync.clone()))
    }

    /// The table of the model that is called `plural` in paths.
    pub fn by_plural(&self, provider: &Provider, plural: &str) -> Option<&Arc<ModelTable>> {
        let (name, _) = provider
            .syncs
            .iter()
            .find(|(_, sync)| sync.model.plural == plural)?;
        self.of_sync(&provider.name, name)
    }

    /// All tables of a provider.
    pub fn of_provider<'a>(
        &'a self,
        provider: &'a ProviderName,
    ) -> impl Iterator<Item = &'a Arc<ModelTable>> {
        self.0
            .iter()
            .filter(move |((name, _), _)| name == provider)
            .map(|(_, table)| table)
    }
}
