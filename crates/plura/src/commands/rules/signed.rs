//! `plura rules sign` and `verify`: folders of Sigma rules that are what their maker signed. `docs/sigma.md`, Packs.

use crate::commands::Context;
use crate::output::{EXIT_FOUND, Failure, Format, printable, say, say_json};
use clap::Args;
use evidence::{Algorithm, SigningKey, VerifierKey, read_signed_folder, sign_folder};
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct SignArgs {
    /// The folder; its `pack.json` says name and version
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The private key; made if there is no such file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Whose key it is, if it has to be made: a name without blanks or `+`
    #[arg(long, value_name = "NAME", default_value = "rules")]
    name: String,
}

#[derive(Args)]
pub struct VerifyArgs {
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// A key you trust, as `plura rules sign` printed it (repeat for several)
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
}

#[derive(Deserialize)]
struct Pack {
    pack: String,
    version: String,
}

pub fn sign(context: &Context, args: &SignArgs) -> Result<ExitCode, Failure> {
    let subject = subject(&args.folder)?;
    let made = !args.key.exists();
    if is_below(&args.key, &args.folder) {
        return Err(Failure::input(
            "the private key would be part of what is signed and given away",
        )
        .hint("keep it elsewhere: --key ~/keys/rules.key"));
    }
    let key =
        SigningKey::load_or_generate(&args.key, &args.name, Algorithm::Ed25519).map_err(failed)?;
    let files = sign_folder(&args.folder, &subject, &key).map_err(failed)?;
    let public = key.verifier().to_string();
    match context.format {
        Format::Json => {
            say_json(&json!({ "pack": subject, "files": files, "key": public, "key_made": made }))
        }
        Format::Human => {
            say(&printable(&format!("signed {subject}: {files} files")));
            if made {
                say(&printable(&format!(
                    "the private key is new: `{}`; keep it, and a copy of it",
                    args.key.display()
                )));
            }
            say(&printable(&format!(
                "who loads it trusts this key (`sigma.keys` in server.yaml): {public}"
            )));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn verify(context: &Context, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let keys = args.key.iter().map(|key| key.parse::<VerifierKey>());
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let told = read_signed_folder(&args.folder, &keys);
    match (context.format, &told) {
        (Format::Json, Ok(listed)) => say_json(&json!({
            "ok": true, "pack": listed.subject, "files": listed.files.len(), "key": listed.by.short(),
        })),
        (Format::Json, Err(error)) => {
            say_json(&json!({ "ok": false, "code": error.code(), "problem": error.to_string() }));
        }
        (Format::Human, Ok(listed)) => say(&printable(&format!(
            "{}: {} files, as `{}` signed them",
            listed.subject,
            listed.files.len(),
            listed.by.short()
        ))),
        (Format::Human, Err(error)) => say(&printable(&error.to_string())),
    }
    Ok(if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

/// Whether a file that may not be there yet is, or would be, in a folder.
fn is_below(file: &Path, folder: &Path) -> bool {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (parent.canonicalize(), folder.canonicalize()) {
        (Ok(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

/// Name and version of `pack.json`.
fn subject(folder: &Path) -> Result<String, Failure> {
    let path = folder.join("pack.json");
    let shown = path.display();
    let hint = r#"write {"pack": "own-rules", "version": "1.0.0"}"#;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::input(format!("cannot read `{shown}`: {error}")).hint(hint))?;
    let pack: Pack = serde_json::from_str(&text).map_err(|error| {
        Failure::input(format!("`{shown}` is no description of a pack: {error}")).hint(hint)
    })?;
    Ok(format!("{} {}", pack.pack, pack.version))
}

fn failed(error: evidence::Error) -> Failure {
    Failure::input(error.to_string())
}
