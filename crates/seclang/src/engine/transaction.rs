//! One request and its response, phase by phase.

use super::memory::{Memory, Record};
use super::store::{Span, Store};
use super::vars::Vars;
use super::{Engine, plan};
use crate::bag::Bag;
use crate::body;
use crate::input::{Connection, RequestHead, ResponseHead};
use crate::operator::Captures;
use crate::request;
use crate::rule::{AuditMode, BodyProcessor, EngineMode, IdRange, Phase, Severity};
use crate::ruleset::REQUEST_BODY_NO_FILES_BYTES;
use crate::transform::Transformation;
use crate::variable::{Collection, Selector};
use crate::verdict::{Interrupt, Interruption, Limit, Match, Verdict};
use std::net::IpAddr;
use std::sync::Arc;

/// Header fields of a request, and of a response. Servers take a hundred or two.
pub const HEADERS_MAX: usize = 1_000;

/// A transaction under way. Feed it in order: request headers, request body, response headers, response
/// body, end. Each step says whether the rules want it stopped.
///
/// A clone goes on from where it is, on its own: it tells what the rules would say to a part of a body, say.
/// Nothing is remembered of one that is dropped; of all clones, [`Transaction::finish`] one.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub(super) engine: Arc<Engine>,
    pub(super) memory: Arc<dyn Memory>,
    pub(super) store: Store,
    pub(super) facts: Facts,
    pub(super) tx: Vars,
    pub(super) env: Vars,
    pub(super) opened: Vec<Opened>,
    pub(super) control: Controls,
    pub(super) matched: Vec<Matched>,
    pub(super) captures: Captures,
    /// How many of TX.0 to TX.9 are set.
    pub(super) caught: usize,
    /// Kept between uses.
    pub(super) bag: Bag,
    pub(super) current: Option<(usize, usize)>,
    pub(super) highest: Option<Severity>,
    pub(super) allowed: Allowed,
    pub(super) interruption: Option<Interruption>,
    pub(super) would: Option<Interruption>,
    pub(super) matches: Vec<Match>,
    pub(super) matches_dropped: u64,
    pub(super) limits: Vec<Limit>,
    pub(super) audit: bool,
    pub(super) work: u64,
}

/// Single values that are asked for now and then.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub client: IpAddr,
    pub client_port: u16,
    pub server: IpAddr,
    pub server_port: u16,
    pub unique_id: String,
    pub time_ms: i64,
    pub utc_offset_secs: i32,
    pub method: Span,
    pub protocol: Span,
    pub server_name: Span,
    pub auth_type: Span,
    pub remote_user: Span,
    pub path_info: Span,
    pub body_type: BodyType,
    pub processor: &'static str,
    pub body: Span,
    pub body_bytes: u64,
    pub args_bytes: u64,
    pub files_bytes: u64,
    pub file_sizes: Bag,
    pub url_encoded_error: bool,
    pub inbound_error: bool,
    pub outbound_error: bool,
    pub body_error: Option<String>,
    /// A limit kept a part of what is here from being read: an error that is not about the end.
    pub lost: bool,
    pub processor_error: Option<String>,
    pub multipart: body::multipart::Flags,
    pub status: u16,
    pub response_protocol: Span,
    pub response_type: Span,
    pub response_bytes: u64,
}

/// What the Content-Type says the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyType {
    Unknown,
    UrlEncoded,
    Multipart,
}

