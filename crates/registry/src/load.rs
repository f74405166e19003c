//! Reads the text of a file into checked providers.

use std::collections::HashSet;
use std::sync::Arc;

use domain::ProviderName;
use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::check;
use crate::document::{Content, Node, Place};
use crate::error::Problem;
use crate::file::ProviderFile;
use crate::path::Path;
use crate::provider::Provider;
use crate::reserved::is_reserved;
use crate::shape::Shape;
use crate::source::{Report, Source, problem};

/// Nango's auth modes that Trunkline does not serve.
const OTHER_MODES: &[&str] = &[
    "OAUTH1",
    "OAUTH2",
    "OAUTH2_CC",
    "TWO_STEP",
    "JWT",
    "BILL",
    "NONE",
    "AWS_SIGV4",
    "INSTALL_PLUGIN",
    "SIGNATURE",
    "APP",
    "APP_STORE",
    "CUSTOM",
    "TBA",
    "TABLEAU",
    "MCP_OAUTH2",
    "MCP_OAUTH2_GENERIC",
];

/// An entry of a file that Trunkline does not serve. It does not affect the other entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The entry's name.
    pub name: String,
    /// Its auth mode, as in the file.
    pub auth_mode: String,
    /// The file.
    pub file: String,
    /// The reason, for programs.
    pub why: NotServed,
    /// The reason and what to do about it, for people.
    pub reason: String,
}

/// Why an entry is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotServed {
    /// It needs an auth mode or a function that Trunkline does not have.
    Unsupported,
    /// It has errors. Only an entry of a file of many entries is left out because of that.
    Wrong,
    /// A provider of the same name is built in or has a file of its own, which an entry of a file of many entries does not replace.
    Shadowed,
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) providers: Vec<Entry>,
    pub(crate) unsupported: Vec<Unsupported>,
    pub(crate) errors: Vec<Problem>,
    /// Whether it is a file of many entries.
    pub(crate) many: bool,
}

/// A provider, its source, and the warnings about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) provider: Provider,
    pub(crate) source: Source,
    pub(crate) warnings: Vec<Problem>,
}

/// Reads one file. `stem` is the provider's name if the file has a single one; `file` is the file's name in messages.
pub(crate) fn file(stem: &str, file: &str, text: &str, shape: &Shape) -> Loaded {
    let mut loaded = Loaded::default();
    let root = match Node::parse(text) {
        Ok(root) => root,
        Err(error) => {
            loaded
                .errors
                .push(problem(file, text, error.place, &Path::default(), error.message));
            return loaded;
        }
    };
    let text: Arc<str> = text.into();
    let source = |root: Node, entry: Path, foreign: bool| Source {
        file: file.to_owned(),
        text: Arc::clone(&text),
        root,
        entry,
        foreign,
    };
    let Some(entries) = many(&root) else {
        entry(stem, source(root, Path::default(), false), shape, &mut loaded);
        return loaded;
    };
    loaded.many = true;
    for (name, (_, node)) in entries {
        let place = Path::default().at(name);
        match with_aliases(name, entries) {
            Ok(merged) => entry(name, source(merged, place, true), shape, &mut loaded),
            Err(message) => {
                let line = Some(root.place_of(&place.at("alias")));
                let reason = problem(file, &text, line, &place, message).to_string();
                loaded.unsupported.push(Unsupported {
                    name: name.clone(),
                    auth_mode: node
                        .get("auth_mode")
                        .and_then(Node::text)
                        .unwrap_or("-")
                        .to_owned(),
                    file: file.to_owned(),
                    why: NotServed::Wrong,
                    reason,
                });
            }
        }
    }
    loaded
}

/// Returns the entries of a file of many entries. Such a file has no `auth_mode` at the top level, but its values have one.
fn many(root: &Node) -> Option<&IndexMap<String, (Place, Node)>> {
    let entries = root.entries()?;
    let is_entry = |node: &Node| node.get("auth_mode").is_some() || node.get("alias").is_some();
    let single = entries.contains_key("auth_mode") || !entries.values().any(|(_, node)| is_entry(node));
    (!single).then_some(entries)
}

