//! Labels of connections: tags, and the end user and organization that a connection belongs to.
//!
//! The rules are those of Nango's API. An end user also becomes tags, so that connections can be found by them.

use std::collections::BTreeMap;

use registry::FieldFormat;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::connections::ConnectionChange;
use utoipa::ToSchema;

use crate::error::FieldError;

/// The most tags that a request may give, and the most characters of a key.
const MAX_TAGS: usize = 10;
const MAX_TAG_KEY: usize = 64;
/// The most characters of a value, an id or a name.
const MAX_TEXT: usize = 255;

/// The tag whose value must be an e-mail address.
const EMAIL_TAG: &str = "end_user_email";
/// The tags that an end user becomes, each with its pointer into the end user.
const USER_TAGS: [(&str, &str); 5] = [
    ("end_user_id", "/id"),
    (EMAIL_TAG, "/email"),
    ("end_user_display_name", "/display_name"),
    ("organization_id", "/organization/id"),
    ("organization_display_name", "/organization/display_name"),
];

type Tags = BTreeMap<String, String>;

/// A user of your app.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndUser {
    /// Your id of the user, 1 to 255 characters.
    id: String,
    display_name: Option<String>,
    email: Option<String>,
    /// Labels of the user.
    #[serde(default, deserialize_with = "or_empty")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    tags: Tags,
    organization: Option<Organization>,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The organization that a user of your app belongs to.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Your id of it, 1 to 255 characters.
    id: String,
    display_name: Option<String>,
}

/// The labels of a request, checked. They are not the tags to store: [`Labels::change`] adds the tags that the end user becomes.
#[derive(Debug)]
pub(crate) struct Labels {
    /// The tags of the request, with keys in lower case.
    pub(crate) tags: Option<Tags>,
    /// The end user, with all of `id`, `display_name`, `email`, `tags` and `organization`.
    pub(crate) end_user: Option<Json>,
    /// The URL that receives the connection's events; empty text for the environment's.
    pub(crate) webhook_url_override: Option<String>,
}

/// Checks the values of a body's `tags`, `end_user`, `organization` and `webhook_url_override`; `None` and null mean missing. An
/// organization may be next to its user or inside it, as in responses.
pub(crate) fn parse(
    tags: Option<Json>,
    end_user: Option<Json>,
    organization: Option<Json>,
    webhook_url: Option<String>,
    errors: &mut Vec<FieldError>,
) -> Labels {
    let tags = read("tags", tags, errors).map(|tags| check_tags(&["tags"], tags, errors));
    let has_user = end_user.as_ref().is_some_and(|user| !user.is_null());
    let end_user: Option<EndUser> = read("end_user", end_user, errors);
    let beside: Option<Organization> = read("organization", organization, errors);
    let end_user = match (end_user, beside) {
        (Some(mut user), beside) => {
            check_end_user(&mut user, errors);
            if let Some(beside) = beside {
                check_organization(&["organization"], &beside, errors);
                if user.organization.replace(beside).is_some() {
                    let rule = "is given twice: here and in end_user";
                    errors.push(FieldError::at("invalid", "organization", rule));
                }
            }
            serde_json::to_value(user).ok()
        }
        (None, Some(_)) if !has_user => {
            let rule = "belongs to an end_user, which is missing";
            errors.push(FieldError::at("invalid", "organization", rule));
            None
        }
        (None, _) => None,
    };
    if let Some(url) = webhook_url.as_deref().filter(|url| !url.is_empty()) {
        check_webhook_url(url, errors);
    }
    Labels {
        tags,
        end_user,
        webhook_url_override: webhook_url,
    }
}

impl Labels {
    /// Returns the change that gives a connection with the tags `old` these labels, and `metadata`.
    pub(crate) fn change(&self, metadata: Option<Map<String, Json>>, old: &Tags) -> ConnectionChange {
        let webhook_url = self.webhook_url_override.clone();
        ConnectionChange {
            metadata,
            tags: self.tags_over(old),
            end_user: self.end_user.clone(),
            webhook_url_override: webhook_url.map(|url| Some(url).filter(|url| !url.is_empty())),
        }
    }

