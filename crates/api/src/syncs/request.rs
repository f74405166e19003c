//! The syncs that a request names, as Nango's SDKs write them.

use std::str::FromStr;

use actix_web::http::header::HeaderMap;
use domain::{ConnectionName, IntegrationKey, NameError, SyncName, Variant};
use gateway::{SyncSelection, TriggerOptions};
use serde::de::Error as _;
use serde::de::value::StringDeserializer;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::parameters::comma_separated;

/// A sync and its variant.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SyncRefInput")]
pub(crate) struct SyncRef {
    name: SyncName,
    variant: Variant,
}

/// A sync in a body: as its name, or as an object.
#[derive(Deserialize, ToSchema)]
#[schema(as = SyncRef, example = "acme-messages")]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "must be a name, name::variant, or an object of name and variant"
)]
enum SyncRefInput {
    /// `name` or `name::variant`
    Text(String),
    /// Name and variant
    Parts { name: String, variant: Option<String> },
}

impl SyncRef {
    fn new(name: &str, variant: Option<&str>) -> Result<Self, NameError> {
        Ok(Self {
            name: name.parse()?,
            variant: variant.map_or_else(|| Ok(Variant::base()), str::parse)?,
        })
    }
}

impl FromStr for SyncRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once("::") {
            Some((name, variant)) => Self::new(name, Some(variant)),
            None => Self::new(text, None),
        }
    }
}

impl TryFrom<SyncRefInput> for SyncRef {
    type Error = String;

    fn try_from(input: SyncRefInput) -> Result<Self, String> {
        let read = match input {
            SyncRefInput::Text(text) => text.parse(),
            SyncRefInput::Parts { name, variant } => Self::new(&name, variant.as_deref()),
        };
        read.map_err(|rule| format!("the name of a sync {rule}"))
    }
}

/// The syncs to run now, and how.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriggerSyncBody {
    /// Names of syncs, `name::variant`, or objects of both; at least one.
    #[schema(max_items = 256, value_type = Vec<SyncRefInput>)]
    syncs: Option<Vec<SyncRef>>,
    /// The integration's key; may be the header `Provider-Config-Key` instead.
    #[schema(value_type = Option<String>, example = "acme")]
    provider_config_key: Option<IntegrationKey>,
    /// The connection; all of the integration if left out. May be the header `Connection-Id` instead.
    #[schema(value_type = Option<String>, example = "my-acme")]
    connection_id: Option<ConnectionName>,
    /// How the runs begin.
    opts: Option<TriggerOptions>,
    /// The older form of `opts`.
    sync_mode: Option<SyncMode>,
    /// The oldest form of `reset`.
    full_resync: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SyncMode {
    Incremental,
    FullRefresh,
    FullRefreshAndClearCache,
}

impl TriggerSyncBody {
    /// Returns the selection. Headers supply what the body omits.
    pub(crate) fn read(self, headers: &HeaderMap) -> Result<(SyncSelection, TriggerOptions), ApiError> {
        let options = self.options()?;
        let syncs = self.syncs.unwrap_or_default();
        let selection = selection(self.provider_config_key, self.connection_id, syncs, headers)?;
        if selection.syncs.is_empty() {
            return Err(ApiError::NoSyncs);
        }
        Ok((selection, options))
    }

    fn options(&self) -> Result<TriggerOptions, ApiError> {
        let wrong = |field, message| Err(ApiError::invalid_body(field, message));
        match (&self.opts, self.sync_mode, self.full_resync) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => wrong(
                "opts",
                "cannot be combined with sync_mode or full_resync, which are older forms of it",
            ),
            (Some(opts), ..) if opts.empty_cache && !opts.reset => {
                wrong("opts", "emptyCache needs reset: deleted rows must be read again")
            }
            (Some(opts), ..) => Ok(*opts),
            (None, mode, full) => {
                let empty_cache = matches!(mode, Some(SyncMode::FullRefreshAndClearCache));
                let reset = empty_cache || matches!(mode, Some(SyncMode::FullRefresh)) || full == Some(true);
                Ok(TriggerOptions { reset, empty_cache })
            }
        }
    }
}

/// The syncs to pause or start.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectBody {
    /// Names of syncs, `name::variant`, or objects of both; empty for all.
    #[schema(max_items = 256, value_type = Vec<SyncRefInput>)]
    syncs: Vec<SyncRef>,
    /// The integration's key; may be the header `Provider-Config-Key` instead.
    #[schema(value_type = Option<String>, example = "acme")]
    provider_config_key: Option<IntegrationKey>,
    /// The connection; all of the integration if left out. May be the header `Connection-Id` instead.
    #[schema(value_type = Option<String>, example = "my-acme")]
    connection_id: Option<ConnectionName>,
}

impl SelectBody {
    /// Returns the selection. Headers supply what the body omits.
    pub(crate) fn read(self, headers: &HeaderMap) -> Result<SyncSelection, ApiError> {
        selection(self.provider_config_key, self.connection_id, self.syncs, headers)
    }
}

/// The most syncs that one request may name, as in Nango's API.
const MAX_SYNCS: usize = 256;

fn selection(
    integration: Option<IntegrationKey>,
    connection: Option<ConnectionName>,
    syncs: Vec<SyncRef>,
    headers: &HeaderMap,
) -> Result<SyncSelection, ApiError> {
    if syncs.len() > MAX_SYNCS {
        return Err(ApiError::invalid_body("syncs", "must be at most 256 names"));
    }
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let integration = integration
        .map(|key| key.to_string())
        .or_else(|| header("Provider-Config-Key"));
    Ok(SyncSelection {
        integration: integration.ok_or(ApiError::MissingIntegration)?,
        connection: connection
            .map(|name| name.to_string())
            .or_else(|| header("Connection-Id")),
        syncs: pairs(syncs),
    })
}

fn pairs(syncs: Vec<SyncRef>) -> Vec<(SyncName, Variant)> {
    syncs.into_iter().map(|sync| (sync.name, sync.variant)).collect()
}

/// The syncs whose status to show.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusQuery {
    /// Names of syncs or `name::variant` with commas between, or `*` for all.
    #[serde(deserialize_with = "names_or_all")]
    #[param(value_type = String, example = "*")]
    syncs: Vec<SyncRef>,
    /// The integration's key.
    #[param(example = "acme")]
    provider_config_key: String,
    /// The connection; all of the integration if left out.
    #[param(value_type = Option<String>, example = "my-acme")]
    connection_id: Option<ConnectionName>,
}

/// Reads names of syncs with commas between, or `*` for all, which is an empty list.
fn names_or_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SyncRef>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "*" {
        return Ok(Vec::new());
    }
    let names: Vec<SyncRef> = comma_separated(StringDeserializer::<D::Error>::new(text))?;
    if names.is_empty() {
        return Err(D::Error::custom(
            "must be names of syncs with commas between, or *",
        ));
    }
    Ok(names)
}

impl StatusQuery {
    pub(crate) fn selection(self) -> SyncSelection {
        SyncSelection {
            integration: self.provider_config_key,
            connection: self.connection_id.map(|name| name.to_string()),
            syncs: pairs(self.syncs),
        }
    }
}