/// Returns the entry with the keys of its alias, and of that one's alias; its own keys take precedence.
fn with_aliases(name: &str, entries: &IndexMap<String, (Place, Node)>) -> Result<Node, String> {
    let mut seen = HashSet::from([name]);
    let mut merged = entries
        .get(name)
        .map(|(_, node)| node.clone())
        .ok_or("is not there")?;
    let mut next = entries
        .get(name)
        .and_then(|(_, node)| node.get("alias"))
        .and_then(Node::text);
    while let Some(alias) = next {
        if !seen.insert(alias) {
            return Err(format!("its aliases run in a circle, through {alias:?}"));
        }
        let Some((_, base)) = entries.get(alias) else {
            return Err(format!("its alias {alias:?} is not an entry of this file"));
        };
        if let (Content::Map(own), Some(inherited)) = (&mut merged.content, base.entries()) {
            for (key, value) in inherited {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        next = base.get("alias").and_then(Node::text);
    }
    Ok(merged)
}

fn entry(name: &str, source: Source, shape: &Shape, loaded: &mut Loaded) {
    let mode = source
        .root
        .get("auth_mode")
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned();
    let unsupported = |why: NotServed, reason: String| Unsupported {
        name: name.to_owned(),
        auth_mode: mode.clone(),
        file: source.file.clone(),
        why,
        reason,
    };
    let served = mode.is_empty() || matches!(mode.as_str(), "API_KEY" | "BASIC");
    if OTHER_MODES.contains(&mode.as_str()) || source.foreign && !served {
        loaded.unsupported.push(unsupported(
            NotServed::Unsupported,
            format!("Trunkline serves API_KEY and BASIC, not {mode}"),
        ));
        return;
    }
    let mut report = Report::new(&source);
    if is_reserved(name) {
        let message =
            format!("{name} is reserved for routes of Trunkline itself: give the provider another name");
        report.error(&Path::default(), message);
    }
    let provider = report
        .take(&Path::default(), name.parse::<ProviderName>())
        .zip(shaped(shape, &mut report));
    let provider = provider.map(|(name, file)| check::provider(name, file, &mut report));
    if let Some(reason) = report.unsupported {
        loaded
            .unsupported
            .push(unsupported(NotServed::Unsupported, reason));
        return;
    }
    if provider.is_none() && report.errors.is_empty() {
        report.error(&Path::default(), "cannot be used");
    }
    let (mut errors, warnings) = (report.errors, report.warnings);
    errors.sort_by_key(|problem| problem.line);
    match provider {
        Some(provider) if errors.is_empty() => loaded.providers.push(Entry {
            provider,
            source,
            warnings,
        }),
        // An error in one entry of a file of many entries does not affect the others.
        _ if source.foreign => {
            let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
            loaded
                .unsupported
                .push(unsupported(NotServed::Wrong, told.join("\n")));
        }
        _ => loaded.errors.append(&mut errors),
    }
}

/// Returns the entry as a struct, if it has the right shape except for unknown keys.
fn shaped(shape: &Shape, report: &mut Report<'_>) -> Option<ProviderFile> {
    let mut document = report.source.root.to_json();
    if report.source.foreign {
        plainer(&mut document);
    }
    for path in shape.check(&document, report)? {
        remove(&mut document, path.steps());
    }
    let file = serde_path_to_error::deserialize(document);
    file.map_err(|error| report.error(&Path::of_error(error.path()), error.inner().to_string()))
        .ok()
}

/// Removes keys without a value from an entry of Nango's, and turns numbers with a decimal point into text, as JavaScript would.
fn plainer(document: &mut Json) {
    match document {
        Json::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(plainer);
        }
        Json::Array(items) => items.iter_mut().for_each(plainer),
        Json::Number(number) if number.is_f64() => {
            let text = number.to_string();
            *document = Json::String(text.strip_suffix(".0").unwrap_or(&text).to_owned());
        }
        _ => {}
    }
}

fn remove(document: &mut Json, path: &[String]) {
    match path {
        [] => {}
        [key] => drop(
            document
                .as_object_mut()
                .and_then(|object| object.shift_remove(key)),
        ),
        [step, rest @ ..] => {
            let inner = match document {
                Json::Array(items) => step.parse().ok().and_then(|index: usize| items.get_mut(index)),
                other => other.get_mut(step.as_str()),
            };
            if let Some(inner) = inner {
                remove(inner, rest);
            }
        }
    }
}
