//! The providers that are known: built in, and from a folder that wins over what is built in.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{ProviderName, SyncName};
use indexmap::IndexMap;
use rust_embed::RustEmbed;

use crate::load::{self, Entry, Loaded};
use crate::path::Path as Place;
use crate::shape::Shape;
use crate::{LoadError, Problem, Provider};

/// The provider files that are built in.
#[derive(RustEmbed)]
#[folder = "../../integrations"]
#[include = "*.yaml"]
struct Builtin;

/// All providers by name.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: IndexMap<ProviderName, Arc<Provider>>,
    unsupported: Vec<Unsupported>,
    warnings: Vec<Problem>,
}

/// An entry of a file that Trunkline cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The entry's name.
    pub name: String,
    /// Its auth mode as the file writes it.
    pub auth_mode: String,
    /// The file.
    pub file: String,
    /// Why it cannot be served.
    pub reason: String,
}

/// A provider that passed the check of its file, in short.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The provider.
    pub name: ProviderName,
    /// Its syncs.
    pub syncs: Vec<SyncName>,
    /// What is doubtful about it.
    pub warnings: Vec<Problem>,
}

impl Registry {
    /// The providers that are built in.
    pub fn builtin() -> Result<Self, LoadError> {
        Self::load(None)
    }

    /// The built-in providers and those of a folder's `*.yaml` and `*.yml` files, which win over built-in ones by name.
    ///
    /// Files are read in the order of their names. All that is wrong in all of them is told at once.
    pub fn load(dir: Option<&Path>) -> Result<Self, LoadError> {
        let shape = Shape::new();
        let mut merge = Merge::builtin(&shape);
        for path in dir.map(yaml_files).transpose()?.unwrap_or_default() {
            merge.add(read(&path, &shape));
        }
        merge.finish()
    }

    /// Checks one file against the format and against the built-in providers, of which it may replace some.
    ///
    /// What the file has that Trunkline cannot serve is left out.
    pub fn check_file(path: &Path) -> Result<Vec<Checked>, LoadError> {
        let shape = Shape::new();
        let loaded = read(path, &shape);
        let checked = loaded.providers.iter().map(|entry| Checked {
            name: entry.provider.name.clone(),
            syncs: entry.provider.syncs.keys().cloned().collect(),
            warnings: entry.warnings.clone(),
        });
        let checked = checked.collect();
        let mut merge = Merge::builtin(&shape);
        merge.add(loaded);
        merge.finish().map(|_| checked)
    }

    /// The provider called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// All providers, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Entries that Trunkline cannot serve.
    pub fn unsupported(&self) -> &[Unsupported] {
        &self.unsupported
    }

    /// What is doubtful, and yet no error.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// A folder's provider files, sorted.
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

fn read(path: &Path, shape: &Shape) -> Loaded {
    let name = path.display().to_string();
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    match fs::read_to_string(path) {
        Ok(text) => load::file(stem, &name, &text, shape),
        Err(error) => Loaded {
            errors: vec![unreadable(path, &error)],
            ..Loaded::default()
        },
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let message = format!("cannot be read: {error}");
    let file = path.display().to_string();
    Problem {
        file,
        line: None,
        column: None,
        path: String::new(),
        message,
        snippet: None,
    }
}

/// Files put together, later ones winning by name.
#[derive(Default)]
struct Merge {
    entries: IndexMap<ProviderName, Entry>,
    unsupported: Vec<Unsupported>,
    errors: Vec<Problem>,
}

impl Merge {
    fn builtin(shape: &Shape) -> Self {
        let mut merge = Self::default();
        let mut names: Vec<_> = Builtin::iter().collect();
        names.sort();
        for name in names {
            let bytes = Builtin::get(&name).map(|file| file.data).unwrap_or_default();
            let stem = name.strip_suffix(".yaml").unwrap_or(&name);
            merge.add(load::file(
                stem,
                &format!("built-in {name}"),
                &String::from_utf8_lossy(&bytes),
                shape,
            ));
        }
        merge
    }

    fn add(&mut self, loaded: Loaded) {
        for entry in loaded.providers {
            self.entries.insert(entry.provider.name.clone(), entry);
        }
        self.unsupported.extend(loaded.unsupported);
        self.errors.extend(loaded.errors);
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
        let warnings = self
            .entries
            .values()
            .flat_map(|entry| entry.warnings.clone())
            .collect();
        let providers = self
            .entries
            .into_iter()
            .map(|(name, entry)| (name, Arc::new(entry.provider)))
            .collect();
        Ok(Registry {
            providers,
            unsupported: self.unsupported,
            warnings,
        })
    }

    /// Names of syncs and tables are unique among all providers, since they name jobs and tables of the database.
    fn clashes(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut syncs = HashMap::new();
        let mut tables = HashMap::new();
        for (provider, entry) in &self.entries {
            for (name, sync) in &entry.provider.syncs {
                let path = Place::default().at("syncs").at(name);
                if let Some(other) = syncs.insert(name, provider) {
                    problems.push(
                        entry
                            .source
                            .problem(&path, format!("the provider {other} has a sync of this name too")),
                    );
                }
                if let Some(other) = tables.insert(&sync.model.table, name) {
                    problems.push(
                        entry
                            .source
                            .problem(&path.at("table"), format!("is the table of the sync {other} too")),
                    );
                }
            }
        }
        problems
    }
}
