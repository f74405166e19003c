//! Reads the text of a file into checked providers.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use domain::ProviderName;
use indexmap::IndexMap;
use serde_json::Value as Json;
use serde_saphyr::Location;

use crate::check;
use crate::document::{Content, Node};
use crate::error::Problem;
use crate::file::ProviderFile;
use crate::path::DocumentPath;
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
pub struct SkippedEntry {
    /// The entry's name.
    pub name: String,
    /// Its auth mode, as in the file.
    pub auth_mode: String,
    /// The file.
    pub file: String,
    /// The reason, for programs.
    pub why: SkipReason,
    /// The reason and what to do about it, for people.
    pub reason: String,
}

/// Why an entry is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It needs an auth mode or a function that Trunkline does not have.
    Unsupported,
    /// It has errors. Only an entry of a collection is left out because of that.
    Wrong,
    /// A provider of the same name counts instead: a built-in one, one with a file of its own, or an entry of a later collection.
    Shadowed,
}

/// The contents of one file.
#[derive(Debug, Default)]
pub(crate) struct LoadedFile {
    pub(crate) entries: IndexMap<ProviderName, Entry>,
    pub(crate) skipped: Vec<SkippedEntry>,
    pub(crate) errors: Vec<Problem>,
    /// Whether the file is a collection.
    pub(crate) is_collection: bool,
}

/// A provider, its source, and the warnings about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) provider: Arc<Provider>,
    pub(crate) source: Source,
    pub(crate) warnings: Vec<Problem>,
}

/// Reads one file. `stem` is the provider's name if the file has a single one; `file` is the file's name in messages.
pub(crate) fn file(stem: &str, file: &str, text: &str, shape: &Shape) -> LoadedFile {
    let mut loaded = LoadedFile::default();
    let root = match Node::parse(text) {
        Ok(root) => root,
        Err(error) => {
            loaded.errors.push(problem(
                file,
                text,
                error.location,
                &DocumentPath::default(),
                error.message,
            ));
            return loaded;
        }
    };
    let text: Arc<str> = text.into();
    let source = |root: Node, entry: DocumentPath, from_collection: bool| Source {
        file: file.to_owned(),
        text: Arc::clone(&text),
        root,
        entry,
        from_collection,
    };
    let Some(entries) = collection(&root) else {
        entry(
            stem,
            source(root, DocumentPath::default(), false),
            shape,
            &mut loaded,
        );
        return loaded;
    };
    loaded.is_collection = true;
    for (name, (_, node)) in entries {
        let path = DocumentPath::default().at(name);
        match with_aliases(name, node, entries) {
            Ok(merged) => entry(name, source(merged, path, true), shape, &mut loaded),
            Err(message) => {
                let alias = Some(root.location_of(&path.at("alias")));
                let reason = problem(file, &text, alias, &path, message).to_string();
                loaded.skipped.push(SkippedEntry {
                    name: name.clone(),
                    auth_mode: auth_mode(node).unwrap_or("-").to_owned(),
                    file: file.to_owned(),
                    why: SkipReason::Wrong,
                    reason,
                });
            }
        }
    }
    loaded
}

fn auth_mode(entry: &Node) -> Option<&str> {
    entry.get("auth_mode").and_then(Node::text)
}

/// Returns the entries of a collection. Such a file has no `auth_mode` at the top level, but its values have one.
fn collection(root: &Node) -> Option<&IndexMap<String, (Location, Node)>> {
    let entries = root.entries()?;
    let is_entry = |node: &Node| node.get("auth_mode").is_some() || node.get("alias").is_some();
    let single = entries.contains_key("auth_mode") || !entries.values().any(|(_, node)| is_entry(node));
    (!single).then_some(entries)
}

/// Returns the entry with the keys of its alias, and of that one's alias; its own keys take precedence.
fn with_aliases<'e>(
    name: &'e str,
    node: &'e Node,
    entries: &'e IndexMap<String, (Location, Node)>,
) -> Result<Node, String> {
    let alias_of = |node: &'e Node| node.get("alias").and_then(Node::text);
    let mut seen = HashSet::from([name]);
    let mut merged = node.clone();
    let mut next = alias_of(node);
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
        next = alias_of(base);
    }
    Ok(merged)
}

fn entry(name: &str, source: Source, shape: &Shape, loaded: &mut LoadedFile) {
    let mode = auth_mode(&source.root).unwrap_or_default().to_owned();
    let skipped = |why: SkipReason, reason: String| SkippedEntry {
        name: name.to_owned(),
        auth_mode: mode.clone(),
        file: source.file.clone(),
        why,
        reason,
    };
    let served = mode.is_empty() || matches!(mode.as_str(), "API_KEY" | "BASIC");
    if OTHER_MODES.contains(&mode.as_str()) || source.from_collection && !served {
        let reason = format!("Trunkline serves API_KEY and BASIC, not {mode}");
        loaded.skipped.push(skipped(SkipReason::Unsupported, reason));
        return;
    }
    let findings = RefCell::default();
    let report = Report::new(&source, &findings);
    if is_reserved(name) {
        report.error(format!(
            "{name} is reserved for routes of Trunkline itself: give the provider another name"
        ));
    }
    let provider_name = report.take(name.parse::<ProviderName>());
    let provider = provider_name.zip(shaped(shape, &report));
    let provider = provider.map(|(name, file)| check::provider(name, file, &report));
    let mut findings = findings.into_inner();
    if let Some(reason) = findings.unsupported {
        loaded.skipped.push(skipped(SkipReason::Unsupported, reason));
        return;
    }
    findings.errors.sort_by_key(|problem| problem.line);
    match provider {
        Some(provider) if findings.errors.is_empty() => {
            let entry = Entry {
                provider: Arc::new(provider),
                source,
                warnings: findings.warnings,
            };
            loaded.entries.insert(entry.provider.name.clone(), entry);
        }
        // An error in one entry of a collection does not affect the others.
        _ if source.from_collection => {
            let reasons: Vec<String> = findings.errors.iter().map(ToString::to_string).collect();
            loaded
                .skipped
                .push(skipped(SkipReason::Wrong, reasons.join("\n")));
        }
        _ => loaded.errors.append(&mut findings.errors),
    }
}

/// Returns the entry as a struct, if it has the right shape except for unknown keys, which are ignored.
fn shaped(shape: &Shape, report: &Report<'_>) -> Option<ProviderFile> {
    let mut document = report.source().root.to_json();
    if report.source().from_collection {
        plainer(&mut document);
    }
    if !shape.check(&document, report) {
        return None;
    }
    let file = serde_path_to_error::deserialize(document);
    file.map_err(|error| {
        let path = DocumentPath::of_error(error.path());
        report.at_path(&path).error(error.inner().to_string());
    })
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
