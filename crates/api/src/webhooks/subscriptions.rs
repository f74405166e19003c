//! Subscriptions: what providers were asked to send to the address of a connection.

use actix_web::{HttpResponse, web};
use domain::SubscriptionId;
use gateway::Names;
use gateway::webhooks::{
    self, Difference, EndedSubscription, ProviderState, SubscribeBody, SubscriptionView,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::caller::{Authorized, scope};
use crate::error::{ApiError, InvalidQuery};
use crate::parameters::parsed;
use crate::query::Query;

/// The connection.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConnectionQuery {
    /// The connection.
    #[serde(rename = "connectionId", alias = "connection_id")]
    #[param(example = "my-acme")]
    pub(super) connection: String,
}

/// What to end.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnsubscribeQuery {
    /// The connection.
    #[serde(rename = "connectionId", alias = "connection_id")]
    #[param(example = "my-acme")]
    connection: String,
    /// The subscription; all of the connection if left out.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, pattern = "^whs_[0-9a-fA-F]{32}$")]
    id: Option<SubscriptionId>,
    /// Whether to forget it without asking the provider, which then still has it; false if left out.
    forget: Option<bool>,
}

/// A subscription.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSubscription)]
pub(crate) struct View {
    #[schema(example = "whs_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    /// Its name in the provider's file.
    #[schema(example = "orders")]
    subscription: String,
    /// What it does; null if the file no longer declares it, or if the connection's secrets cannot be decrypted.
    description: Option<String>,
    /// What it was asked for with.
    input: Map<String, Json>,
    /// `active`; `creating` while its requests are sent; `ending` until the provider has ended it; `failed` if a request failed or its outcome is
    /// unknown: subscribe again, or end it.
    #[schema(example = "active")]
    status: &'static str,
    /// What it kept of the provider's responses, such as ids and the value that was there before; secrets are not shown.
    kept: Map<String, Json>,
    /// Why it failed, or why the last request for it did.
    error: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The state at the provider; null if it was not asked.
    provider_state: Option<ProviderStateView>,
}

/// The state of a subscription at the provider.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionAtProvider)]
struct ProviderStateView {
    /// `as_set`, `changed` (changed at the provider), `missing` (the provider no longer has it) or `unknown`.
    #[schema(example = "as_set")]
    state: &'static str,
    /// The values that were changed.
    differences: Vec<DifferenceView>,
    /// Why it is not known.
    error: Option<String>,
}

/// A value that was changed at the provider.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionDifference)]
struct DifferenceView {
    /// Its path in the provider's response.
    path: String,
    /// The value that Trunkline set; the secret part of the address is masked.
    expected: String,
    /// The value that is there.
    actual: Option<String>,
}

impl From<ProviderState> for ProviderStateView {
    fn from(state: ProviderState) -> Self {
        let (state, differences, error) = match state {
            ProviderState::AsSet => ("as_set", Vec::new(), None),
            ProviderState::Changed(differences) => ("changed", differences, None),
            ProviderState::Missing => ("missing", Vec::new(), None),
            ProviderState::Unknown(reason) => ("unknown", Vec::new(), Some(reason)),
        };
        let shown = |Difference {
                         path,
                         expected,
                         actual,
                     }| DifferenceView {
            path,
            expected,
            actual,
        };
        Self {
            state,
            differences: differences.into_iter().map(shown).collect(),
            error,
        }
    }
}

impl From<SubscriptionView> for View {
    fn from(view: SubscriptionView) -> Self {
        let row = view.row;
        Self {
            id: row.id.to_string(),
            subscription: row.name,
            description: view.description,
            input: row.input,
            status: row.status.as_str(),
            kept: view.kept,
            error: row.error,
            created_at: row.created_at.to_string(),
            provider_state: view.provider_state.map(ProviderStateView::from),
        }
    }
}

/// A subscription.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubscriptionAnswer {
    data: View,
}

/// The webhooks of a connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhooksAnswer {
    data: WebhooksView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionWebhooks)]
struct WebhooksView {
    /// Where in the provider people enter the address, if they do it themselves.
    setup: Option<String>,
    /// Its subscriptions, oldest first.
    subscriptions: Vec<View>,
    /// What it may be subscribed to; the first one is the default.
    available: Vec<AvailableView>,
}

/// What a connection may be subscribed to.
#[derive(Serialize, ToSchema)]
#[schema(as = AvailableSubscription)]
struct AvailableView {
    /// The name for `subscription`.
    #[schema(example = "orders")]
    name: String,
    /// What it does.
    #[schema(example = "Sends the events of orders")]
    description: String,
    /// What `input` takes.
    input: Vec<InputView>,
}

/// An input.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionInput)]
struct InputView {
    /// Its name.
    #[schema(example = "shop")]
    name: String,
    /// What it is.
    #[schema(example = "The shop whose orders are sent")]
    description: String,
    /// Whether it must be given.
    required: bool,
}

/// Subscriptions that were ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnsubscribedAnswer {
    /// Each of them.
    data: Vec<Unsubscribed>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UnsubscribedWebhook)]
struct Unsubscribed {
    #[schema(example = "whs_0198f0c8a2b37d5ea6a2d4c1b0f3e921")]
    id: String,
    /// Its name in the provider's file.
    #[schema(example = "orders")]
    subscription: String,
    /// What it kept, such as the value that was there before.
    kept: Map<String, Json>,
    /// Whether the provider was asked to end it. False with `forget=true`, if the file declares no `end`, or if the value at the provider was changed
    /// or removed since.
    ended_at_provider: bool,
}

