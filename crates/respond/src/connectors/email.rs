//! Notices by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314).

use super::config::{EmailConfig, Language, Problems, TlsMode};
use super::delivery::{Done, Failure};
use super::egress::Egress;
use super::facts::{Facts, Notice};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;
use uuid::Uuid;

/// Receivers of one notice; a mailing list is the tool for more.
const RECEIVERS_MAX: usize = 50;

pub(crate) struct Mailer {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
    language: Language,
    timeout: Duration,
}

impl Mailer {
    pub(crate) fn open(
        config: &EmailConfig,
        ca_pem: Option<&[u8]>,
        timeout_secs: u64,
        place: &str,
        egress: &Egress,
        problems: &mut Problems,
    ) -> Option<Mailer> {
        let before = problems.0.len();
        match (egress.opened(&config.host, config.port), config.tls) {
            (None, _) => problems.add(
                "egress-not-open",
                place,
                format!("`{}:{}` is not open", config.host, config.port),
                "have an administrator add the host to `egress`",
            ),
            (Some(false), TlsMode::None) => problems.add(
                "plain-smtp",
                place,
                format!("`{}` would be spoken to without TLS", config.host),
                "use `tls: starttls`, or set `internal: true` on the host in `egress`",
            ),
            (Some(_), _) => {}
        }
        if config.tls == TlsMode::None && config.password_file.is_some() {
            problems.add(
                "plain-password",
                place,
                "a password would be sent without TLS".to_owned(),
                "use `tls: starttls` or `tls: tls`",
            );
        }
        if config.username.is_some() != config.password_file.is_some() {
            problems.add(
                "half-credentials",
                place,
                "`username` and `password_file` belong together".to_owned(),
                "give both or neither",
            );
        }
        if config.to.is_empty() || config.to.len() > RECEIVERS_MAX {
            problems.add(
                "bad-receivers",
                place,
                format!("`to` names {} receivers", config.to.len()),
                &format!("name 1 to {RECEIVERS_MAX}"),
            );
        }
        let mut mailbox = |text: &str| {
            let parsed = text.parse::<Mailbox>().ok();
            if parsed.is_none() {
                problems.add(
                    "bad-mailbox",
                    place,
                    format!("`{text}` is not a mail address"),
                    "write `name@example.com` or `Name <name@example.com>`",
                );
            }
            parsed
        };
        let from = mailbox(&config.from);
        let to: Vec<Mailbox> = config.to.iter().filter_map(|text| mailbox(text)).collect();
        let password = config.password_file.as_ref().and_then(|path| problems.secret(place, path));
        let credentials =
            config.username.clone().zip(password).map(|(username, password)| {
                Credentials::new(username, password.reveal().to_owned())
            });
        let tls = match parameters(&config.host, ca_pem) {
            Ok(parameters) => match config.tls {
                TlsMode::Starttls => Tls::Required(parameters),
                TlsMode::Tls => Tls::Wrapper(parameters),
                TlsMode::None => Tls::None,
            },
            Err(error) => {
                problems.add(
                    "tls-setup",
                    place,
                    format!("cannot set up TLS for `{}`: {error}", config.host),
                    "give certificates in PEM as `ca_file`",
                );
                return None;
            }
        };
        if problems.0.len() > before {
            return None;
        }
        Some(Mailer {
            host: config.host.clone(),
            port: config.port,
            tls,
            credentials,
            from: from?,
            to,
            language: config.language,
            timeout: Duration::from_secs(timeout_secs),
        })
    }

    /// Sends the notice once. Its `Message-ID` is the notice's id, so a second copy is known as one.
    pub(crate) async fn send(
        &self,
        egress: &Egress,
        facts: &Facts,
        notice: &Notice<'_>,
        id: Uuid,
    ) -> Result<Done, Failure> {
        let message = self.message(facts, notice, id)?;
        let addresses = egress.resolve(&self.host, self.port).await?;
        let Some(address) = addresses.first() else {
            return Err(Failure::transient(
                "not-resolved",
                format!("`{}` has no address", self.host),
                "check the name and this machine's DNS",
            ));
        };
        // Connecting to the address that was checked; the certificate is still checked by name.
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
                .port(self.port)
                .tls(self.tls.clone())
                .timeout(Some(self.timeout));
        if let Some(credentials) = &self.credentials {
            builder = builder.credentials(credentials.clone());
        }
        // The library's own limit is per command; this one is for all of them together.
        let sent = tokio::time::timeout(self.timeout, builder.build().send(message)).await;
        match sent {
            Ok(Ok(response)) => Ok(Done { status: u16::from(response.code()) }),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => Err(Failure::transient(
                "timeout",
                format!(
                    "`{}:{}` took longer than {} s",
                    self.host,
                    self.port,
                    self.timeout.as_secs()
                ),
                "check the mail server, or raise `timeout_secs`",
            )),
        }
    }

    fn failure(&self, error: &lettre::transport::smtp::Error) -> Failure {
        let server = format!("`{}:{}`", self.host, self.port);
        match error.status() {
            Some(code) if error.is_permanent() => Failure::new(
                "mail-refused",
                format!("{server} refused the mail with {code}"),
                "check sender, receivers and credentials",
            ),
            Some(code) => Failure::transient(
                "mail-deferred",
                format!("{server} deferred the mail with {code}"),
                "the mail server asks to try later",
            ),
            None => Failure::transient(
                "mail-failed",
                format!("{server}: {error}"),
                "check that the mail server runs, offers TLS, and that its certificate is trusted (`ca_file`)",
            ),
        }
    }

    fn message(&self, facts: &Facts, notice: &Notice<'_>, id: Uuid) -> Result<Message, Failure> {
        let title = match self.language {
            Language::Ko => facts.text("title.ko"),
            Language::En => facts.text("title.en"),
            Language::Ja => facts.text("title.ja"),
        };
        let title = if title.is_empty() { facts.text("incident.title") } else { title };
        let subject = match notice.incident {
            Some(incident) => {
                format!("[Plura] {}: {title} ({})", incident.severity.as_str(), notice.event)
            }
            None => format!("[Plura] {title} ({})", notice.event),
        };
        let mut lines = vec![title.to_owned(), String::new()];
        for name in super::facts::NAMES.iter().filter(|name| !name.starts_with("title.")) {
            let text = facts.text(name);
            if !text.is_empty() {
                lines.push(format!("{name}: {text}"));
            }
        }
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{id}@{domain}>")))
            .subject(subject.chars().filter(|c| !c.is_control()).collect::<String>())
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(lines.join("\r\n")).map_err(|error| {
            Failure::new(
                "bad-mail",
                format!("the mail could not be written: {error}"),
                "check `from` and `to`",
            )
        })
    }
}

fn parameters(
    host: &str,
    ca_pem: Option<&[u8]>,
) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca_pem {
        builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
    }
    builder.build_rustls()
}
