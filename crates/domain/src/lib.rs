//! The nouns that all of Trunkline shares: ids, the clock, names and their rules, models and records.
//!
//! Every crate may depend on this one and it depends on none of them. It does no I/O; the only outside things in it are the
//! system clock and the random source behind [`Clock`] and [`Id`], so that tests can hold time in their hand.

mod clock;
mod id;
mod json;
mod model;
mod names;
mod record;
mod timestamp;

pub use clock::Clock;
pub use id::{
    ActionId, ApiKey, ApiKeyId, Connection, ConnectionId, Environment, EnvironmentId, Id, IdKind,
    Integration, IntegrationId, ParseIdError, RowId, Run, RunId, Slice, SliceId, Sync, SyncId,
};
pub use json::{JsonError, JsonKind, JsonReader, JsonScalar, json_text, repaired_json};
pub use model::{Column, ColumnKind, Model, Parse};
pub use names::{
    ActionName, ConnectionName, EnvironmentName, IntegrationKey, ModelName, NameError, ProviderName,
    SyncName, TableName, Variant, check_new,
};
pub use record::{
    MAX_KEY_BYTES, Misfit, Record, RecordError, RecordReader, Value, is_shortened, plain_decimal, stored_key,
};
pub use timestamp::{ParseTimestampError, Timestamp};
