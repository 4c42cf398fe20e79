//! Sets up the evidence half as the configuration says.

use crate::config::Config;
use crate::evidence::{
    Keys, Recorder, RecorderConfig, SessionBook, Shipper, ShipperConfig, SpoolConfig,
};
use crate::proxy::shared::Evidence;
use crate::proxy::tls;
use schema::{Diagnostic, Secret};
use std::path::Path;
use std::sync::Arc;

/// Opens the spool and starts the recorder; the shipper still has to be run.
pub fn start(config: &Config) -> Result<(Evidence, Option<Shipper>), Vec<Diagnostic>> {
    let one = |fault: Diagnostic| vec![fault];
    let Some(key_file) = &config.key_file else {
        return Err(one(fault(
            "key-missing",
            "key_file",
            "there is no `key_file`".into(),
            KEY_HINT,
        )));
    };
    let key = read_secret(key_file, "key_file").map_err(one)?;
    let keys = Keys::parse(&key)
        .map_err(|e| one(fault("key-invalid", "key_file", e.to_string(), KEY_HINT)))?;
    let dir = match (&config.spool.dir, &config.state_dir) {
        (Some(dir), _) => dir.clone(),
        (None, Some(state)) => state.join("spool"),
        (None, None) => {
            let message = "there is neither `spool.dir` nor `state_dir`".to_owned();
            return Err(one(fault(
                "spool-missing",
                "spool.dir",
                message,
                "name a folder the gateway may write to",
            )));
        }
    };
    let mut spool = SpoolConfig::new(dir);
    if let Some(bytes_max) = config.spool.bytes_max {
        spool.bytes_max = bytes_max;
    }
    let book = Arc::new(SessionBook::new(SessionBook::LIMIT_DEFAULT));
    let recorder_config = RecorderConfig::new(config.gateway.as_str(), spool);
    let recorder =
        Recorder::start(recorder_config, keys.clone(), Arc::clone(&book)).map_err(|e| {
            one(fault(
                "spool-unusable",
                "spool.dir",
                e.to_string(),
                "check the folder and its owner",
            ))
        })?;
    let shipper = match &config.server {
        None => None,
        Some(server) => {
            let token = read_secret(&server.token_file, "server.token_file").map_err(one)?;
            let tls = Arc::new(tls::client_config(server.ca_file.as_deref()).map_err(one)?);
            let shipping = ShipperConfig { url: server.url.clone(), token, tls };
            Some(Shipper::new(shipping, &recorder).map_err(|e| {
                one(fault(
                    "server-invalid",
                    "server",
                    e.to_string(),
                    "check `url` and `token_file`",
                ))
            })?)
        }
    };
    Ok((Evidence { keys: Arc::new(keys), book, recorder: Arc::new(recorder) }, shipper))
}

const KEY_HINT: &str = "make one with `openssl rand -hex 32` and let only the gateway read it";

fn read_secret(path: &Path, field: &str) -> Result<Secret, Diagnostic> {
    std::fs::read_to_string(path).map(|text| Secret::new(text.trim())).map_err(|error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        fault(
            "secret-unreadable",
            field,
            message,
            "check that the file exists and that the gateway may read it",
        )
    })
}

fn fault(code: &str, field: &str, message: String, hint: &str) -> Diagnostic {
    Diagnostic::new(code, format!("gateway.yaml: {field}"), message).hint(hint)
}
