//! The short route of an action in the document.

use registry::{Action, Method, Provider, RouteStep};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Content, RefOr, Required};

use crate::schema::{input_schema, inputs_object, text};

/// Describes the short route of an action; `operation` describes `POST /action/trigger`.
pub(super) fn short_route(provider: &Provider, action: &Action, mut operation: Operation) -> Operation {
    let route = action.route.as_ref();
    let steps = route.map_or(&[][..], |route| &route.steps);
    let in_path = |name: &str| steps.contains(&RouteStep::Input(name.to_owned()));
    let with_body = route.is_some_and(|route| !matches!(route.method, Method::Get | Method::Delete));
    operation.summary = Some(action.description.clone());
    operation.description = Some(format!(
        "The action `{}` of {}, at its own path; `POST /action/trigger` does the same.",
        action.name, provider.display_name
    ));
    let mut parameters: Vec<RefOr<Parameter>> = operation.parameters.take().unwrap_or_default();
    parameters.retain(|parameter| {
        !matches!(parameter, RefOr::T(parameter) if ["Provider-Config-Key", "Connection-Id"].contains(&parameter.name.as_str()))
    });
    if !with_body {
        parameters.push(parameter(
            "connectionId",
            ParameterIn::Query,
            "The connection",
            true,
            connection().into(),
        ));
    }
    for (name, input) in &action.inputs {
        let place = if in_path(name) {
            ParameterIn::Path
        } else if with_body {
            continue;
        } else {
            ParameterIn::Query
        };
        parameters.push(parameter(
            name,
            place,
            &input.description,
            input.required,
            input_schema(input),
        ));
    }
    operation.parameters = Some(parameters);
    operation.request_body = with_body.then(|| {
        let object = inputs_object(action, |name| !in_path(name))
            .property("connectionId", connection())
            .required("connectionId");
        json_body(object.into())
    });
    operation
}

fn connection() -> ObjectBuilder {
    text().description(Some("The connection")).examples(["my-acme"])
}

/// Returns a required body of JSON.
pub(super) fn json_body(schema: Schema) -> RefOr<RequestBody> {
    let content = Content::builder().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new().content("application/json", content);
    body.required(Some(Required::True)).build().into()
}

/// Returns a parameter of an operation.
pub(super) fn parameter(
    name: &str,
    place: ParameterIn,
    description: &str,
    required: bool,
    schema: Schema,
) -> RefOr<Parameter> {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description).filter(|text| !text.is_empty()))
        .schema(Some(schema))
        .build()
        .into()
}
