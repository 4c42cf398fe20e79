//! TLS both ways: certificates chosen by name, authorities pinned or the system's.

use crate::config::{CertificateConfig, TlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use schema::Diagnostic;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Certificates by the name the client asks for (SNI, RFC 6066 §3).
#[derive(Debug, Default)]
struct ByName {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `.shop.example` for `*.shop.example`; covers one label, as certificates do.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| {
            let name = name.to_ascii_lowercase();
            self.exact.get(&name).or_else(|| {
                let dot = name.find('.')?;
                self.wildcards.get(name.get(dot..)?)
            })
        });
        found.or(self.first.as_ref()).cloned()
    }
}

/// The TLS side of a listener; ALPN offers `h2` when `http2`.
pub fn server_config(config: &TlsConfig, http2: bool) -> Result<ServerConfig, Vec<Diagnostic>> {
    let provider = rustls::crypto::ring::default_provider();
    let mut names = ByName::default();
    let mut faults = Vec::new();
    for certificate in &config.certificates {
        match load_key(certificate, &provider) {
            Ok(key) => {
                let key = Arc::new(key);
                names.first.get_or_insert_with(|| Arc::clone(&key));
                for host in &certificate.hosts {
                    let host = host.to_ascii_lowercase();
                    match host.strip_prefix('*') {
                        Some(suffix) => names.wildcards.insert(suffix.to_owned(), Arc::clone(&key)),
                        None => names.exact.insert(host, Arc::clone(&key)),
                    };
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| vec![tls_fault("listener", &e.to_string())])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    server.alpn_protocols =
        if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(server)
}

fn load_key(
    config: &CertificateConfig,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<CertifiedKey, Diagnostic> {
    let chain = read_certificates(&config.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file)
        .map_err(|e| tls_fault(&config.key_file.display().to_string(), &e.to_string()))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|e| tls_fault(&config.cert_file.display().to_string(), &e.to_string()))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Diagnostic> {
    let place = path.display().to_string();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| tls_fault(&place, &e.to_string()))?;
    if certificates.is_empty() {
        return Err(tls_fault(&place, "it holds no certificate"));
    }
    Ok(certificates)
}

fn tls_fault(place: &str, detail: &str) -> Diagnostic {
    Diagnostic::new("tls-invalid", place, format!("cannot use `{place}`: {detail}"))
        .hint("give PEM files the gateway may read, the leaf certificate first, with its key")
}

/// For connections to upstreams and to the server: `ca_file` is the only authority, when given.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Diagnostic> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|e| tls_fault(&path.display().to_string(), &e.to_string()))?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One odd certificate among the system's is no reason to trust none of them.
                let _ = roots.add(certificate);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls_fault("tls", &e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
