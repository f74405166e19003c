//! A YAML document that knows the line and column of each value.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{Location, Spanned};

use crate::path::DocumentPath;

/// A value and its location.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) location: Location,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(Json),
    List(Vec<Node>),
    /// Each key has a location of its own.
    Map(IndexMap<String, (Location, Node)>),
}

/// The text is not valid YAML.
#[derive(Debug)]
pub(crate) struct NotYaml {
    pub(crate) location: Option<Location>,
    pub(crate) message: String,
}

impl Node {
    /// Parses a document. Only `true` and `false` are booleans, and duplicate keys are errors.
    pub(crate) fn parse(text: &str) -> Result<Self, NotYaml> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<Self>(text, options).map_err(|error| {
            let message = error.without_snippet().to_string();
            // The location is reported separately.
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message)
                .to_owned();
            NotYaml {
                location: error.location(),
                message,
            }
        })
    }

    /// Returns the value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.get(key).map(|(_, node)| node)
    }

    /// Returns the entries, if this is a map.
    pub(crate) fn entries(&self) -> Option<&IndexMap<String, (Location, Self)>> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// Returns the text, if this is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the value that a step of a path leads to, and the location of its key.
    fn step(&self, step: &str) -> Option<(Location, &Self)> {
        match &self.content {
            Content::Map(entries) => entries.get(step).map(|(key, inner)| (*key, inner)),
            Content::List(items) => {
                let index: usize = step.parse().ok()?;
                items.get(index).map(|item| (item.location, item))
            }
            Content::Scalar(_) => None,
        }
    }

    /// Returns the value at `path`.
    pub(crate) fn find(&self, path: &DocumentPath) -> Option<&Self> {
        let mut steps = path.steps().iter();
        steps.try_fold(self, |node, step| Some(node.step(step)?.1))
    }

    /// Returns the location of `path`: of a scalar the value's own, of a list or map that of its key. If there is no such value, returns
    /// the location of the nearest value above it.
    pub(crate) fn location_of(&self, path: &DocumentPath) -> Location {
        let (mut node, mut location) = (self, self.location);
        for step in path.steps() {
            let Some((key, inner)) = node.step(step) else {
                return location;
            };
            location = if matches!(inner.content, Content::Scalar(_)) {
                inner.location
            } else {
                key
            };
            node = inner;
        }
        location
    }

    /// Returns the document without locations.
    pub(crate) fn to_json(&self) -> Json {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|(key, (_, node))| (key.clone(), node.to_json()))
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self {
            location: spanned.referenced,
            content: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Json::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = IndexMap::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.insert(key.value, (key.referenced, node));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> DocumentPath {
        steps
            .iter()
            .fold(DocumentPath::default(), |path, step| path.at(step))
    }

    #[test]
    fn every_part_knows_its_line() {
        let node = Node::parse("a: 1\nb:\n  c: [x, y]\n  200: no\n").unwrap();
        let at = |steps: &[&str]| {
            let location = node.location_of(&path(steps));
            (location.line(), location.column())
        };
        assert_eq!(at(&["a"]), (1, 4));
        assert_eq!(at(&["b"]), (2, 1));
        assert_eq!(at(&["b", "c"]), (3, 3));
        assert_eq!(at(&["b", "c", "1"]), (3, 10));
        assert_eq!(at(&["b", "200"]), (4, 8));
        assert_eq!(at(&["b", "missing"]), (2, 1));
        assert_eq!(
            node.to_json(),
            serde_json::json!({ "a": 1, "b": { "c": ["x", "y"], "200": "no" } })
        );
    }

    #[test]
    fn a_duplicate_key_is_reported_with_its_line() {
        let error = Node::parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.location.map(|location| location.line()), Some(3));
    }
}
