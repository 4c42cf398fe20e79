//! Which server this command line talks to: `~/.config/plura/profile.json`, readable by its owner only.

use crate::output::Failure;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub server: Option<String>,
    /// An API token. `plura config show` prints `****`.
    pub token: Option<String>,
    /// PEM of the authority that signed the server's certificate; for a self-signed one, itself.
    pub ca_file: Option<PathBuf>,
    pub tenant: Option<String>,
}

/// `PLURA_PROFILE`, else `$XDG_CONFIG_HOME/plura/profile.json`, else below `~/.config`.
pub fn path() -> Result<PathBuf, Failure> {
    if let Some(file) = std::env::var_os("PLURA_PROFILE") {
        return Ok(PathBuf::from(file));
    }
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .ok_or_else(|| {
            Failure::input("no place for the profile: neither HOME nor XDG_CONFIG_HOME is set")
                .hint("set PLURA_PROFILE to a file")
        })?;
    Ok(base.join("plura").join("profile.json"))
}

/// The profile, empty when there is none yet.
pub fn load() -> Result<Profile, Failure> {
    let file = path()?;
    match fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            Failure::input(format!("cannot read profile `{}`: {error}", file.display()))
                .hint("mend it, or remove it and run `plura config set`")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Profile::default()),
        Err(error) => {
            Err(Failure::input(format!("cannot read profile `{}`: {error}", file.display())))
        }
    }
}

/// Writes the profile where it belongs.
pub fn save(profile: &Profile) -> Result<PathBuf, Failure> {
    let file = path()?;
    save_to(&file, profile)?;
    Ok(file)
}

/// Writes a profile with mode 0600, whole or not at all.
pub fn save_to(file: &Path, profile: &Profile) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot write profile `{}`: {error}", file.display()))
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let text = serde_json::to_string_pretty(profile)
        .map_err(|error| Failure::input(format!("cannot write profile: {error}")))?;
    let fresh = file.with_extension("json.new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(&fresh).map_err(cannot)?;
    handle.write_all(text.as_bytes()).and_then(|()| handle.sync_all()).map_err(cannot)?;
    fs::rename(&fresh, file).map_err(cannot)
}
