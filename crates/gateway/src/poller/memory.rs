use schema::{Diagnostic, Restrictions};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The last restrictions on disk: `restrictions.json`, readable by the gateway only.
#[derive(Debug, Clone)]
pub struct Memory {
    dir: PathBuf,
}

impl Memory {
    pub fn open(dir: &Path) -> Result<Memory, Diagnostic> {
        fs::create_dir_all(dir).map_err(|error| {
            Diagnostic::new(
                "state-dir-unusable",
                "gateway.yaml: state_dir",
                format!("cannot use `{}`: {error}", dir.display()),
            )
            .hint("name a folder the gateway may write to")
        })?;
        Ok(Memory { dir: dir.to_owned() })
    }

    fn file(&self) -> PathBuf {
        self.dir.join("restrictions.json")
    }

    /// `None` when there is nothing, or nothing that can be read: that is logged, and the server
    /// will tell.
    pub fn read(&self) -> Option<Restrictions> {
        let bytes = match fs::read(self.file()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(%error, "the remembered restrictions cannot be read");
                return None;
            }
        };
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::error!(%error, "the remembered restrictions are damaged"))
            .ok()
    }

    /// Whole or not at all: a crash leaves the old set or the new one.
    pub fn write(&self, restrictions: &Restrictions) -> io::Result<()> {
        let fresh = self.dir.join("restrictions.json.new");
        let bytes = serde_json::to_vec(restrictions)?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, self.file())?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_read_again_and_damage_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        assert_eq!(memory.read(), None);
        let set = Restrictions { version: 7, restrictions: vec![], ..Restrictions::default() };
        memory.write(&set).unwrap();
        assert_eq!(memory.read(), Some(set));
        let mode = fs::metadata(memory.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(memory.file(), "{\"version\":7").unwrap();
        assert_eq!(memory.read(), None);
    }
}
