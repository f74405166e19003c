//! The shape of the workspace: which crate may depend on which, that no modules import each other in a circle, and what every source
//! file must have.
//!
//! The allowed dependencies are those of ARCHITECTURE.md. A list enforces them, and not review alone, because one convenient dependency
//! is enough for a rule to end up in two places.

#[cfg(test)]
#[path = "workspace/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "workspace/imports.rs"]
mod imports;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// The most lines of a source file, including its tests. Aim at 400, and split by noun what is longer.
const LONGEST_FILE: usize = 450;

/// Crates that the tests of any other crate may use as well.
const FOR_TESTS: [&str; 4] = ["store", "testkit", "testkit-macros", "twilio-sim"];

/// Each crate, and the crates of this workspace that it may depend on.
const ALLOWED_DEPENDENCIES: [(&str, &str); 15] = [
    ("domain", ""),
    ("registry", "domain"),
    ("vault", "domain"),
    ("signature", "domain registry"),
    ("store", "domain"),
    ("upstream", "domain registry"),
    ("gateway", "domain registry vault signature store upstream"),
    ("worker", "domain registry vault signature store upstream gateway"),
    ("api", "domain registry vault signature upstream gateway"),
    ("web", "registry gateway"),
    ("twilio-sim", ""),
    (
        "trunkline",
        "domain registry vault signature store upstream gateway worker api web twilio-sim",
    ),
    ("testkit-macros", ""),
    (
        "testkit",
        "domain registry vault signature store upstream gateway worker api web twilio-sim testkit-macros",
    ),
    (
        "bench",
        "domain registry vault signature store upstream gateway worker api web twilio-sim testkit",
    ),
];

/// Crates that may start tasks as they like: tests, tools and the simulator, which end with their process.
const FREE_TO_SPAWN: [&str; 4] = ["bench", "testkit", "testkit-macros", "twilio-sim"];

/// Files that start a task which shutdown does not wait for. Each says there why the task ends by itself.
const UNTRACKED: [&str; 4] = [
    "api/src/proxy/upload.rs",
    "gateway/src/ttl_cache.rs",
    "trunkline/src/interrupt.rs",
    "upstream/src/proxy/permit.rs",
];

/// Returns the packages of this workspace from their manifests alone: nothing is resolved or fetched.
fn packages() -> cargo_metadata::Result<Vec<Package>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    Ok(MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()?
        .packages)
}

/// Returns every `.rs` file under `folder`.
fn sources(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn every_crate_is_in_the_list_of_allowed_dependencies() {
    let placed = ALLOWED_DEPENDENCIES.map(|(name, _)| name);
    let packages = packages().unwrap();

    let unplaced: Vec<_> = packages
        .iter()
        .map(|package| &package.name)
        .filter(|name| !placed.contains(&name.as_str()))
        .collect();

    assert!(
        unplaced.is_empty(),
        "say in ALLOWED_DEPENDENCIES what these crates may depend on: {unplaced:?}"
    );
}

#[test]
fn crates_depend_only_on_those_below_them() {
    let packages = packages().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();

    let mut wrong = Vec::new();
    for package in &packages {
        let below: Vec<&str> = ALLOWED_DEPENDENCIES
            .iter()
            .filter(|(name, _)| *name == package.name.as_str())
            .flat_map(|(_, below)| below.split_whitespace())
            .collect();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            // A crate's own tests may enable a feature that is for tests alone.
            let own = name == package.name.as_str();
            let of_tests =
                dependency.kind == DependencyKind::Development && (own || FOR_TESTS.contains(&name));
            if ours.contains(name) && !below.contains(&name) && !of_tests {
                wrong.push(format!("{} -> {name} ({})", package.name, dependency.kind));
            }
        }
    }

    assert!(
        wrong.is_empty(),
        "these dependencies point the wrong way: {wrong:#?}"
    );
}

#[test]
fn every_source_file_begins_with_a_description_and_stays_short() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = sources(crates).unwrap();
    assert!(!files.is_empty(), "no source file under {}", crates.display());

    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(crates).unwrap().display();
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not open with `//!`"));
        }
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{name} has {lines} lines, more than {LONGEST_FILE}"));
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_task_is_detached() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut detached = Vec::new();
    for file in sources(crates).unwrap() {
        let name = file.strip_prefix(crates).unwrap().to_string_lossy().into_owned();
        let of_tests = name.contains("/tests") || name.contains("/examples/");
        let free = FREE_TO_SPAWN
            .iter()
            .any(|free| name.starts_with(&format!("{free}/")));
        if of_tests || free || UNTRACKED.contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        if ["tokio::spawn(", "rt::spawn(", "task::spawn("]
            .iter()
            .any(|call| product.contains(call))
        {
            detached.push(name);
        }
    }

    assert!(
        detached.is_empty(),
        "start these tasks in a JoinSet or with `Gateway::spawn`, so that shutdown waits for them: {detached:#?}"
    );
}

/// What is public in `gateway` for the worker checks no caller: a route that used it would bypass the use cases. The API makes its routes from
/// the registry, and may use that.
#[test]
fn the_api_and_the_pages_work_through_use_cases() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = sources(&crates.join("api/src")).unwrap();
    files.extend(sources(&crates.join("web/src")).unwrap());
    let mut bypasses = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let without_breaks: String = text.split_whitespace().collect();
        for part in [
            "gateway.store",
            "gateway.upstream",
            "gateway.clock",
            "gateway.sync_due",
            "gateway.action_due",
            "gateway.event_written",
            "gateway.delivery_due",
            "gateway::events::",
            "gateway.table(",
            ".target(",
            ".target_of(",
            "health::check_credentials",
            "health::clear_problem",
            "carry_out(",
        ] {
            if without_breaks.contains(part) {
                bypasses.push(format!("{} uses {part}", file.display()));
            }
        }
    }

    assert!(
        bypasses.is_empty(),
        "call a use case of `gateway` instead: {bypasses:#?}"
    );
}

#[test]
fn the_modules_of_a_crate_import_each_other_in_one_direction() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut cycles = Vec::new();
    for (name, _) in ALLOWED_DEPENDENCIES {
        let folder = crates.join(name);
        let files = sources(&folder.join("src")).unwrap();
        assert!(!files.is_empty(), "no source file in {}", folder.display());
        cycles.extend(imports::cycles(&folder, &files));
    }

    assert!(
        cycles.is_empty(),
        "these modules import each other in a circle; move what two of them need into a module below both:\n\n{}",
        cycles.join("\n\n")
    );
}

#[test]
fn an_import_cycle_is_found_with_an_example_of_each_import() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("sample");
    let write = |name: &str, text: &str| {
        let file = folder.join("src").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write(
        "lib.rs",
        "mod a; mod b; mod c; mod d; pub use b::{One, inner::Two as Three};",
    );
    write("a.rs", "use crate::{Three, d::{self, X}};");
    write(
        "b.rs",
        "pub mod inner; pub struct One; fn f() { super::c::g(crate::d::X) }",
    );
    write("b/inner.rs", "use super::One; pub struct Two;");
    write("c.rs", "pub fn g<T>(_: T) { let _ = vec![crate::a::h()]; }");
    write(
        "d.rs",
        "pub struct X; #[cfg(test)] mod tests { use crate::a::h; }",
    );

    let cycles = imports::cycles(&folder, &sources(&folder).unwrap());

    assert_eq!(
        cycles,
        [
            "sample: a, b, c\n  a -> b: src/a.rs:1 uses Three\n  b -> c: src/b.rs:1 uses c\n  c -> a: src/c.rs:1 uses a"
        ]
    );
}
