//! Short routes of actions, such as `POST /{integration}/messages`, which the provider files declare.

use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use gateway::{ActionRequest, FieldError, actions};
use serde_json::{Map, Value as Json};

use super::RunOptions;
use crate::body::RawBody;
use crate::caller::{Authorized, scope};
use crate::error::ApiError;
use crate::{body, query, records};

/// Runs the action that the integration's provider has at this path, or lists records if it has a model there instead.
pub(crate) async fn run(
    Authorized { gateway, caller, .. }: Authorized<scope::Any>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    RawBody(bytes): RawBody,
) -> Result<HttpResponse, ApiError> {
    let (integration, route) = path.into_inner();
    let method = request.method();
    let found = actions::at_route(&gateway, &caller, &integration, method.as_str(), &route).await?;
    let Some((action, inputs)) = found else {
        // Another provider's action has this route; here it may be the list of a model.
        return if method == Method::GET && !route.contains('/') {
            let authorized = Authorized::<scope::RecordsRead>::extract(&request).await?;
            records::respond(authorized, &request, &integration, &route).await
        } else {
            Err(ApiError::NoRoute)
        };
    };
    let authorized = Authorized::<scope::ActionsExecute>::extract(&request).await?;
    let mut input = query::inputs(&request);
    if !bytes.is_empty() {
        body::content_type(&request)?;
        add(&mut input, body::parse(&bytes)?)?;
    }
    add(&mut input, inputs)?;
    let connection = connection(&mut input)?;
    let wanted = ActionRequest {
        integration,
        connection,
        action: action.to_string(),
        input,
        within: None,
        key: None,
    };
    let options = RunOptions::of(request.headers())?;
    Ok(options.run(authorized, wanted).await?)
}

/// Adds inputs from another part of the request.
fn add(input: &mut Map<String, Json>, more: Map<String, Json>) -> Result<(), ApiError> {
    for (name, value) in more {
        if input.insert(name.clone(), value).is_some() {
            return Err(ApiError::invalid_body(
                &name,
                "is given twice, in different parts of the request",
            ));
        }
    }
    Ok(())
}

fn connection(input: &mut Map<String, Json>) -> Result<String, ApiError> {
    let given = [input.remove("connectionId"), input.remove("connection_id")];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(Json::String(name)), None) => Ok(name),
        (None, _) => Err(ApiError::InvalidBody(vec![FieldError::at(
            "missing",
            "connectionId",
            "is required, in the body or the query: the connection to use",
        )])),
        _ => Err(ApiError::invalid_body("connectionId", "must be text, given once")),
    }
}
