//! What one provider's actions add to the document: the inputs of each, and its short route.

use registry::{Action, FieldFormat, Input, InputKind, Provider, RouteStep};
use serde_json::Value as Json;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType,
    Type,
};
use utoipa::openapi::{Components, Content, OpenApi, RefOr, Required};

use super::provider::told;

/// Adds the schema of each action's inputs, and its short route if it has one.
pub(super) fn describe(provider: &Provider, document: &mut OpenApi) {
    let generic = document.paths.paths.get("/action/trigger");
    let Some(generic) = generic.and_then(|item| item.post.clone()) else {
        return;
    };
    for action in provider.actions.values() {
        let schema = whole(action);
        document
            .components
            .get_or_insert_with(Components::new)
            .schemas
            .insert(
                format!("{}.{}", provider.name, action.name),
                Schema::from(schema).into(),
            );
        let Some(route) = &action.route else {
            continue;
        };
        let operation = operation(provider, action, &route.steps, generic.clone());
        let item = document
            .paths
            .paths
            .entry(format!("/{}{route}", provider.name))
            .or_default();
        let slot = match route.method.as_str() {
            "POST" => &mut item.post,
            "PUT" => &mut item.put,
            "PATCH" => &mut item.patch,
            "DELETE" => &mut item.delete,
            _ => &mut item.get,
        };
        *slot = Some(operation);
    }
}

/// The JSON Schema of all that an action is given.
pub(crate) fn inputs_of(action: &Action) -> Json {
    serde_json::to_value(Schema::from(whole(action))).unwrap_or_default()
}

fn whole(action: &Action) -> Object {
    inputs(action, |_| true)
        .description(Some(&action.description))
        .build()
}

fn operation(
    provider: &Provider,
    action: &Action,
    steps: &[RouteStep],
    mut operation: Operation,
) -> Operation {
    let in_path = |name: &str| steps.contains(&RouteStep::Input(name.to_owned()));
    let with_body = action
        .route
        .as_ref()
        .is_some_and(|route| !matches!(route.method.as_str(), "GET" | "DELETE"));
    let id = format!("{}_{}", provider.name, action.name).replace('-', "_");
    operation.operation_id = Some(id);
    operation.summary = Some(action.description.clone());
    operation.description = Some(format!(
        "The action `{}` of {}, by a route of its own; `POST /action/trigger` does the same.",
        action.name, provider.display_name
    ));
    let mut parameters: Vec<RefOr<Parameter>> = operation.parameters.take().unwrap_or_default();
    parameters.retain(|parameter| {
        !matches!(parameter, RefOr::T(parameter) if ["Provider-Config-Key", "Connection-Id"].contains(&parameter.name.as_str()))
    });
    if !with_body {
        parameters.push(own(
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
        parameters.push(own(
            name,
            place,
            &input.description,
            input.required,
            schema(input),
        ));
    }
    operation.parameters = Some(parameters);
    operation.request_body = with_body.then(|| {
        let object = inputs(action, |name| !in_path(name))
            .property("connectionId", connection())
            .required("connectionId");
        let content = Content::builder()
            .schema(Some(Schema::from(object.build())))
            .build();
        RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True))
            .build()
            .into()
    });
    operation
}

fn connection() -> ObjectBuilder {
    text().description(Some("The connection")).examples(["my-acme"])
}

fn own(
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

fn inputs(action: &Action, wanted: impl Fn(&str) -> bool) -> ObjectBuilder {
    let mut object = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, input) in action.inputs.iter().filter(|(name, _)| wanted(name)) {
        object = if input.required {
            object.property(name, schema(input)).required(name)
        } else {
            object.property(name, or_null(schema(input)))
        };
    }
    object
}

/// What may be left out may be null as well.
fn or_null(schema: Schema) -> Schema {
    let with_null = |kind| match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind, Type::Null]),
        other => other,
    };
    match schema {
        Schema::Object(mut object) => {
            object.schema_type = with_null(object.schema_type);
            if let Some(values) = &mut object.enum_values {
                values.push(Json::Null);
            }
            object.into()
        }
        Schema::Array(mut list) => {
            list.schema_type = with_null(list.schema_type);
            list.into()
        }
        other => other,
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn schema(input: &Input) -> Schema {
    let description = told(
        Some(input.description.as_str()).filter(|text| !text.is_empty()),
        input.pattern_description.as_deref(),
    );
    let examples = |object: ObjectBuilder| match &input.example {
        Some(example) => object.examples([example.clone()]),
        None => object,
    };
    match input.kind {
        InputKind::List => {
            let most = input.max_length;
            let list = ArrayBuilder::new().items(of_text(input)).max_items(most);
            let list = match &input.example {
                Some(example) => list.examples([example.clone()]),
                None => list,
            };
            list.description(description).build().into()
        }
        InputKind::Text => {
            let object = of_text(input).max_length(input.max_length);
            examples(object)
                .description(description)
                .default(input.default_value.clone())
                .build()
                .into()
        }
        InputKind::Integer => {
            let number =
                |bound: Option<i64>| bound.and_then(|bound| i32::try_from(bound).ok()).map(f64::from);
            examples(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)))
                .minimum(number(input.minimum))
                .maximum(number(input.maximum))
                .description(description)
                .default(input.default_value.clone())
                .build()
                .into()
        }
        InputKind::Boolean => examples(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Boolean)))
            .description(description)
            .default(input.default_value.clone())
            .build()
            .into(),
        InputKind::Json => examples(ObjectBuilder::new().schema_type(SchemaType::AnyValue))
            .description(description)
            .default(input.default_value.clone().filter(|value| *value != Json::Null))
            .build()
            .into(),
    }
}

fn of_text(input: &Input) -> ObjectBuilder {
    let object = text()
        .pattern(input.pattern.as_ref().map(|pattern| format!("^(?:{pattern})$")))
        .format(input.format.map(format));
    if input.allowed.is_empty() {
        object
    } else {
        object.enum_values(Some(input.allowed.clone()))
    }
}

/// The word by which JSON Schema knows a format, or ours.
pub(super) fn format(format: FieldFormat) -> SchemaFormat {
    let own = |word: &str| SchemaFormat::Custom(word.to_owned());
    match format {
        FieldFormat::Hostname => own("hostname"),
        FieldFormat::Uri => own("uri"),
        FieldFormat::Uuid => own("uuid"),
        FieldFormat::Email => own("email"),
        FieldFormat::Phone => own("phone"),
        FieldFormat::Sender => own("sender"),
        FieldFormat::Date => SchemaFormat::KnownFormat(KnownFormat::Date),
        FieldFormat::DateTime => SchemaFormat::KnownFormat(KnownFormat::DateTime),
    }
}
