//! All known providers: the built-in ones, and those of a folder. A file of one provider replaces the built-in provider of its name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{ProviderName, SyncName};
use indexmap::IndexMap;
use indexmap::map::Entry as MapEntry;
use rust_embed::RustEmbed;

use crate::error::{LoadError, Problem};
use crate::load::{self, Entry, LoadedFile, SkipReason, SkippedEntry};
use crate::path::DocumentPath;
use crate::provider::Provider;
use crate::shape::Shape;
use crate::source::problem;

/// The built-in provider files.
#[derive(RustEmbed)]
#[folder = "../../integrations"]
#[include = "*.yaml"]
struct Builtin;

/// All providers by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: IndexMap<ProviderName, Arc<Provider>>,
    skipped: Vec<SkippedEntry>,
    warnings: Vec<Problem>,
}

/// The result of checking a file that has no errors.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// Its providers.
    pub providers: Vec<ProviderSummary>,
    /// Its entries that Trunkline does not serve.
    pub skipped: Vec<SkippedEntry>,
    /// Whether it is a collection.
    pub is_collection: bool,
}

/// A summary of a provider that passed the check of its file.
#[derive(Debug, Clone)]
pub struct ProviderSummary {
    /// The provider.
    pub name: ProviderName,
    /// Its syncs.
    pub syncs: Vec<SyncName>,
    /// The warnings about it.
    pub warnings: Vec<Problem>,
}

impl Registry {
    /// Returns the built-in providers.
    pub fn builtin() -> Result<Self, LoadError> {
        Self::load(None)
    }

    /// Returns the built-in providers and those of a folder's `*.yaml` and `*.yml` files.
    ///
    /// Files are read in the order of their names, and the error has all errors of all files. A file of one provider replaces the
    /// built-in provider of its name. An entry of a collection never replaces a built-in provider or one with a file of its own, and an
    /// error in it only leaves that entry out, see [`Registry::skipped`].
    pub fn load(dir: Option<&Path>) -> Result<Self, LoadError> {
        let shape = Shape::new();
        let mut merged = Merged::builtin(&shape);
        for path in dir.map(yaml_files).transpose()?.unwrap_or_default() {
            merged.add(read(&path, &shape));
        }
        merged.finish()
    }

    /// Checks one file against the format and against the built-in providers, of which it may replace some.
    pub fn check_file(path: &Path) -> Result<CheckedFile, LoadError> {
        let shape = Shape::new();
        let read = read(path, &shape);
        let (file, is_collection) = (path.display().to_string(), read.is_collection);
        let mut checked: Vec<_> = read.entries.values().map(ProviderSummary::of).collect();
        let mut merged = Merged::builtin(&shape);
        merged.add(read);
        let mut skipped = merged.finish()?.skipped;
        skipped.retain(|entry| entry.file == file);
        checked.retain(|provider| {
            let shadows = |entry: &SkippedEntry| {
                entry.why == SkipReason::Shadowed && entry.name == provider.name.as_str()
            };
            !skipped.iter().any(shadows)
        });
        Ok(CheckedFile {
            providers: checked,
            skipped,
            is_collection,
        })
    }

    /// Returns the provider called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// Returns all providers, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Returns the entries that are left out.
    pub fn skipped(&self) -> &[SkippedEntry] {
        &self.skipped
    }

    /// Returns the warnings, except those about collections. Only [`Registry::check_file`] reports those warnings, because there are
    /// many of them and the operator did not write the file.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl ProviderSummary {
    fn of(entry: &Entry) -> Self {
        Self {
            name: entry.provider.name.clone(),
            syncs: entry.provider.syncs.keys().cloned().collect(),
            warnings: entry.warnings.clone(),
        }
    }
}

/// Returns a folder's provider files, sorted.
fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| LoadError {
        problems: vec![unreadable(dir, &error)],
    })?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut files: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(is_yaml)
        .collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path, shape: &Shape) -> LoadedFile {
    let name = path.display().to_string();
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    match fs::read_to_string(path) {
        Ok(text) => load::file(stem, &name, &text, shape),
        Err(error) => LoadedFile {
            errors: vec![unreadable(path, &error)],
            ..LoadedFile::default()
        },
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let (file, message) = (path.display().to_string(), format!("cannot be read: {error}"));
    problem(&file, "", None, &DocumentPath::default(), message)
}

fn shadowed(entry: &Entry) -> SkippedEntry {
    let provider = &entry.provider;
    let name = &provider.name;
    SkippedEntry {
        name: name.to_string(),
        auth_mode: provider.auth.as_str().to_owned(),
        file: entry.source.file.clone(),
        why: SkipReason::Shadowed,
        reason: format!(
            "{name} is built in or has a file of its own; to replace that, put this entry's keys into {name}.yaml"
        ),
    }
}

/// The contents of all files, with one entry for each provider.
#[derive(Default)]
struct Merged {
    entries: IndexMap<ProviderName, Entry>,
    skipped: Vec<SkippedEntry>,
    errors: Vec<Problem>,
}

impl Merged {
    fn builtin(shape: &Shape) -> Self {
        let mut merged = Self::default();
        let mut names: Vec<_> = Builtin::iter().collect();
        names.sort();
        for name in names {
            let bytes = Builtin::get(&name).map(|file| file.data).unwrap_or_default();
            let stem = name.strip_suffix(".yaml").unwrap_or(&name);
            let text = String::from_utf8_lossy(&bytes);
            merged.add(load::file(stem, &format!("built-in {name}"), &text, shape));
        }
        merged
    }

    /// Adds a file. A provider with a file of its own replaces an entry of a collection; otherwise the later one replaces the earlier
    /// one.
    fn add(&mut self, file: LoadedFile) {
        self.skipped.extend(file.skipped);
        for (name, entry) in file.entries {
            let loser = match self.entries.entry(name) {
                MapEntry::Vacant(place) => {
                    place.insert(entry);
                    continue;
                }
                MapEntry::Occupied(other)
                    if entry.source.from_collection && !other.get().source.from_collection =>
                {
                    entry
                }
                MapEntry::Occupied(mut other) => other.insert(entry),
            };
            if loser.source.from_collection {
                self.skipped.push(shadowed(&loser));
            }
        }
        self.errors.extend(file.errors);
    }

    fn finish(mut self) -> Result<Registry, LoadError> {
        self.entries.sort_keys();
        let clashes = self.clashes();
        self.errors.extend(clashes);
        if !self.errors.is_empty() {
            return Err(LoadError {
                problems: self.errors,
            });
        }
        let mut registry = Registry {
            skipped: self.skipped,
            ..Registry::default()
        };
        for (name, entry) in self.entries {
            registry.providers.insert(name, entry.provider);
            if !entry.source.from_collection {
                registry.warnings.extend(entry.warnings);
            }
        }
        Ok(registry)
    }

    /// Returns a problem for each name of a sync or table that two providers share. The database needs them to be unique.
    fn clashes(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut syncs = HashMap::new();
        let mut tables = HashMap::new();
        for (provider, entry) in &self.entries {
            for (name, sync) in &entry.provider.syncs {
                let path = DocumentPath::default().at("syncs").at(name);
                if let Some(other) = syncs.insert(name, provider) {
                    let message = format!("the provider {other} has a sync of this name too");
                    problems.push(entry.source.problem(&path, message));
                }
                if let Some(other) = tables.insert(&sync.model.table, name) {
                    let message = format!("is the table of the sync {other} too");
                    problems.push(entry.source.problem(&path.at("table"), message));
                }
            }
        }
        problems
    }
}
