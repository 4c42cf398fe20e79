//! The server's certificate: the one configured, or a self-signed one made at first start.

use crate::config::Config;
use crate::files::{private_file, private_folder};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot use `{path}`: {cause}: check the path and its permissions")]
    Io { path: PathBuf, cause: io::Error },
    #[error("`{path}` is not PEM: {cause}: it should hold {wanted}")]
    Pem { path: PathBuf, cause: String, wanted: &'static str },
    #[error("cannot make a self-signed certificate: {0}: check `tls.names`")]
    Make(#[from] rcgen::Error),
    #[error("certificate and key do not work together: {0}: check `tls.cert` and `tls.key`")]
    Unusable(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3, HTTP/2 and 1.1.
pub fn server_config(config: &Config) -> Result<Arc<ServerConfig>, TlsError> {
    let (cert, key) = match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => (cert.clone(), key.clone()),
        _ => self_signed(&config.data.join("tls"), &config.tls.names)?,
    };
    let chain = read(&cert, "a certificate chain", |path| {
        CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()
    })?;
    let key = read(&key, "a private key", |path| PrivateKeyDer::from_pem_file(path))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

fn read<T>(
    path: &Path,
    wanted: &'static str,
    parse: impl FnOnce(&Path) -> Result<T, rustls::pki_types::pem::Error>,
) -> Result<T, TlsError> {
    parse(path).map_err(|error| match error {
        rustls::pki_types::pem::Error::Io(cause) => TlsError::Io { path: path.to_owned(), cause },
        other => TlsError::Pem { path: path.to_owned(), cause: other.to_string(), wanted },
    })
}

/// `server.pem` and `server.key` of the folder, made when they are not there.
fn self_signed(folder: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let (cert, key) = (folder.join("server.pem"), folder.join("server.key"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Io { path, cause }
    };
    private_folder(folder).map_err(io(folder))?;
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Plura server (self-signed)");
    let certificate = params.self_signed(&pair)?;
    // A half of a pair left by a crash is replaced with it.
    for path in [&cert, &key] {
        if path.exists() {
            std::fs::remove_file(path).map_err(io(path))?;
        }
    }
    private_file(&key, pair.serialize_pem().as_bytes()).map_err(io(&key))?;
    private_file(&cert, certificate.pem().as_bytes()).map_err(io(&cert))?;
    Ok((cert, key))
}
