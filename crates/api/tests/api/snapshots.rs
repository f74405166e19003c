//! The OpenAPI document as committed files that are small enough to review: one for each resource.
//!
//! A resource is a segment of the path, such as `connections`. Its file has its paths, and the schemas that no other resource
//! refers to; `shared.json` has the rest of the document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value as Json, json};

/// With this set, the committed files are written again.
const RENEW: &str = "TRUNKLINE_RENEW_SNAPSHOTS";
const SCHEMA: &str = "#/components/schemas/";
/// What fits into so many characters is one line.
const WIDTH: usize = 140;

/// Fails unless the files in `folder` are what `document` is; the resource is the path's segment number `segment`, from 0.
pub(crate) fn assert_committed(folder: &str, document: &Json, segment: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(folder);
    let files = split(document, segment);
    if std::env::var_os(RENEW).is_some() {
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in &files {
            std::fs::write(path.join(name), text).unwrap();
        }
    }
    let committed = std::fs::read_dir(&path).into_iter().flatten().map(|entry| {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    });
    let committed: BTreeMap<String, String> = committed.collect();
    let names: BTreeSet<&String> = files.keys().chain(committed.keys()).collect();
    let differ: Vec<_> = names
        .into_iter()
        .filter(|&name| files.get(name) != committed.get(name))
        .collect();
    assert!(
        differ.is_empty(),
        "the document differs from the committed files in {folder}: {differ:?}. If the change is meant, run \
         `{RENEW}=1 cargo test --workspace --test api -- document` and commit them."
    );
}

/// The text of each file, by its name.
fn split(document: &Json, segment: usize) -> BTreeMap<String, String> {
    let mut shared = document.clone();
    let paths = take(&mut shared["paths"]);
    let schemas = take(&mut shared["components"]["schemas"]);
    let mut resources: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    for (path, item) in paths {
        let name = path.split('/').nth(segment + 1).unwrap_or_default();
        let name = name.trim_matches(['{', '}']).replace('.', "-");
        let name = if name.is_empty() { "root".to_owned() } else { name };
        resources.entry(name).or_default().insert(path, item);
    }
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (resource, paths) in &resources {
        let mut used = BTreeSet::new();
        for item in paths.values() {
            collect_schemas(item, &schemas, &mut used);
        }
        for schema in used {
            users.entry(schema).or_default().push(resource);
        }
    }
    let of = |owner: Option<&str>| -> Map<String, Json> {
        let owned = schemas.iter().filter(|(name, _)| {
            let only = match users.get(name.as_str()).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                _ => None,
            };
            only == owner
        });
        owned
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect()
    };
    shared["components"]["schemas"] = of(None).into();
    let files = resources.iter().map(|(name, paths)| {
        let file = json!({ "paths": paths, "schemas": of(Some(name)) });
        (format!("{name}.json"), lines(&file, 0) + "\n")
    });
    files
        .chain([("shared.json".to_owned(), lines(&shared, 0) + "\n")])
        .collect()
}

fn take(value: &mut Json) -> Map<String, Json> {
    match value.take() {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Collects the names of schemas that `value` refers to, directly or through others.
fn collect_schemas<'a>(value: &'a Json, schemas: &'a Map<String, Json>, found: &mut BTreeSet<&'a str>) {
    match value {
        Json::Object(fields) => {
            let name = fields
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|reference| reference.strip_prefix(SCHEMA));
            if let Some(name) = name
                && found.insert(name)
                && let Some(schema) = schemas.get(name)
            {
                collect_schemas(schema, schemas, found);
            }
            for value in fields.values() {
                collect_schemas(value, schemas, found);
            }
        }
        Json::Array(items) => items
            .iter()
            .for_each(|item| collect_schemas(item, schemas, found)),
        _ => {}
    }
}

/// JSON in lines; a value that is short enough stays on one.
fn lines(value: &Json, indent: usize) -> String {
    let one = line(value);
    if indent + one.len() <= WIDTH {
        return one;
    }
    let inner = indent + 2;
    let (open, close, items): (_, _, Vec<String>) = match value {
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), lines(value, inner)));
            ('{', '}', fields.collect())
        }
        Json::Array(items) => ('[', ']', items.iter().map(|item| lines(item, inner)).collect()),
        _ => return one,
    };
    let items: Vec<_> = items
        .into_iter()
        .map(|item| format!("\n{:inner$}{item}", ""))
        .collect();
    format!("{open}{}\n{:indent$}{close}", items.join(","), "")
}

fn line(value: &Json) -> String {
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), line(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(line).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
