//! The body of a request that creates or changes a webhook endpoint.

use serde_json::{Map, Value as Json, json};

use crate::cli::EndpointOptions;
use crate::usage::UsageError;

/// Returns the fields that the options set, and null for those that are set back to their default.
pub(super) fn body(options: &EndpointOptions, reset: &[String]) -> Result<Map<String, Json>, UsageError> {
    let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
    let map = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), json!(value)));
        let map: Map<String, Json> = pairs.collect();
        (!map.is_empty()).then_some(Json::Object(map))
    };
    let waits = &options.retry_seconds;
    let fields = [
        ("events", list(&options.events)),
        ("format", options.format.as_ref().map(|format| json!(format))),
        ("ordered", options.ordered.map(Json::Bool)),
        ("unchanged_runs", options.unchanged_runs.map(Json::Bool)),
        ("integrations", list(&options.integrations)),
        ("tags", map(&options.tags)),
        ("headers", map(&options.headers)),
        (
            "description",
            options.description.as_ref().map(|text| json!(text)),
        ),
        ("rate_per_second", options.rate.map(|rate| json!(rate))),
        ("concurrency", options.concurrency.map(|most| json!(most))),
        ("retry_seconds", (!waits.is_empty()).then(|| json!(waits))),
        ("timeout_seconds", options.timeout.map(|seconds| json!(seconds))),
    ];
    let set = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut body: Map<String, Json> = set.collect();
    for flag in reset {
        let field = match flag.as_str() {
            "rate" => "rate_per_second".to_owned(),
            "timeout" => "timeout_seconds".to_owned(),
            other => other.replace('-', "_"),
        };
        if body.insert(field, Json::Null).is_some_and(|set| !set.is_null()) {
            return Err(UsageError(format!(
                "{flag} is both set and named in --reset: leave one of them out"
            )));
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_in_the_body_and_a_default_is_null() {
        let options = EndpointOptions {
            events: vec!["sync.*".to_owned(), "connection.error".to_owned()],
            ordered: Some(false),
            tags: vec![("plan".to_owned(), "pro".to_owned())],
            retry_seconds: vec![0, 5],
            ..EndpointOptions::default()
        };
        let reset = ["rate", "unchanged-runs"].map(str::to_owned);
        assert_eq!(
            Json::Object(body(&options, &reset).unwrap()),
            json!({
                "events": ["sync.*", "connection.error"], "ordered": false, "tags": { "plan": "pro" },
                "retry_seconds": [0, 5], "rate_per_second": null, "unchanged_runs": null,
            })
        );
        assert!(body(&options, &["ordered".to_owned()]).is_err());
        assert!(body(&EndpointOptions::default(), &[]).unwrap().is_empty());
    }
}