    /// Returns the tags that a connection with the tags `old` gets, or `None` if they stay as they are.
    ///
    /// Given tags replace all others. A new end user without tags replaces only the tags of the old end user. A given tag wins over the
    /// tag of the same name that the end user becomes.
    fn tags_over(&self, old: &Tags) -> Option<Tags> {
        let mut tags = match (&self.tags, &self.end_user) {
            (None, None) => return None,
            (Some(tags), _) => tags.clone(),
            (None, Some(_)) => {
                let of_user = |tag: &String| USER_TAGS.iter().any(|(name, _)| name == tag);
                let kept = old.iter().filter(|(tag, _)| !of_user(tag));
                kept.map(|(tag, value)| (tag.clone(), value.clone())).collect()
            }
        };
        for (tag, place) in USER_TAGS {
            let value = self.end_user.as_ref().and_then(|user| user.pointer(place));
            if let Some(value) = value.and_then(Json::as_str) {
                tags.entry(tag.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        Some(tags)
    }
}

fn read<T: DeserializeOwned>(field: &str, value: Option<Json>, errors: &mut Vec<FieldError>) -> Option<T> {
    let value = value.filter(|value| !value.is_null())?;
    let error = match serde_path_to_error::deserialize(value) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let mut error = FieldError::from_serde(&[field], error);
    let missing = error.message.strip_prefix("missing field `");
    if let Some(name) = missing.and_then(|rest| rest.strip_suffix('`')) {
        error.path.push(name.to_owned());
    }
    errors.push(error);
    None
}

/// Checks tags and returns them with keys in lower case.
fn check_tags(path: &[&str], tags: Tags, errors: &mut Vec<FieldError>) -> Tags {
    if tags.len() > MAX_TAGS {
        let rule = format!("must be at most {MAX_TAGS} tags");
        errors.push(FieldError::new("invalid", path.iter().copied(), rule));
    }
    let mut lower = Tags::new();
    for (key, value) in tags {
        let name = key.to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if key.len() > MAX_TAG_KEY
            || !key.starts_with(|c: char| c.is_ascii_alphabetic())
            || !key.chars().all(plain)
        {
            let rule = "the key must be a letter, then letters, digits or any of _-./, at most 64 characters";
            errors.push(FieldError::within("invalid", path, &key, rule));
            continue;
        }
        check_name(path, &key, &value, errors);
        if name == EMAIL_TAG {
            check_email(path, &key, &value, errors);
        }
        if lower.insert(name, value).is_some() {
            let rule = "is given twice: upper and lower case are the same";
            errors.push(FieldError::within("invalid", path, &key, rule));
        }
    }
    lower
}

fn check_end_user(user: &mut EndUser, errors: &mut Vec<FieldError>) {
    let path = &["end_user"];
    check_name(path, "id", &user.id, errors);
    if let Some(email) = &user.email {
        check_email(path, "email", email, errors);
    }
    check_display_name(path, user.display_name.as_deref(), errors);
    user.tags = check_tags(&["end_user", "tags"], std::mem::take(&mut user.tags), errors);
    if let Some(organization) = &user.organization {
        check_organization(&["end_user", "organization"], organization, errors);
    }
}

fn check_organization(path: &[&str], organization: &Organization, errors: &mut Vec<FieldError>) {
    check_name(path, "id", &organization.id, errors);
    check_display_name(path, organization.display_name.as_deref(), errors);
}

fn check_display_name(path: &[&str], name: Option<&str>, errors: &mut Vec<FieldError>) {
    check_text(path, "display_name", name.unwrap_or_default(), 0, errors);
}

/// Checks text by which something is found again.
fn check_name(path: &[&str], field: &str, text: &str, errors: &mut Vec<FieldError>) {
    if check_text(path, field, text, 1, errors)
        && let Err(rule) = domain::check_new_name(text)
    {
        errors.push(FieldError::within("invalid", path, field, rule.to_string()));
    }
}

fn check_email(path: &[&str], field: &str, text: &str, errors: &mut Vec<FieldError>) {
    if check_text(path, field, text, 1, errors)
        && let Err(rule) = FieldFormat::Email.check(text)
    {
        errors.push(FieldError::within("invalid", path, field, rule));
    }
}

/// Checks text of `min` to 255 characters. U+0000 is refused: PostgreSQL's JSON functions, which the filters of lists use, refuse it.
fn check_text(path: &[&str], field: &str, text: &str, min: usize, errors: &mut Vec<FieldError>) -> bool {
    let good = (min..=MAX_TEXT).contains(&text.chars().count()) && !text.contains('\0');
    if !good {
        let rule = format!("must be text of {min} to {MAX_TEXT} characters");
        errors.push(FieldError::within("invalid", path, field, rule));
    }
    good
}

fn check_webhook_url(url: &str, errors: &mut Vec<FieldError>) {
    // The URL parser drops some control characters and encodes others, but the text is stored as it is.
    let checked = if url.contains(char::is_control) {
        Err("must hold no control characters".to_owned())
    } else {
        FieldFormat::Uri.check(url)
    };
    if let Err(rule) = checked {
        errors.push(FieldError::at("invalid", "webhook_url_override", rule));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Json) -> Result<Labels, Vec<String>> {
        let mut errors = Vec::new();
        let field = |name: &str| body.get(name).cloned();
        let labels = super::parse(
            field("tags"),
            field("end_user"),
            field("organization"),
            None,
            &mut errors,
        );
        let paths: Vec<String> = errors.iter().map(|error| error.path.join(".")).collect();
        if paths.is_empty() { Ok(labels) } else { Err(paths) }
    }

    fn map(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
        tags.iter()
            .map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn an_end_user_becomes_tags_that_given_tags_override() {
        let labels = parse(&json!({
            "tags": { "Plan": "pro", "end_user_id": "mine" },
            "end_user": { "id": "u1", "email": "ann@example.com", "display_name": null },
            "organization": { "id": "o1", "display_name": "Acme" },
        }))
        .unwrap();

        let wanted = [
            ("plan", "pro"),
            ("end_user_id", "mine"),
            ("end_user_email", "ann@example.com"),
            ("organization_id", "o1"),
            ("organization_display_name", "Acme"),
        ];
        assert_eq!(labels.tags_over(&map(&[("old", "1")])), Some(map(&wanted)));
        assert_eq!(
            labels.end_user.unwrap(),
            json!({
                "id": "u1", "display_name": null, "email": "ann@example.com", "tags": {},
                "organization": { "id": "o1", "display_name": "Acme" },
            })
        );
    }

    #[test]
    fn a_new_end_user_replaces_the_tags_of_the_old_one() {
        let labels = parse(&json!({ "end_user": { "id": "u2" } })).unwrap();
        let old = map(&[
            ("plan", "pro"),
            ("end_user_id", "u1"),
            ("end_user_email", "a@b.c"),
        ]);

        let wanted = map(&[("plan", "pro"), ("end_user_id", "u2")]);
        assert_eq!(labels.tags_over(&old), Some(wanted));
        assert_eq!(parse(&json!({})).unwrap().tags_over(&old), None);
    }

    #[test]
    fn an_invalid_label_is_named_by_its_path() {
        let long = "x".repeat(256);
        let many: Map<String, Json> = (0..11).map(|n| (format!("t{n}"), json!("v"))).collect();
        let cases = [
            (json!({ "tags": [] }), "tags"),
            (json!({ "tags": many }), "tags"),
            (json!({ "tags": { "1x": "y" } }), "tags.1x"),
            (json!({ "tags": { "x": "" } }), "tags.x"),
            (json!({ "tags": { "x": 1 } }), "tags.x"),
            (json!({ "tags": { "x": "\0" } }), "tags.x"),
            (json!({ "tags": { "x": "pro " } }), "tags.x"),
            (json!({ "end_user": { "id": " u1" } }), "end_user.id"),
            (json!({ "end_user": { "id": "u\u{200b}" } }), "end_user.id"),
            (
                json!({ "end_user": { "id": "u" }, "organization": { "id": "o\t" } }),
                "organization.id",
            ),
            (json!({ "tags": { "x": "1", "X": "2" } }), "tags.x"),
            (
                json!({ "tags": { "End_User_Email": "nobody" } }),
                "tags.End_User_Email",
            ),
            (json!({ "end_user": "u1" }), "end_user"),
            (json!({ "end_user": {} }), "end_user.id"),
            (json!({ "end_user": { "id": "" } }), "end_user.id"),
            (json!({ "end_user": { "id": long } }), "end_user.id"),
            (
                json!({ "end_user": { "id": "u", "email": "no" } }),
                "end_user.email",
            ),
            (json!({ "end_user": { "id": "u", "name": "n" } }), "end_user.name"),
            (json!({ "organization": { "id": "o" } }), "organization"),
            (
                json!({ "end_user": { "id": "u" }, "organization": {} }),
                "organization.id",
            ),
        ];
        for (body, path) in cases {
            match parse(&body).unwrap_err().as_slice() {
                [first, ..] if first.eq_ignore_ascii_case(path) => {}
                other => panic!("{body}: {other:?}"),
            }
        }
    }
}
