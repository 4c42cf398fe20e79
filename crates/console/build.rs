//! Lists the built console for `include_bytes!`. Without a build, or in debug, the list is empty.
#![allow(clippy::expect_used, reason = "a build script says what is wrong by ending")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("files.rs");
    let dist = manifest.join("../../console/dist");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    // Debug builds read the folder at run time, so that a change of the console builds no Rust.
    if env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_none() {
        println!("cargo:rerun-if-changed={}", dist.display());
        let dist = dist.canonicalize().expect("console/dist is in the repository");
        collect(&dist.join("www"), "", &mut files);
        files.sort();
    }
    let mut text = String::from("pub static FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in &files {
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),").expect("text takes text");
    }
    text.push_str("];\n");
    fs::write(out, text).expect("OUT_DIR can be written");
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.push((name, path));
        }
    }
}
