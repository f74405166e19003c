//! Tags, end users and organizations: one place for their rules, whatever request they come with.
//!
//! The rules are those of Nango's API. An end user also becomes tags, so that connections can be found by them.

use std::collections::BTreeMap;

use registry::FieldFormat;
use serde_json::{Map, Value as Json, json};

use crate::FieldError;

/// Most tags that a request may give, and the longest key and value.
const MAX_TAGS: usize = 10;
const MAX_TAG_KEY: usize = 64;
/// Characters of a value, an id or a name.
const MAX_TEXT: usize = 255;

/// The tag whose value must be an e-mail address.
const EMAIL_TAG: &str = "end_user_email";
/// The tags that an end user becomes, each with its place in the end user.
const USER_TAGS: [(&str, &str); 5] = [
    ("end_user_id", "/id"),
    (EMAIL_TAG, "/email"),
    ("end_user_display_name", "/display_name"),
    ("organization_id", "/organization/id"),
    ("organization_display_name", "/organization/display_name"),
];

/// What a request says of whom a connection belongs to, checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels {
    /// The tags, keys in lower case.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// `id`, `display_name`, `email`, `tags` and `organization`, all of them there.
    pub(crate) end_user: Option<Json>,
}

impl Labels {
    /// Checks the values of a body's `tags`, `end_user` and `organization`; what is `None` or null was not given. An organization
    /// may stand beside its user or within, as connections show it.
    pub(crate) fn parse(
        tags: Option<Json>,
        end_user: Option<Json>,
        organization: Option<Json>,
        errors: &mut Vec<FieldError>,
    ) -> Self {
        let mut reader = Reader { errors };
        let tags = given(tags).and_then(|tags| reader.tags(&["tags"], tags));
        let end_user = given(end_user);
        let organization = given(organization);
        if organization.is_some() && end_user.is_none() {
            reader.wrong(
                "invalid",
                &["organization"],
                "belongs to an end_user, which is missing",
            );
        }
        let end_user = end_user.and_then(|user| reader.end_user(user, organization));
        Self { tags, end_user }
    }

