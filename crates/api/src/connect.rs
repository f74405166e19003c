//! `POST /{integration}/connect`: the same route for every provider.

pub(crate) mod forms;

use actix_web::{HttpResponse, web};
use gateway::{Connected, Gateway};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::body::Body;
use crate::caller::{Caller, scope};
use crate::error::ApiError;

/// The body: the provider's own fields besides those that all providers share.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct ConnectBody(Map<String, Json>);

impl PartialSchema for ConnectBody {
    fn schema() -> RefOr<Schema> {
        let object = shared_fields().description(Some(
            "The fields of one of the provider's forms, and these, which all providers share. The routes of each provider list its forms.",
        ));
        object
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([json!({ "connectionId": "my-acme", "apiKey": "sk_live_0123456789abcdef" })])
            .into()
    }
}

impl ToSchema for ConnectBody {}

/// Returns the fields that a connect body of any provider may have.
pub(crate) fn shared_fields() -> ObjectBuilder {
    let text = |description: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .description(Some(description))
    };
    let map = |description: &str| {
        Object::builder()
            .schema_type(SchemaType::Type(Type::Object))
            .description(Some(description))
    };
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("connectionId", text("Your name for the connection, unique within the integration; a random UUID if left out. The name of an existing connection replaces its credentials and keeps its rows.").examples(["my-acme"]))
        .property("connection_config", map("Further configuration by its stored names, for what no form asks: at most 50 keys that the provider does not know").additional_properties(Some(AdditionalProperties::FreeForm(true))))
        .property("metadata", map("Your metadata: any JSON object").additional_properties(Some(AdditionalProperties::FreeForm(true))))
        .property("tags", map("Your labels: at most 10, names in lower case, values of 1 to 255 characters").additional_properties(Some(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)))))
        .property("end_user", map("Your user: an object with id, and optionally email, display_name, tags and organization; it also becomes labels"))
        .property("organization", map("The user's organization: an object with id, and optionally display_name"))
}

/// A connection that was created or got new credentials.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectAnswer {
    success: bool,
    connection: ConnectionName,
    #[schema(example = "Acme connection created successfully")]
    message: String,
    /// What people must know according to the provider's file, such as that these credentials will expire. Left out if there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    /// The syncs that the key may not read; the connection is created in any case. Left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable_syncs: Vec<UnreadableSync>,
}

/// A sync whose list the provider refuses to show to the key.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnreadableSync {
    #[schema(example = "acme-messages")]
    sync: String,
    /// What the provider said, and what to do.
    #[schema(
        example = "the key may not read acme-messages: Acme refused with HTTP 403: \"Missing scope\". Give the key the permission to read it at the provider, or connect again with a key that has it."
    )]
    message: String,
    /// The provider's code.
    code: Option<String>,
}

impl From<gateway::UnreadableSync> for UnreadableSync {
    fn from(unreadable: gateway::UnreadableSync) -> Self {
        Self {
            sync: unreadable.sync.to_string(),
            message: unreadable.problem.message,
            code: unreadable.problem.code,
        }
    }
}

/// Returns syncs as responses show them.
pub(crate) fn unreadable(syncs: Vec<gateway::UnreadableSync>) -> Vec<UnreadableSync> {
    syncs.into_iter().map(UnreadableSync::from).collect()
}

/// How other requests name a connection.
#[derive(Serialize, ToSchema)]
struct ConnectionName {
    #[schema(example = "my-acme")]
    id: String,
    #[schema(example = "acme")]
    provider_config_key: String,
}

impl From<Connected> for ConnectAnswer {
    fn from(connected: Connected) -> Self {
        let what = if connected.created { "created" } else { "updated" };
        Self {
            success: true,
            message: format!("{} connection {what} successfully", connected.display_name),
            notice: connected.notice,
            unreadable_syncs: unreadable(connected.unreadable),
            connection: ConnectionName {
                id: connected.connection.name.to_string(),
                provider_config_key: connected.connection.integration.to_string(),
            },
        }
    }
}

/// Connects an account: checks the credentials with the provider, encrypts them, and starts its syncs.
///
/// Nothing is stored unless the provider accepts the credentials. The same `connectionId` again replaces the credentials and keeps the
/// synced rows. The response names the syncs whose lists the provider refuses to show to the key.
#[utoipa::path(
    post, path = "/{integration}/connect", operation_id = "connect", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    request_body = ConnectBody,
    responses(
        (status = 201, description = "Connected", body = ConnectAnswer),
        (status = 400, description = "A field is wrong (`invalid_body`), the provider refused the credentials (`connection_test_failed`) or no request can be made with them (`connection_validation_failed`), or the body is one of an OAuth flow (`oauth_not_supported`)"),
        (status = 404, description = "`unknown_provider_config`"),
        (status = 409, description = "`conflict`: the integration was changed while the credentials were checked")
    )
)]
pub(crate) async fn connect(
    caller: Caller<scope::ConnectionsCreate>,
    gateway: web::Data<Gateway>,
    integration: web::Path<String>,
    body: Body<ConnectBody>,
) -> Result<HttpResponse, ApiError> {
    let connected = gateway
        .connections()
        .connect(&caller, &integration, body.0.0)
        .await?;
    Ok(HttpResponse::Created().json(ConnectAnswer::from(connected)))
}