impl From<EndedSubscription> for Unsubscribed {
    fn from(ended: EndedSubscription) -> Self {
        Self {
            id: ended.row.id.to_string(),
            subscription: ended.row.name,
            kept: ended.kept,
            ended_at_provider: ended.ended_at_provider,
        }
    }
}

/// Subscribes a connection: asks the provider to send events to the connection's address.
///
/// Needs a public URL in the configuration. A subscription that replaces a value of the provider keeps the former one, shows it in `kept`, and
/// restores it when it ends. Repeat the request if it failed half way: it goes on where it stopped.
#[utoipa::path(
    post, path = "/{integration}/webhooks", operation_id = "subscribe_webhooks", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(ConnectionQuery),
    request_body = SubscribeBody,
    responses(
        (status = 200, description = "It was subscribed already", body = SubscriptionAnswer),
        (status = 201, description = "Subscribed", body = SubscriptionAnswer),
        (status = 400, description = "`invalid_body` or `invalid_query_params`; `connection_validation_failed` if no public URL is configured, or if the connection has no secret to verify events with; `resource_capped` if the connection has 100 subscriptions"),
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`, or `not_found` if the provider has no subscriptions"),
        (status = 409, description = "Another request or the worker is changing the subscription, or it is being ended: `conflict`"),
        (status = 424, description = "The provider refused: `script_http_error`; its response cannot be used, or it already sends these events to Trunkline: `action_failed`; it is unknown whether the request was carried out: `action_outcome_unknown`"),
        (status = 429, description = "A rate limit of the provider is reached: `rate_limited`; see the header `Retry-After`"),
        (status = 503, description = "The provider cannot be reached: `provider_unavailable`; or the database cannot: `unavailable`. See the header `Retry-After`")
    )
)]
pub(crate) async fn subscribe(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    integration: web::Path<String>,
    body: Body<SubscribeBody, ConnectionQuery>,
) -> Result<HttpResponse, ApiError> {
    let Body(body, query) = body;
    let names = Names::of(&caller, &integration, &query.connection);
    let (view, fresh) = webhooks::subscribe(&gateway, names, body).await?;
    let mut response = if fresh {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(response.json(SubscriptionAnswer { data: view.into() }))
}

/// Shows what a connection is subscribed to, the state of that at the provider, and what else it can be subscribed to.
///
/// Trunkline requests the current state of each active subscription from the provider: `provider_state`.
#[utoipa::path(
    get, path = "/{integration}/webhooks", operation_id = "get_webhook_subscriptions", tag = "webhooks", security(("api_key" = ["environment:webhooks:read"])),
    params(ConnectionQuery),
    responses(
        (status = 200, description = "The subscriptions", body = WebhooksAnswer),
        InvalidQuery,
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`, or `not_found` if the provider sends no webhooks")
    )
)]
pub(crate) async fn show(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksRead>,
    integration: web::Path<String>,
    query: Query<ConnectionQuery>,
) -> Result<web::Json<WebhooksAnswer>, ApiError> {
    let names = Names::of(&caller, &integration, &query.0.connection);
    let found = webhooks::connection_webhooks(&gateway, names).await?;
    let available = found
        .available()
        .map(|(name, description, inputs)| AvailableView {
            name: name.to_owned(),
            description: description.to_owned(),
            input: inputs
                .iter()
                .map(|(name, input)| InputView {
                    name: name.clone(),
                    description: input.description.clone(),
                    required: input.required,
                })
                .collect(),
        });
    Ok(web::Json(WebhooksAnswer {
        data: WebhooksView {
            available: available.collect(),
            setup: found.setup,
            subscriptions: found.subscriptions.into_iter().map(View::from).collect(),
        },
    }))
}

/// Ends subscriptions of a connection.
///
/// Trunkline asks the provider to end them and restores the values that they replaced. A value that was changed at the provider since stays as it
/// is. If the provider refuses or cannot be reached, the response is an error, and the worker tries again.
#[utoipa::path(
    delete, path = "/{integration}/webhooks", operation_id = "unsubscribe_webhooks", tag = "webhooks", security(("api_key" = ["environment:webhooks:write"])),
    params(UnsubscribeQuery),
    responses(
        (status = 200, description = "Ended", body = UnsubscribedAnswer),
        InvalidQuery,
        (status = 404, description = "`unknown_provider_config` or `unknown_connection`, or `not_found` if there is no such subscription"),
        (status = 409, description = "Another request or the worker is changing the subscription: `conflict`"),
        (status = 424, description = "The provider refused: `script_http_error`; its state is unknown: `action_failed`; it is unknown whether the request was carried out: `action_outcome_unknown`"),
        (status = 429, description = "A rate limit of the provider is reached: `rate_limited`; see the header `Retry-After`"),
        (status = 503, description = "The provider cannot be reached: `provider_unavailable`; or the database cannot: `unavailable`. See the header `Retry-After`")
    )
)]
pub(crate) async fn unsubscribe(
    Authorized { gateway, caller, .. }: Authorized<scope::WebhooksWrite>,
    integration: web::Path<String>,
    query: Query<UnsubscribeQuery>,
) -> Result<web::Json<UnsubscribedAnswer>, ApiError> {
    let query = query.0;
    let names = Names::of(&caller, &integration, &query.connection);
    let forget = query.forget.unwrap_or_default();
    let ended = webhooks::unsubscribe(&gateway, names, query.id, forget).await?;
    Ok(web::Json(UnsubscribedAnswer {
        data: ended.into_iter().map(Unsubscribed::from).collect(),
    }))
}
