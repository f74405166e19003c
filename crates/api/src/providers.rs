//! Providers: the services that an integration can connect to, as their files describe them.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, web};
use gateway::{Gateway, providers};
use registry::Provider;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, ToSchema};

use crate::caller::{Authorized, AuthorizedOrSession, scope};
use crate::error::{ApiError, InvalidQuery, NotFound};
use crate::functions::Function;
use crate::query::{NoParameters, Query};

/// The address of this API, without a slash at its end; the addresses of logos begin with it.
#[derive(Clone)]
pub(crate) struct PublicUrl(pub(crate) String);

impl PublicUrl {
    /// Returns the address of a provider's logo.
    pub(crate) fn logo(&self, provider: &str) -> String {
        format!("{}/images/template-logos/{provider}.svg", self.0)
    }
}

/// The providers to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProvidersQuery {
    /// A regular expression that matches in the name, in upper or lower case.
    #[param(example = "acme")]
    search: Option<String>,
}

/// A provider: its whole file, and these fields.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "acme", "logo_url": "https://trunkline.example.org/images/template-logos/acme.svg", "display_name": "Acme",
    "auth_mode": "API_KEY", "proxy": { "base_url": "https://api.acme.example" },
}))]
pub(crate) struct ProviderView {
    /// Its name.
    name: String,
    /// The address of its logo.
    logo_url: String,
    /// The contents of its file: `display_name`, `auth_mode`, `proxy` and so on.
    #[serde(flatten)]
    document: Map<String, Json>,
}

impl ProviderView {
    fn new(provider: &Provider, url: &PublicUrl) -> Self {
        let mut document = provider.document.as_object().cloned().unwrap_or_default();
        for own in ["name", "logo_url"] {
            document.remove(own);
        }
        // A connect page need not ask twice for what is part of a credential.
        let config = document
            .get_mut("connection_config")
            .and_then(Json::as_object_mut);
        for (name, field) in config.into_iter().flatten() {
            if let Some(field) = field
                .as_object_mut()
                .filter(|_| provider.comes_from_credential(name))
            {
                field.insert("optional".to_owned(), true.into());
            }
        }
        Self {
            name: provider.name.to_string(),
            logo_url: url.logo(provider.name.as_str()),
            document,
        }
    }
}

/// The providers, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderList {
    data: Vec<ProviderView>,
}

/// One provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderAnswer {
    data: ProviderView,
}

/// The syncs and actions that integrations of a provider have.
#[derive(Serialize, ToSchema)]
pub(crate) struct TemplateList {
    data: Vec<Function>,
}

/// Lists the providers.
#[utoipa::path(
    get, path = "/providers", operation_id = "list_providers", tag = "providers", security(("api_key" = ["environment:integrations:list"]), ("connect_session" = [])),
    params(ProvidersQuery),
    responses((status = 200, description = "The providers", body = ProviderList), InvalidQuery)
)]
pub(crate) async fn list(
    AuthorizedOrSession { gateway, .. }: AuthorizedOrSession<scope::IntegrationsList>,
    url: web::Data<PublicUrl>,
    query: Query<ProvidersQuery>,
) -> Result<web::Json<ProviderList>, ApiError> {
    let found = providers::list(&gateway, query.0.search.as_deref())?;
    let data = found
        .iter()
        .map(|provider| ProviderView::new(provider, &url))
        .collect();
    Ok(web::Json(ProviderList { data }))
}

/// Shows one provider.
#[utoipa::path(
    get, path = "/providers/{provider}", operation_id = "get_provider", tag = "providers", security(("api_key" = ["environment:integrations:list"]), ("connect_session" = [])),
    responses((status = 200, description = "The provider", body = ProviderAnswer), InvalidQuery, NotFound)
)]
pub(crate) async fn get(
    AuthorizedOrSession { gateway, .. }: AuthorizedOrSession<scope::IntegrationsList>,
    url: web::Data<PublicUrl>,
    name: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<ProviderAnswer>, ApiError> {
    let provider = providers::find(&gateway, &name)?;
    let data = ProviderView::new(&provider, &url);
    Ok(web::Json(ProviderAnswer { data }))
}

/// Lists the syncs and actions that every integration of a provider has.
#[utoipa::path(
    get, path = "/providers/{provider}/templates", operation_id = "list_provider_templates", tag = "providers", security(("api_key" = ["environment:functions:list"])),
    responses((status = 200, description = "The syncs and actions", body = TemplateList), InvalidQuery, NotFound)
)]
pub(crate) async fn templates(
    Authorized { gateway, .. }: Authorized<scope::FunctionsList>,
    name: web::Path<String>,
    _: Query<NoParameters>,
) -> Result<web::Json<TemplateList>, ApiError> {
    let provider = providers::find(&gateway, &name)?;
    let data = Function::of(&provider, provider.name.as_str());
    Ok(web::Json(TemplateList { data }))
}

/// Colours of logos; white letters are readable on each of them.
const COLOURS: [&str; 6] = ["#0f766e", "#1d4ed8", "#7e22ce", "#b91c1c", "#a16207", "#334155"];

/// Returns a logo of a provider: its first letter on a colour.
///
/// Trunkline has no trademarks of other companies; a page that has them may show them instead.
#[utoipa::path(
    get, path = "/images/template-logos/{provider}.svg", operation_id = "provider_logo", tag = "providers", security(()),
    responses((status = 200, description = "The logo", body = String, content_type = "image/svg+xml"), NotFound)
)]
pub(crate) async fn logo(
    gateway: web::Data<Gateway>,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let provider = providers::find(&gateway, &name)?;
    let letter = provider
        .display_name
        .chars()
        .find(char::is_ascii_alphanumeric)
        .map_or('?', |letter| letter.to_ascii_uppercase());
    let sum = name.bytes().fold(0_usize, |sum, byte| sum + usize::from(byte));
    let colour = COLOURS.get(sum % COLOURS.len()).copied().unwrap_or("#334155");
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" role=\"img\"><rect width=\"64\" height=\"64\" rx=\"14\" \
         fill=\"{colour}\"/><text x=\"32\" y=\"44\" font-family=\"sans-serif\" font-size=\"34\" font-weight=\"600\" \
         text-anchor=\"middle\" fill=\"#fff\">{letter}</text></svg>\n"
    );
    Ok(HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(picture))
}
