//! A YAML document that knows the line and column of each value.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::Spanned;

use crate::path::Path;

/// A line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(Json),
    List(Vec<Node>),
    /// Each key has a place of its own.
    Map(IndexMap<String, (Place, Node)>),
}

/// The text is not valid YAML.
#[derive(Debug)]
pub(crate) struct NotYaml {
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
}

impl Node {
    /// Parses a document. Only `true` and `false` are booleans, and duplicate keys are errors.
    pub(crate) fn parse(text: &str) -> Result<Self, NotYaml> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<Self>(text, options).map_err(|error| {
            let message = error.without_snippet().to_string();
            // The place is reported separately.
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message)
                .to_owned();
            NotYaml {
                place: error.location().map(Place::from),
                message,
            }
        })
    }

    /// Returns the value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.get(key).map(|(_, node)| node)
    }

    /// Returns the entries, if this is a map.
    pub(crate) fn entries(&self) -> Option<&IndexMap<String, (Place, Self)>> {
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

    /// Returns the value that a step of a path leads to, and the place of its key.
    fn step(&self, step: &str) -> Option<(Place, &Self)> {
        match &self.content {
            Content::Map(entries) => entries.get(step).map(|(key, inner)| (*key, inner)),
            Content::List(items) => {
                let index: usize = step.parse().ok()?;
                items.get(index).map(|item| (item.place, item))
            }
            Content::Scalar(_) => None,
        }
    }

    /// Returns the value at `path`.
    pub(crate) fn find(&self, path: &Path) -> Option<&Self> {
        let mut steps = path.steps().iter();
        steps.try_fold(self, |node, step| Some(node.step(step)?.1))
    }

    /// Returns the place of `path`: of a scalar the value's own, of a list or map that of its key. If there is no such value, returns
    /// the place of the nearest value above it.
    pub(crate) fn place_of(&self, path: &Path) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in path.steps() {
            let Some((key, inner)) = node.step(step) else {
                return place;
            };
            place = if matches!(inner.content, Content::Scalar(_)) {
                inner.place
            } else {
                key
            };
            node = inner;
        }
        place
    }

    /// Returns the document without places.
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

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self {
            place: spanned.referenced.into(),
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

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Json::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
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
            entries.insert(key.value, (key.referenced.into(), node));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> Path {
        steps.iter().fold(Path::default(), |path, step| path.at(step))
    }

    #[test]
    fn every_part_knows_its_line() {
        let node = Node::parse("a: 1\nb:\n  c: [x, y]\n  200: no\n").unwrap();
        let at = |steps: &[&str]| {
            let place = node.place_of(&path(steps));
            (place.line, place.column)
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
        assert_eq!(error.place.map(|place| place.line), Some(3));
    }
}