    /// The tags that a connection has then; `None` if they stay as they are.
    ///
    /// Tags that are given replace all; a new end user alone replaces those that the old one became. What an end user becomes
    /// never stands over a tag that is given.
    pub(crate) fn tags_over(&self, old: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
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

fn given(value: Option<Json>) -> Option<Json> {
    value.filter(|value| !value.is_null())
}

/// What an object is made of, beside a stranger's fields.
struct Reader<'a> {
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn wrong(&mut self, code: &'static str, path: &[&str], message: impl Into<String>) {
        self.errors.push(FieldError {
            code,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            message: message.into(),
        });
    }

    fn object(&mut self, path: &[&str], value: Json) -> Option<Map<String, Json>> {
        if let Json::Object(object) = value {
            return Some(object);
        }
        self.wrong("invalid", path, "must be an object");
        None
    }

    fn tags(&mut self, path: &[&str], value: Json) -> Option<BTreeMap<String, String>> {
        let tags = self.object(path, value)?;
        if tags.len() > MAX_TAGS {
            self.wrong("invalid", path, "are 10 at most");
        }
        let mut lower = BTreeMap::new();
        for (key, value) in tags {
            let here: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            let name = key.to_ascii_lowercase();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            if key.len() > MAX_TAG_KEY
                || !key.starts_with(|c: char| c.is_ascii_alphabetic())
                || !key.chars().all(plain)
            {
                let rule = "the key must be a letter, then letters, digits or any of _-./, 64 at most";
                self.wrong("invalid", &here, rule);
                continue;
            }
            let Some(value) = self.name(&here, &value) else {
                continue;
            };
            if name == EMAIL_TAG && !self.is_email(&here, &value) {
                continue;
            }
            if lower.insert(name, value).is_some() {
                self.wrong(
                    "invalid",
                    &here,
                    "is given twice: upper and lower case are the same",
                );
            }
        }
        Some(lower)
    }

    fn end_user(&mut self, value: Json, organization: Option<Json>) -> Option<Json> {
        let path = ["end_user"];
        let mut user = self.object(&path, value)?;
        let id = self.needed(&["end_user", "id"], user.remove("id"));
        let email = given(user.remove("email"));
        let email = email.and_then(|email| {
            let here = ["end_user", "email"];
            self.text(&here, &email, 1)
                .filter(|email| self.is_email(&here, email))
        });
        let display_name = given(user.remove("display_name"));
        let display_name = display_name.and_then(|name| self.text(&["end_user", "display_name"], &name, 0));
        let tags = given(user.remove("tags"))
            .and_then(|tags| self.tags(&["end_user", "tags"], tags))
            .unwrap_or_default();
        let within = given(user.remove("organization"));
        let organization = match (within, organization) {
            (Some(_), Some(_)) => {
                self.wrong(
                    "invalid",
                    &["organization"],
                    "is given twice: here and in end_user",
                );
                None
            }
            (Some(within), None) => self.organization(&["end_user", "organization"], within),
            (None, beside) => beside.and_then(|beside| self.organization(&["organization"], beside)),
        };
        self.strangers(&path, &user, "id, email, display_name, tags, organization");
        Some(json!({
            "id": id?, "display_name": display_name, "email": email, "tags": tags, "organization": organization,
        }))
    }

    fn organization(&mut self, path: &[&str], value: Json) -> Option<Json> {
        let mut organization = self.object(path, value)?;
        let below = |name: &'static str| path.iter().copied().chain([name]).collect::<Vec<_>>();
        let id = self.needed(&below("id"), organization.remove("id"));
        let display_name = given(organization.remove("display_name"));
        let display_name = display_name.and_then(|name| self.text(&below("display_name"), &name, 0));
        self.strangers(path, &organization, "id, display_name");
        Some(json!({ "id": id?, "display_name": display_name }))
    }

    fn needed(&mut self, path: &[&str], value: Option<Json>) -> Option<String> {
        let Some(value) = given(value) else {
            self.wrong("missing", path, "is needed: text of 1 to 255 characters");
            return None;
        };
        self.name(path, &value)
    }

    /// Text by which something is found again.
    fn name(&mut self, path: &[&str], value: &Json) -> Option<String> {
        let text = self.text(path, value, 1)?;
        if let Err(rule) = domain::check_new(&text) {
            self.wrong("invalid", path, rule.to_string());
            return None;
        }
        Some(text)
    }

    /// Text of `least` to 255 characters. U+0000 is not taken: PostgreSQL's JSON functions, which the filters of lists are made
    /// of, refuse it.
    fn text(&mut self, path: &[&str], value: &Json, least: usize) -> Option<String> {
        let good = |text: &&str| (least..=MAX_TEXT).contains(&text.chars().count()) && !text.contains('\0');
        let text = value.as_str().filter(good);
        if text.is_none() {
            self.wrong(
                "invalid",
                path,
                format!("must be text of {least} to {MAX_TEXT} characters"),
            );
        }
        text.map(str::to_owned)
    }

    fn is_email(&mut self, path: &[&str], value: &str) -> bool {
        match FieldFormat::Email.check(value) {
            Ok(()) => true,
            Err(rule) => {
                self.wrong("invalid", path, rule);
                false
            }
        }
    }

    fn strangers(&mut self, path: &[&str], left: &Map<String, Json>, known: &str) {
        for name in left.keys() {
            let here: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            self.wrong(
                "unknown",
                &here,
                format!("is no field of this object; it takes {known}"),
            );
        }
    }
}

/// Checks the address in a body's `webhook_url_override`; empty text takes away the one that is there.
pub(crate) fn check_webhook_url(url: Option<&str>, errors: &mut Vec<FieldError>) {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return;
    };
    // The parser of addresses leaves out some of them and encodes others; the text is stored as it is.
    let checked = if url.contains(char::is_control) {
        Err("must hold no control characters".to_owned())
    } else {
        FieldFormat::Uri.check(url)
    };
    if let Err(rule) = checked {
        errors.push(FieldError::at("invalid", "webhook_url_override", rule));
    }
}

/// The address to be stored; none for empty text.
pub(crate) fn stored_webhook_url(url: String) -> Option<String> {
    (!url.is_empty()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Json) -> Result<Labels, Vec<String>> {
        let mut errors = Vec::new();
        let field = |name: &str| body.get(name).cloned();
        let labels = Labels::parse(
            field("tags"),
            field("end_user"),
            field("organization"),
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
    fn an_end_user_becomes_tags_that_stand_below_given_ones() {
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
    fn a_new_end_user_alone_takes_the_place_of_the_old_ones_tags() {
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
    fn what_breaks_a_rule_is_named_by_its_place() {
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