#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub collection: Collection,
    pub key: Vec<u8>,
    pub before: Record,
    pub now: Record,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Controls {
    pub engine: Option<EngineMode>,
    pub audit: Option<AuditMode>,
    pub request_body_access: Option<bool>,
    pub response_body_access: Option<bool>,
    pub request_processor: Option<BodyProcessor>,
    pub response_processor: Option<BodyProcessor>,
    pub request_body_limit: Option<u64>,
    /// How much of a body whoever runs the engine shows.
    pub request_body_shown: Option<u64>,
    pub response_body_limit: Option<u64>,
    pub force_request_body: bool,
    pub force_response_body: bool,
    pub removed_ids: Vec<IdRange>,
    pub removed_tags: Vec<String>,
    pub removed_messages: Vec<String>,
    pub removed_targets: Vec<RemovedTarget>,
    /// Values of which nothing is known.
    pub overlooked: Option<fn(&[u8]) -> bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct RemovedTarget {
    pub of: RemovedOf,
    pub collection: Collection,
    pub selector: Selector,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RemovedOf {
    Ids(Vec<IdRange>),
    Tag(String),
    Message(String),
}

#[derive(Clone, Debug)]
pub(super) struct Matched {
    pub collection: Collection,
    pub name: Span,
    pub value: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    No,
    /// Until the end of the phase.
    Phase,
    Request,
    All,
}

impl Controls {
    /// Once is enough: a rule says it again for each value it matches.
    pub(super) fn leave_out(&mut self, target: RemovedTarget) {
        if !self.removed_targets.contains(&target) {
            self.removed_targets.push(target);
        }
    }
}

impl Transaction {
    pub(super) fn new(
        engine: Arc<Engine>,
        connection: &Connection<'_>,
        head: &RequestHead<'_>,
        memory: Arc<dyn Memory>,
    ) -> Self {
        let facts = Facts {
            client: connection.client,
            client_port: connection.client_port,
            server: connection.server,
            server_port: connection.server_port,
            unique_id: connection.unique_id.to_owned(),
            time_ms: connection.time_ms,
            utc_offset_secs: connection.utc_offset_secs,
            method: Span::default(),
            protocol: Span::default(),
            server_name: Span::default(),
            auth_type: Span::default(),
            remote_user: Span::default(),
            path_info: Span::default(),
            body_type: BodyType::Unknown,
            processor: "",
            body: Span::default(),
            body_bytes: 0,
            args_bytes: 0,
            files_bytes: 0,
            file_sizes: Bag::default(),
            url_encoded_error: false,
            inbound_error: false,
            outbound_error: false,
            body_error: None,
            lost: false,
            processor_error: None,
            multipart: body::multipart::Flags::default(),
            status: 0,
            response_protocol: Span::default(),
            response_type: Span::default(),
            response_bytes: 0,
        };
        let head_bytes: usize = head.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        let room = 4096 + 3 * (head_bytes + head.target.len());
        let unicode_map = engine.rules.settings.unicode_map.clone();
        let mut transaction = Self {
            engine,
            memory,
            store: Store::with_room(room, unicode_map),
            facts,
            tx: Vars::default(),
            env: Vars::default(),
            opened: Vec::new(),
            control: Controls::default(),
            matched: Vec::new(),
            captures: Captures::default(),
            caught: 0,
            bag: Bag::default(),
            current: None,
            highest: None,
            allowed: Allowed::No,
            interruption: None,
            would: None,
            matches: Vec::new(),
            matches_dropped: 0,
            limits: Vec::new(),
            audit: false,
            work: 0,
        };
        transaction.store.allow(head_bytes + head.target.len());
        transaction.take_head(head);
        transaction
    }

    /// Phase 1.
    pub fn request_headers(&mut self) -> Option<&Interruption> {
        self.run(Phase::RequestHeaders)
    }

    /// Whether phase 2 wants the body at all.
    pub fn wants_request_body(&self) -> bool {
        self.mode() != EngineMode::Off
            && self
                .control
                .request_body_access
                .unwrap_or(self.engine.rules.settings.request_body_access)
    }

    /// How much of the request body phase 2 looks at, in bytes.
    pub fn request_body_limit(&self) -> u64 {
        self.control.request_body_limit.unwrap_or(self.engine.rules.settings.request_body_limit)
    }

    /// Phase 2. `body` is what there is of the body, `complete` whether that is all of it.
    pub fn request_body(&mut self, body: &[u8], complete: bool) -> Option<&Interruption> {
        if self.wants_request_body() {
            self.take_body(body, complete);
        }
        self.run(Phase::RequestBody)
    }

    /// Phase 3.
    pub fn response_headers(&mut self, head: &ResponseHead<'_>) -> Option<&Interruption> {
        let plan = Arc::clone(&self.engine);
        self.store.allow(head.headers.iter().map(|(name, value)| name.len() + value.len()).sum());
        self.facts.status = head.status;
        self.facts.response_protocol = self.store.keep(head.protocol);
        if head.headers.len() > HEADERS_MAX {
            self.reached(Limit::Headers);
        }
        for (name, value) in head.headers.iter().take(HEADERS_MAX) {
            let name_span = self.store.keep(name);
            let value_span = self.store.keep(value);
            let collections = [Collection::ResponseHeaders, Collection::ResponseHeadersNames];
            for (collection, span) in collections.into_iter().zip([value_span, name_span]) {
                self.store.add_spans(collection, 0, name_span, span, &plan.plan);
            }
            if name.eq_ignore_ascii_case(b"content-type") {
                self.facts.response_type = value_span;
            }
        }
        self.run(Phase::ResponseHeaders)
    }

    /// Whether phase 4 wants the response's body: it is allowed to look, and its type is one to look at.
    pub fn wants_response_body(&self) -> bool {
        let settings = &self.engine.rules.settings;
        let access = self.control.response_body_access.unwrap_or(settings.response_body_access);
        if self.mode() == EngineMode::Off || !access {
            return false;
        }
        let kind = self.store.text(self.facts.response_type);
        let kind = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        self.control.force_response_body
            || settings.response_body_mime_types.iter().any(|known| {
                kind.eq_ignore_ascii_case(known.as_bytes()) || (known == "null" && kind.is_empty())
            })
    }

    pub fn response_body_limit(&self) -> u64 {
        self.control.response_body_limit.unwrap_or(self.engine.rules.settings.response_body_limit)
    }

    /// Phase 4.
    pub fn response_body(&mut self, body: &[u8], complete: bool) -> Option<&Interruption> {
        if self.wants_response_body() {
            let limit = usize::try_from(self.response_body_limit()).unwrap_or(usize::MAX);
            let part = body.get(..limit).unwrap_or(body);
            if !complete || part.len() < body.len() {
                self.facts.outbound_error = true;
                self.reached(Limit::ResponseBody);
            }
            self.store.allow(part.len());
            self.facts.response_bytes = body.len() as u64;
            let engine = Arc::clone(&self.engine);
            self.store.add(Collection::ResponseBody, b"", part, &engine.plan);
            match self.control.response_processor {
                Some(BodyProcessor::Json) => self.take_answer(part, &engine),
                Some(BodyProcessor::Xml) => {
                    let (xml, _) = body::xml::parse(part);
                    self.add_xml(Collection::ResponseXml, &xml, &engine.plan);
                }
                _ => {}
            }
        }
        self.run(Phase::ResponseBody)
    }

    /// RESPONSE_ARGS: what a JSON answer, or a stream of them, holds.
    fn take_answer(&mut self, part: &[u8], engine: &Engine) {
        let settings = &engine.rules.settings;
        let depth = settings.request_body_json_depth as usize;
        let mut bag = Bag::default();
        let is_typed = starts_with(self.store.text(self.facts.response_type), b"text/event-stream");
        let limit = if body::events::is_stream(part, is_typed) {
            body::events::parse(part, depth, settings.arguments_max, &mut bag)
        } else {
            let read = body::json::parse(part, depth, settings.arguments_max, &mut bag);
            read.err().and_then(|error| error.limit())
        };
        self.reached_maybe(limit);
        for (name, value) in bag.iter() {
            self.store.add(Collection::ResponseArgs, name, value, &engine.plan);
        }
    }

    /// Phase 5, and what came of it all.
    pub fn finish(mut self) -> Verdict {
        self.run(Phase::Logging);
        let now = self.facts.time_ms;
        for opened in std::mem::take(&mut self.opened) {
            if opened.before != opened.now {
                self.memory.close(opened.collection, &opened.key, &opened.before, opened.now, now);
            }
        }
        self.limits.sort_unstable();
        self.limits.dedup();
        let audit = self.is_audited();
        Verdict {
            interruption: self.interruption,
            would: self.would,
            matches: self.matches,
            matches_dropped: self.matches_dropped,
            limits: self.limits,
            audit,
        }
    }

    /// Whether the audit log is to have an entry: `ctl:auditEngine` comes before `SecAuditEngine`, and where
    /// neither is there, rules decide.
    fn is_audited(&self) -> bool {
        let settings = &self.engine.rules.settings;
        match self.control.audit.or(settings.audit) {
            Some(AuditMode::Off) => false,
            Some(AuditMode::On) => true,
            Some(AuditMode::RelevantOnly) => self.audit || self.has_relevant_status(),
            None => self.audit,
        }
    }

    /// `SecAuditLogRelevantStatus`, about what the client gets.
    fn has_relevant_status(&self) -> bool {
        let status = match self.interruption.as_ref().map(|interruption| &interruption.deed) {
            Some(Interrupt::Deny { status } | Interrupt::Redirect { status, .. }) => *status,
            Some(Interrupt::Drop) | None => self.facts.status,
        };
        let relevant = &self.engine.rules.settings.audit_relevant_status;
        relevant.as_ref().is_some_and(|regex| regex.is_match(status.to_string().as_bytes()))
    }

    /// What stopped the transaction, if anything did.
    pub fn interruption(&self) -> Option<&Interruption> {
        self.interruption.as_ref()
    }

    /// A variable of TX, as text: CRS's scores are there.
    pub fn tx(&self, name: &str) -> Option<&[u8]> {
        self.tx.get(name.as_bytes())
    }

    pub fn mode(&self) -> EngineMode {
        self.control.engine.unwrap_or(self.engine.rules.settings.engine)
    }

    pub(super) fn reached(&mut self, limit: Limit) {
        if !self.limits.contains(&limit) {
            self.limits.push(limit);
        }
    }

    fn reached_maybe(&mut self, limit: Option<Limit>) {
        if let Some(limit) = limit {
            self.reached(limit);
        }
    }

    fn take_head(&mut self, head: &RequestHead<'_>) {
        let engine = Arc::clone(&self.engine);
        let plan = &engine.plan;
        let settings = &engine.rules.settings;
        let target = request::Target::parse(head.target);
        let line = [head.method, head.target, head.protocol].join(&b' ');
        self.facts.method = self.store.keep(head.method);
        self.facts.protocol = self.store.keep(head.protocol);
        self.facts.path_info = self.store.keep(&target.filename);
        let singles: [(Collection, &[u8]); 6] = [
            (Collection::RequestLine, &line),
            (Collection::RequestUri, &target.uri),
            (Collection::RequestUriRaw, head.target),
            (Collection::RequestFilename, &target.filename),
            (Collection::RequestBasename, target.basename()),
            (Collection::QueryString, target.query.unwrap_or_default()),
        ];
        for (collection, value) in singles {
            self.store.add(collection, b"", value, plan);
        }
        let mut bag = Bag::default();
        let found = body::urlencoded::parse(
            target.query.unwrap_or_default(),
            settings.argument_separator,
            settings.arguments_max,
            &mut bag,
        );
        self.facts.url_encoded_error |= found.invalid_encoding;
        if found.truncated {
            self.too_many();
        }
        self.add_args(Collection::ArgsGet, Collection::ArgsGetNames, &bag, plan);
        let mut cookies = Bag::default();
        if head.headers.len() > HEADERS_MAX {
            self.reached(Limit::Headers);
        }
        for (name, value) in head.headers.iter().take(HEADERS_MAX) {
            let name_span = self.store.keep(name);
            let value_span = self.store.keep(value);
            self.store.add_spans(Collection::RequestHeaders, 0, name_span, value_span, plan);
            self.store.add_spans(Collection::RequestHeadersNames, 0, name_span, name_span, plan);
            if name.eq_ignore_ascii_case(b"cookie") {
                let known = cookies.len();
                if !request::parse_cookies(value, settings.cookie_format_v1, &mut cookies) {
                    self.reached(Limit::Cookies);
                }
                for (cookie, content) in cookies.iter().skip(known) {
                    let cookie = self.store.keep(cookie);
                    let content = self.store.keep(content);
                    let names = Collection::RequestCookiesNames;
                    self.store.add_spans(Collection::RequestCookies, 0, cookie, content, plan);
                    self.store.add_spans(names, 0, cookie, cookie, plan);
                }
            } else if name.eq_ignore_ascii_case(b"content-type") {
                self.take_type(value);
            } else if name.eq_ignore_ascii_case(b"host") {
                let host = host_name(value);
                self.facts.server_name = self.store.keep(host);
            } else if name.eq_ignore_ascii_case(b"authorization") {
                let kind = value.split(|b| *b == b' ').next().unwrap_or_default();
                self.facts.auth_type = self.store.keep(kind);
                if kind.eq_ignore_ascii_case(b"basic") {
                    self.take_user(value.get(kind.len() + 1..).unwrap_or_default());
                }
            }
        }
    }

    /// The name before the colon. A value that is no base64 names nobody.
    fn take_user(&mut self, credentials: &[u8]) {
        let mut decoded = Vec::new();
        Transformation::Base64Decode.apply(credentials.trim_ascii(), &mut decoded);
        if let Some(end) = memchr::memchr(b':', &decoded) {
            self.facts.remote_user = self.store.keep(decoded.get(..end).unwrap_or_default());
        }
    }

    fn take_type(&mut self, value: &[u8]) {
        if starts_with(value, b"multipart/form-data") {
            self.facts.body_type = BodyType::Multipart;
            self.facts.processor = "MULTIPART";
        } else if starts_with(value, b"application/x-www-form-urlencoded") {
            self.facts.body_type = BodyType::UrlEncoded;
            self.facts.processor = "URLENCODED";
        }
    }

    fn add_args(&mut self, values: Collection, names: Collection, bag: &Bag, plan: &plan::Plan) {
        for (name, value) in bag.iter() {
            self.facts.args_bytes += (name.len() + value.len()) as u64;
            let name = self.store.keep(name);
            let value = self.store.keep(value);
            self.store.add_spans(values, 0, name, value, plan);
            self.store.add_spans(names, 0, name, name, plan);
        }
    }

    fn take_body(&mut self, whole: &[u8], complete: bool) {
        let engine = Arc::clone(&self.engine);
        let limit = usize::try_from(self.request_body_limit()).unwrap_or(usize::MAX);
        let part = whole.get(..limit).unwrap_or(whole);
        let cut = !complete || part.len() < whole.len();
        if cut {
            self.facts.inbound_error = true;
            self.reached(Limit::RequestBody);
        }
        self.store.allow(part.len());
        self.facts.body_bytes = whole.len() as u64;
        let processor = self.control.request_processor.or(match self.facts.body_type {
            BodyType::UrlEncoded => Some(BodyProcessor::UrlEncoded),
            BodyType::Multipart => Some(BodyProcessor::Multipart),
            BodyType::Unknown => None,
        });
        let no_files = usize::try_from(self.no_files_limit()).unwrap_or(usize::MAX);
        let streams = matches!(processor, Some(BodyProcessor::Multipart) | None);
        match part.get(..no_files).filter(|first| !streams && first.len() < part.len()) {
            Some(first) => {
                self.process(processor, first, &engine);
                self.facts.processor_error = None;
                self.too_long();
            }
            None => self.process(processor, part, &engine),
        }
        if cut && !self.facts.lost {
            // What was cut off cannot end as it should; INBOUND_DATA_ERROR says that there was more.
            self.facts.body_error = None;
            self.facts.processor_error = None;
            self.facts.multipart = body::multipart::Flags::default();
        }
        let raw = matches!(processor, Some(BodyProcessor::UrlEncoded | BodyProcessor::Raw) | None);
        if raw || self.control.force_request_body {
            let span = self.store.keep(part);
            self.facts.body = span;
            let name = Span::default();
            self.store.add_spans(Collection::RequestBody, 0, name, span, &engine.plan);
        }
    }

    fn too_long(&mut self) {
        self.facts.body_error =
            Some("request body without files is longer than SecRequestBodyNoFilesLimit".to_owned());
        self.facts.inbound_error = true;
        self.lost(Some(Limit::RequestBodyNoFiles));
    }

    /// More arguments than `SecArgumentsLimit`, in the query or the body.
    fn too_many(&mut self) {
        let most = self.engine.rules.settings.arguments_max;
        self.facts.body_error = Some(format!("more than {most} arguments (SecArgumentsLimit)"));
        self.lost(Some(Limit::Arguments));
    }

    /// Something that is here was not read, for a limit.
    fn lost(&mut self, limit: Option<Limit>) {
        self.facts.lost |= limit.is_some();
        self.reached_maybe(limit);
    }

    /// `SecRequestBodyNoFilesLimit`; where no file says it, whoever runs the engine may allow more.
    fn no_files_limit(&self) -> u64 {
        let settings = &self.engine.rules.settings;
        settings.request_body_no_files_limit.unwrap_or_else(|| {
            REQUEST_BODY_NO_FILES_BYTES.max(self.control.request_body_shown.unwrap_or_default())
        })
    }

    fn process(&mut self, processor: Option<BodyProcessor>, part: &[u8], engine: &Engine) {
        let settings = &engine.rules.settings;
        let plan = &engine.plan;
        let mut bag = Bag::default();
        // The limit is one for query and body together.
        let asked = self.store.cells_of(&[Collection::ArgsGet]);
        let arguments = settings.arguments_max.saturating_sub(asked.count());
        match processor {
            Some(BodyProcessor::UrlEncoded) => {
                self.facts.processor = "URLENCODED";
                let separator = settings.argument_separator;
                let found = body::urlencoded::parse(part, separator, arguments, &mut bag);
                self.facts.url_encoded_error |= found.invalid_encoding;
                if found.truncated {
                    self.too_many();
                }
                self.add_args(Collection::ArgsPost, Collection::ArgsPostNames, &bag, plan);
            }
            Some(BodyProcessor::Json) => {
                self.facts.processor = "JSON";
                let depth = settings.request_body_json_depth as usize;
                let read = body::json::parse(part, depth, arguments, &mut bag);
                self.add_args(Collection::ArgsPost, Collection::ArgsPostNames, &bag, plan);
                if let Err(error) = read
                    && !part.is_empty()
                {
                    self.lost(error.limit());
                    self.failed(error.to_string());
                }
            }
            Some(BodyProcessor::Xml) => {
                self.facts.processor = "XML";
                let (xml, error) = body::xml::parse(part);
                self.lost(xml.limit);
                self.add_xml(Collection::Xml, &xml, plan);
                if let Some(error) = error {
                    self.failed(error.to_string());
                }
            }
            Some(BodyProcessor::Multipart) => {
                self.facts.processor = "MULTIPART";
                self.process_multipart(part, arguments, engine);
            }
            Some(BodyProcessor::Raw) | None => {}
        }
    }

    fn failed(&mut self, error: String) {
        self.facts.processor_error = Some(error.clone());
        self.facts.body_error = Some(error);
    }

    fn add_xml(&mut self, collection: Collection, xml: &body::xml::Xml, plan: &plan::Plan) {
        self.reached_maybe(xml.limit);
        let mut bag = Bag::default();
        for (number, path) in plan.paths.iter().enumerate() {
            let Ok(number) = u16::try_from(number) else { return };
            bag.clear();
            if !xml.select(path, &mut bag) {
                self.reached(Limit::Elements);
            }
            for (_, value) in bag.iter() {
                let value = self.store.keep(value);
                self.store.add_spans(collection, number, Span::default(), value, plan);
            }
        }
    }

    fn process_multipart(&mut self, part: &[u8], arguments: usize, engine: &Engine) {
        let plan = &engine.plan;
        let settings = &engine.rules.settings;
        let mut read = body::multipart::Multipart::default();
        let header = self
            .store
            .cells_of(&[Collection::RequestHeaders])
            .find(|cell| self.store.text(cell.name).eq_ignore_ascii_case(b"content-type"))
            .map(|cell| self.store.text(cell.value).to_vec())
            .unwrap_or_default();
        let limits = body::multipart::Limits {
            arguments_max: arguments,
            files_max: settings.upload_file_limit,
        };
        body::multipart::parse(&header, part, limits, &mut read);
        self.add_args(Collection::ArgsPost, Collection::ArgsPostNames, &read.args, plan);
        for (field, file) in read.files.iter() {
            let field = self.store.keep(field);
            let file = self.store.keep(file);
            self.store.add_spans(Collection::Files, 0, field, file, plan);
            self.store.add_spans(Collection::FilesNames, 0, field, field, plan);
        }
        if engine.reads_file_contents {
            for (field, content) in read.contents(part) {
                self.store.add(Collection::FilesTmpContent, field, content, plan);
            }
        }
        let lists = [
            (Collection::MultipartName, &read.names),
            (Collection::MultipartFilename, &read.filenames),
            (Collection::MultipartPartHeaders, &read.part_headers),
        ];
        for (collection, list) in lists {
            for (name, value) in list.iter() {
                self.store.add(collection, name, value, plan);
            }
        }
        self.facts.files_bytes = read.files_combined_size as u64;
        self.facts.multipart = read.flags;
        self.facts.file_sizes = read.file_sizes;
        self.lost(read.limit);
        let without_files = read.bytes_without_files as u64;
        if let Some(error) = read.error {
            self.failed(error.to_string());
        } else if without_files > self.no_files_limit() {
            self.too_long();
        }
    }
}

/// Whatever the case.
fn starts_with(value: &[u8], beginning: &[u8]) -> bool {
    value.get(..beginning.len()).is_some_and(|part| part.eq_ignore_ascii_case(beginning))
}

/// A `Host` without its port.
fn host_name(value: &[u8]) -> &[u8] {
    let end = match value {
        [b'[', ..] => value.iter().position(|b| *b == b']').map(|at| at + 1),
        _ => value.iter().position(|b| *b == b':'),
    };
    value.get(..end.unwrap_or(value.len())).unwrap_or(value)
}
