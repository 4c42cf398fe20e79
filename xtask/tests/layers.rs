//! Keeps ARCHITECTURE.md's map true: which crate may know which.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Who may use whom, of ours. A crate that is not listed may use nothing.
const ALLOWED: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("console", &[]),
    ("normalize", &["schema"]),
    ("respond", &["schema"]),
    ("evidence", &["schema"]),
    ("store", &["schema"]),
    ("detect", &["schema"]),
    ("trust", &["schema"]),
    ("seclang", &[]),
    ("sigma", &["schema"]),
    ("hunt", &["schema", "sigma"]),
    ("inspect", &["schema", "seclang"]),
    ("gateway", &["schema", "seclang", "inspect"]),
    // `gateway` for one thing: its `Keys` unseal what policy kept, when somebody may see it.
    (
        "server",
        &[
            "schema",
            "console",
            "normalize",
            "detect",
            "respond",
            "evidence",
            "store",
            "gateway",
            "trust",
            "seclang",
            "sigma",
            "inspect",
        ],
    ),
    (
        "plura",
        &[
            "schema",
            "server",
            "gateway",
            "evidence",
            "normalize",
            "detect",
            "respond",
            "store",
            "trust",
            "seclang",
            "inspect",
            "sigma",
            "hunt",
        ],
    ),
    ("xtask", &[]),
];

/// Third-party crates only one of ours may know: the rest must not come to depend on them.
const RESERVED: &[(&str, &[&str])] = &[
    ("datafusion", &["store"]),
    ("arrow", &["store"]),
    ("parquet", &["store"]),
    ("rusqlite", &["store"]),
    ("lettre", &["respond"]),
    ("cel", &["gateway"]),
    ("axum", &["server"]),
    ("clap", &["plura", "evidence"]),
    ("evtx", &["hunt"]),
];

#[test]
fn each_crate_knows_only_whom_it_may() {
    let manifests = manifests();
    let ours: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    let mut broken = Vec::new();
    for (name, dependencies) in &manifests {
        let allowed = ALLOWED.iter().find(|(n, _)| n == name).map_or(&[][..], |(_, a)| a);
        for dependency in dependencies {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("`{name}` must not use `{dependency}`"));
            }
            if let Some((_, owners)) = RESERVED.iter().find(|(d, _)| d == dependency)
                && !owners.contains(&name.as_str())
            {
                broken.push(format!("only {owners:?} may use `{dependency}`, `{name}` does"));
            }
        }
    }
    assert!(broken.is_empty(), "{}\nsee ARCHITECTURE.md", broken.join("\n"));
}

#[test]
fn the_map_in_architecture_names_every_crate() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for name in manifests().keys() {
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not mention `{name}`");
    }
}

/// Ordinary dependencies (not those of tests) of each of our crates.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<_> =
        fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.push(root().join("xtask"));
    for folder in folders {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        found.insert(name, dependencies(&text));
    }
    found
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
            continue;
        }
        let Some((key, _)) = line.split_once('=').filter(|_| inside) else { continue };
        let name = key.trim().trim_end_matches(".workspace").trim_matches('"');
        if !name.is_empty() && !name.starts_with('#') {
            names.insert(name.to_owned());
        }
    }
    names
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_reader_of_manifests_sees_all_forms() {
    let text = "[dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n# c = 1\n[dev-dependencies]\nd.workspace = true\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n";
    assert_eq!(dependencies(text), ["a", "b", "e"].map(str::to_owned).into());
}
