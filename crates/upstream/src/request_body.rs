//! Request bodies as the provider's file makes or completes them.

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use registry::{JsonTemplate, RenderError};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded::{Serializer, parse};

use crate::{Request, RequestError, json};

/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// All but the unreserved characters of RFC 3986, section 2.3.
pub(crate) const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns the body of `request` with those entries of `own` that it lacks. They are added to a JSON object and to a form; `POST`, `PUT`
/// and `PATCH` without a body get an object of them, and its content type. Any other body stays as it is. An entry with a placeholder that
/// has no value is omitted.
pub(crate) fn with_own(
    own: &[(String, JsonTemplate)],
    request: &Request,
    headers: &mut HeaderMap,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Bytes>, RequestError> {
    let mut fields = Map::new();
    for (name, value) in own {
        let value = value.render_if_filled(lookup);
        let value = value.map_err(RequestError::within(|| format!("the field {name:?} of the body")))?;
        fields.extend(value.map(|value| (name.clone(), value)));
    }
    let own = fields;
    if own.is_empty() {
        return Ok(request.body.clone());
    }
    Ok(match request.body.clone().filter(|body| !body.is_empty()) {
        Some(body) if is_form(headers) => Some(form_with(&body, &own)),
        Some(body) => Some(object_with(&body, &own).unwrap_or(body)),
        None if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) => {
            if is_form(headers) {
                return Ok(Some(form_with(&[], &own)));
            }
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            Some(Value::Object(own).to_string().into())
        }
        None => request.body.clone(),
    })
}

/// Whether the headers declare a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(FORM.as_bytes()))
}

/// Renders a body of the file, of the media type `kind`. Values of placeholders are escaped as that type needs.
pub(crate) fn rendered(
    data: &JsonTemplate,
    kind: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Bytes, RenderError> {
    let is_form = kind.starts_with(FORM);
    if let JsonTemplate::Text(text) = data {
        let text = if is_form {
            text.render_escaped(lookup, |value| {
                utf8_percent_encode(value, NOT_UNRESERVED).to_string()
            })
        } else if kind.contains("json") {
            text.render_json(lookup)
        } else {
            text.render(lookup)
        };
        return text.map(Bytes::from);
    }
    Ok(match data.render(lookup)? {
        Value::Object(fields) if is_form => form_with(&[], &fields),
        json => json.to_string().into(),
    })
}

/// Returns the form as written, with the names of `own` that it lacks.
fn form_with(body: &[u8], own: &Map<String, Value>) -> Bytes {
    let there: Vec<String> = parse(body).map(|(name, _)| name.into_owned()).collect();
    let mut more = Serializer::new(String::new());
    for (name, value) in own {
        if let Some(value) = json::plain(value).filter(|_| !there.contains(name)) {
            more.append_pair(name, &value);
        }
    }
    let (more, mut form) = (more.finish(), body.to_vec());
    if !form.is_empty() && !more.is_empty() {
        form.push(b'&');
    }
    form.extend_from_slice(more.as_bytes());
    form.into()
}

/// Returns the object with the fields of `own` that it lacks; `None` if the body is no JSON object. Every value stays as written,
/// so that no number is rounded.
fn object_with(body: &[u8], own: &Map<String, Value>) -> Option<Bytes> {
    let mut fields: IndexMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    for (name, value) in own {
        if !fields.contains_key(name) {
            fields.insert(name.clone(), RawValue::from_string(value.to_string()).ok()?);
        }
    }
    serde_json::to_vec(&fields).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::tests::template;

    fn sent(method: Method, kind: Option<&'static str>, body: Option<&'static str>) -> Option<String> {
        let own = [
            ("key".to_owned(), JsonTemplate::Text(template("k-${apiKey}"))),
            (
                "gone".to_owned(),
                JsonTemplate::Text(template("${connectionConfig.none}")),
            ),
        ];
        let mut request = Request::new(method, "/x");
        request.body = body.map(Bytes::from);
        let mut headers = HeaderMap::new();
        headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
        let lookup = |placeholder: &str| (placeholder == "apiKey").then(|| "1".to_owned());
        let body = with_own(&own, &request, &mut headers, &lookup).unwrap()?;
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn objects_and_forms_get_missing_fields_and_keep_their_own() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let post = |kind, body| sent(Method::POST, kind, body);
        assert_eq!(
            post(None, Some("{\"n\": 12345678901234567890123.10}")).unwrap(),
            "{\"n\":12345678901234567890123.10,\"key\":\"k-1\"}"
        );
        assert_eq!(post(None, Some("{\"key\":2}")).unwrap(), "{\"key\":2}");
        assert_eq!(post(None, Some("[1]")).unwrap(), "[1]");
        assert_eq!(post(Some("text/csv"), Some("a,b")).unwrap(), "a,b");
        assert_eq!(post(None, None).unwrap(), "{\"key\":\"k-1\"}");
        assert_eq!(post(Some(FORM), Some("a=1&a=2")).unwrap(), "a=1&a=2&key=k-1");
        assert_eq!(post(Some(FORM), Some("key=mine")).unwrap(), "key=mine");
        assert_eq!(sent(Method::GET, None, None), None);
    }
}
