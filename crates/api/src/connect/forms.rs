//! `GET /{integration}/connect`: the forms of an integration, for clients that ask people for the fields.

use actix_web::web;
use registry::{ConnectForm, Field, Provider};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::query::{NoParameters, Query};

/// The forms by which an integration is connected.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectFormsAnswer {
    data: ConnectForms,
}

/// The forms of an integration. The body of `POST /{integration}/connect` fills one of them.
#[derive(Serialize, ToSchema)]
struct ConnectForms {
    /// The integration's key.
    #[schema(example = "acme")]
    integration: String,
    /// The provider's name.
    #[schema(example = "acme")]
    provider: String,
    /// The provider's name for people.
    #[schema(example = "Acme")]
    display_name: String,
    /// What people must know before they connect.
    notice: Option<String>,
    /// The forms, the recommended one first.
    forms: Vec<ConnectFormView>,
}

/// A form: one way to connect.
#[derive(Serialize, ToSchema)]
struct ConnectFormView {
    #[schema(example = "API key")]
    title: String,
    /// The fields in the order in which to ask for them.
    fields: Vec<ConnectField>,
}

/// A field of a form.
#[derive(Serialize, ToSchema)]
struct ConnectField {
    /// Its name in the body.
    #[schema(example = "apiKey")]
    name: String,
    /// Its label; null if the name is one.
    title: Option<String>,
    /// What it is and where to find it.
    description: Option<String>,
    /// An example value.
    example: Option<String>,
    /// Whether it is required.
    required: bool,
    /// Whether it must be hidden while it is typed: a key or a password.
    secret: bool,
    /// Whether the provider's file sets it, so that people need not be asked.
    hidden: bool,
    /// The allowed values; empty if any value is allowed.
    #[schema(example = json!([]))]
    allowed: Vec<String>,
    /// The value if it is left out.
    default: Option<String>,
    /// Ask for it only while another field holds one of these values; null to ask always.
    visible_when: Option<ConnectCondition>,
    /// The environment variable from which a command-line client reads it.
    env: Option<String>,
}

/// A condition on another field of the form.
#[derive(Serialize, ToSchema)]
struct ConnectCondition {
    /// The other field.
    #[schema(example = "region")]
    field: String,
    /// The values of which it must hold one.
    #[schema(example = json!(["eu"]))]
    equals: Vec<String>,
}

impl ConnectForms {
    fn new(integration: String, provider: &Provider) -> Self {
        let form = |form: &ConnectForm| ConnectFormView {
            title: form.title.clone(),
            fields: form
                .fields
                .iter()
                .map(|(name, field)| ConnectField::new(name, field))
                .collect(),
        };
        Self {
            integration,
            provider: provider.name.to_string(),
            display_name: provider.display_name.clone(),
            notice: provider.notice.clone(),
            forms: provider.connect.iter().map(form).collect(),
        }
    }
}

impl ConnectField {
    fn new(name: &str, field: &Field) -> Self {
        let condition = field.visible_when.as_ref();
        Self {
            name: name.to_owned(),
            title: field.title.clone(),
            description: field.description.clone(),
            example: field.example.clone(),
            required: field.required(),
            secret: field.secret,
            hidden: field.hidden,
            allowed: field.allowed.clone(),
            // The default of a secret is for the file alone.
            default: field.default_value.clone().filter(|_| !field.secret),
            visible_when: condition.map(|when| ConnectCondition {
                field: when.field.clone(),
                equals: when.equals.clone(),
            }),
            env: field.env.clone(),
        }
    }
}

/// Shows the forms of an integration: the fields of the body of `POST` to the same path.
#[utoipa::path(
    get, path = "/{integration}/connect", operation_id = "get_connect_forms", tag = "connections", security(("api_key" = ["environment:connections:create"])),
    responses(
        (status = 200, description = "The forms", body = ConnectFormsAnswer),
        InvalidQuery,
        (status = 404, description = "`unknown_provider_config`")
    )
)]
pub(crate) async fn forms(
    Authorized { gateway, caller, .. }: Authorized<scope::ConnectionsCreate>,
    integration: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<ConnectFormsAnswer>, ApiError> {
    let found = gateway
        .resolve_integration(caller.environment, &integration)
        .await?;
    let data = ConnectForms::new(found.key.to_string(), &found.provider);
    Ok(web::Json(ConnectFormsAnswer { data }))
}
