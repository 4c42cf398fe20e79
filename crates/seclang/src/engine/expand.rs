//! Variables that are worked out when asked for, and text with `%{…}` in it.

use super::plan;
use super::run::{full_name, selects};
use super::store::Span;
use super::transaction::{Opened, Transaction};
use super::vars::{VARS_MAX, Vars, number};
use crate::bag::Bag;
use crate::rule::{Piece, Step, Text};
use crate::variable::{Collection, Selector};
use crate::verdict::Limit;
use jiff::Timestamp;
use jiff::tz::Offset;

/// The longest text that macros may grow to: a rule that doubles a variable on each match would go on.
pub const EXPANDED_BYTES_MAX: usize = 64 * 1024;

impl Transaction {
    /// The text with what it names put in. What does not exist is empty.
    pub(super) fn expand(&self, text: &Text) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &text.pieces {
            match piece {
                Piece::Literal(literal) => out.extend_from_slice(literal),
                Piece::Value(collection, name) => {
                    self.first(*collection, name.as_deref(), &mut out);
                }
            }
            if out.len() > EXPANDED_BYTES_MAX {
                out.truncate(EXPANDED_BYTES_MAX);
                break;
            }
        }
        out
    }

    /// As [`expand`](Self::expand), and tells when it was cut off.
    pub(super) fn expand_all(&mut self, text: &Text) -> Vec<u8> {
        let out = self.expand(text);
        if out.len() >= EXPANDED_BYTES_MAX {
            self.reached(Limit::Variables);
        }
        out
    }

    /// Appends the first value that a macro names.
    fn first(&self, collection: Collection, name: Option<&[u8]>, out: &mut Vec<u8>) {
        let parts = plan::parts_of(collection);
        if !parts.is_empty() {
            let mut cells = self.store.cells_of(parts);
            let found = cells.find(|cell| {
                name.is_none_or(|name| self.store.text(cell.name).eq_ignore_ascii_case(name))
            });
            if let Some(cell) = found {
                out.extend_from_slice(self.store.text(cell.value));
            }
            return;
        }
        match collection {
            Collection::MatchedVar => {
                if let Some(last) = self.matched.last() {
                    out.extend_from_slice(self.store.text(last.value));
                }
            }
            Collection::MatchedVarName => {
                if let Some(last) = self.matched.last() {
                    out.extend(full_name(last.collection, self.store.text(last.name)));
                }
            }
            _ if self.vars(collection).is_some() => {
                let vars = self.vars(collection);
                let found = name.and_then(|name| vars.and_then(|vars| vars.get(name)));
                out.extend_from_slice(found.unwrap_or_default());
            }
            _ => {
                let selector =
                    name.map_or(Selector::All, |name| Selector::Name(name.to_ascii_lowercase()));
                let mut done = false;
                self.each(collection, &selector, &mut |_, value| {
                    if !done {
                        out.extend_from_slice(value);
                        done = true;
                    }
                });
            }
        }
    }

    /// The values of a collection that is not in the store, as they are now.
    pub(super) fn values(&mut self, collection: Collection, selector: &Selector) -> Bag {
        let mut bag = std::mem::take(&mut self.bag);
        bag.clear();
        self.each(collection, selector, &mut |name, value| bag.push(name, value));
        bag
    }

    pub(super) fn count_of(&self, collection: Collection, selector: &Selector) -> usize {
        let mut count = 0;
        self.each(collection, selector, &mut |_, _| count += 1);
        count
    }

    pub(super) fn selector_name(&mut self, selector: &Selector) -> Span {
        match selector {
            Selector::All => Span::default(),
            Selector::Name(name) => self.store.keep(name),
            Selector::Pattern(pattern) => self.store.keep(pattern.as_str().as_bytes()),
            Selector::Path(path) => self.store.keep(path.text.as_bytes()),
        }
    }

    /// The collection as rules write it, if they can and it is open.
    pub(super) fn vars(&self, collection: Collection) -> Option<&Vars> {
        match collection {
            Collection::Tx => Some(&self.tx),
            Collection::Env => Some(&self.env),
            _ => self
                .opened
                .iter()
                .find(|opened| opened.collection == collection)
                .map(|opened| &opened.now.vars),
        }
    }

    pub(super) fn vars_mut(&mut self, collection: Collection) -> Option<&mut Vars> {
        match collection {
            Collection::Tx => Some(&mut self.tx),
            Collection::Env => Some(&mut self.env),
            _ => self
                .opened
                .iter_mut()
                .find(|opened| opened.collection == collection)
                .map(|opened| &mut opened.now.vars),
        }
    }

    pub(super) fn open(&mut self, collection: Collection, key: &Text) {
        let key = self.expand_all(key);
        if key.is_empty() || self.opened.iter().any(|opened| opened.collection == collection) {
            return;
        }
        let before = self.memory.open(collection, &key, self.facts.time_ms);
        self.opened.push(Opened { collection, key, now: before.clone(), before });
    }

    pub(super) fn expire(&mut self, collection: Collection, name: &Text, seconds: &Text) {
        let name = self.expand(name).to_ascii_lowercase();
        let seconds = number(&self.expand(seconds));
        let until = self.facts.time_ms.saturating_add(seconds.saturating_mul(1000));
        let opened = self.opened.iter_mut().find(|opened| opened.collection == collection);
        if let Some(opened) = opened {
            opened.now.expires.retain(|(known, _)| *known != name);
            if opened.now.expires.len() < VARS_MAX {
                opened.now.expires.push((name, until));
            } else {
                self.reached(Limit::Variables);
            }
        }
    }

    /// `deprecatevar:session.score=60/300`: 60 less for each 300 s since the collection was last written.
    /// Nothing tells when that was within one transaction, so it is the memory that lets values sink.
    pub(super) fn deprecate(
        &mut self,
        collection: Collection,
        name: &Text,
        amount: u64,
        seconds: u64,
    ) {
        let name = self.expand(name).to_ascii_lowercase();
        let opened = self.opened.iter_mut().find(|opened| opened.collection == collection);
        if let Some(opened) = opened {
            opened.now.sinks.retain(|(known, _, _)| *known != name);
            if opened.now.sinks.len() < VARS_MAX {
                opened.now.sinks.push((name, amount, seconds));
            } else {
                self.reached(Limit::Variables);
            }
        }
    }

    /// Calls `found` with the name and value of each of a collection's values.
    fn each(
        &self,
        collection: Collection,
        selector: &Selector,
        found: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        use Collection as C;
        let facts = &self.facts;
        let mut one = |value: &[u8]| found(b"", value);
        let flag = |on: bool| if on { b"1" as &[u8] } else { b"0" };
        let decimal = |value: u64| value.to_string().into_bytes();
        let multipart = &facts.multipart;
        match collection {
            C::ArgsCombinedSize => one(&decimal(facts.args_bytes)),
            C::FilesCombinedSize => one(&decimal(facts.files_bytes)),
            C::RequestBodyLength => one(&decimal(facts.body_bytes)),
            C::RequestMethod => one(self.store.text(facts.method)),
            C::RequestProtocol => one(self.store.text(facts.protocol)),
            C::PathInfo => one(self.store.text(facts.path_info)),
            C::AuthType => one(self.store.text(facts.auth_type)),
            C::RemoteUser => one(self.store.text(facts.remote_user)),
            C::UrlencodedError => one(flag(facts.url_encoded_error)),
            C::InboundDataError => one(flag(facts.inbound_error)),
            C::OutboundDataError => one(flag(facts.outbound_error)),
            C::ReqbodyError => one(flag(facts.body_error.is_some())),
            C::ReqbodyErrorMsg => one(facts.body_error.as_deref().unwrap_or_default().as_bytes()),
            C::ReqbodyProcessor => one(facts.processor.as_bytes()),
            C::ReqbodyProcessorError => one(flag(facts.processor_error.is_some())),
            C::ReqbodyProcessorErrorMsg => {
                one(facts.processor_error.as_deref().unwrap_or_default().as_bytes());
            }
            C::MultipartBoundaryQuoted => one(flag(multipart.boundary_quoted)),
            C::MultipartBoundaryWhitespace => one(flag(multipart.boundary_whitespace)),
            C::MultipartCrlfLfLines => one(flag(multipart.crlf_lf_lines())),
            C::MultipartDataAfter => one(flag(multipart.data_after)),
            C::MultipartDataBefore => one(flag(multipart.data_before)),
            C::MultipartFileLimitExceeded => one(flag(multipart.file_limit_exceeded)),
            C::MultipartHeaderFolding => one(flag(multipart.header_folding)),
            C::MultipartInvalidHeaderFolding => one(flag(multipart.invalid_header_folding)),
            C::MultipartInvalidPart => one(flag(multipart.invalid_part)),
            C::MultipartInvalidQuoting => one(flag(multipart.invalid_quoting)),
            C::MultipartLfLine => one(flag(multipart.lf_line)),
            C::MultipartMissingSemicolon => one(flag(multipart.missing_semicolon)),
            C::MultipartStrictError => one(flag(multipart.strict_error())),
            C::MultipartUnmatchedBoundary => one(&decimal(u64::from(multipart.unmatched_boundary))),
            C::FullRequest => one(&self.full_request()),
            C::FullRequestLength => one(&decimal(self.full_request().len() as u64)),
            C::ResponseContentLength => one(&decimal(facts.response_bytes)),
            C::ResponseContentType => one(self.store.text(facts.response_type)),
            C::ResponseProtocol => one(self.store.text(facts.response_protocol)),
            C::ResponseStatus | C::Status if facts.status > 0 => {
                one(&decimal(u64::from(facts.status)));
            }
            C::RemoteAddr | C::RemoteHost => one(facts.client.to_string().as_bytes()),
            C::RemotePort => one(&decimal(u64::from(facts.client_port))),
            C::ServerAddr => one(facts.server.to_string().as_bytes()),
            C::ServerPort => one(&decimal(u64::from(facts.server_port))),
            C::ServerName => one(self.store.text(facts.server_name)),
            C::UniqueId => one(facts.unique_id.as_bytes()),
            C::WebAppId => one(self.engine.rules.settings.web_app_id.as_bytes()),
            C::ModsecBuild => one(b"030000000"),
            C::HighestSeverity => {
                let number = self.highest.map_or(255, |severity| severity as u64);
                one(&decimal(number));
            }
            C::SessionId | C::UserId => {
                let of = if collection == C::SessionId { C::Session } else { C::User };
                if let Some(opened) = self.opened.iter().find(|o| o.collection == of) {
                    one(&opened.key);
                }
            }
            C::FilesSizes => {
                for (name, size) in facts.file_sizes.iter() {
                    if selects(selector, None, 0, name) {
                        found(name, size);
                    }
                }
            }
            C::MatchedVar => {
                if let Some(last) = self.matched.last() {
                    one(self.store.text(last.value));
                }
            }
            C::MatchedVarName => {
                if let Some(last) = self.matched.last() {
                    one(&full_name(last.collection, self.store.text(last.name)));
                }
            }
            C::MatchedVars | C::MatchedVarsNames => {
                for matched in &self.matched {
                    let full = full_name(matched.collection, self.store.text(matched.name));
                    if selects(selector, None, 0, &full) {
                        match collection {
                            C::MatchedVars => found(&full, self.store.text(matched.value)),
                            _ => found(&full, &full),
                        }
                    }
                }
            }
            C::Time
            | C::TimeDay
            | C::TimeEpoch
            | C::TimeHour
            | C::TimeMin
            | C::TimeMon
            | C::TimeSec
            | C::TimeWday
            | C::TimeYear => one(self.time(collection).as_bytes()),
            C::Rule => self.each_of_rule(selector, found),
            _ => match (self.vars(collection), selector) {
                (None, _) => {}
                (Some(vars), Selector::Name(name)) => {
                    if let Some(value) = vars.get(name) {
                        found(name, value);
                    }
                }
                (Some(vars), _) => {
                    for (name, value) in vars.iter() {
                        if selects(selector, None, 0, name) {
                            found(name, value);
                        }
                    }
                }
            },
        }
    }

    fn each_of_rule(&self, selector: &Selector, found: &mut dyn FnMut(&[u8], &[u8])) {
        let rule = self.current.and_then(|(phase, position)| {
            match self.engine.rules.phases.get(phase)?.get(position)? {
                Step::Rule(rule) => Some(rule),
                Step::Marker(_) => None,
            }
        });
        let Some(rule) = rule else { return };
        let link = rule.links.first();
        let text = |text: Option<&Text>| text.and_then(Text::literal).unwrap_or_default().to_vec();
        let parts: [(&[u8], Vec<u8>); 5] = [
            (b"id", rule.id.to_string().into_bytes()),
            (b"rev", rule.revision.clone().into_bytes()),
            (
                b"severity",
                rule.severity.map_or_else(Vec::new, |s| (s as u8).to_string().into_bytes()),
            ),
            (b"msg", text(link.and_then(|link| link.message.as_ref()))),
            (b"logdata", text(link.and_then(|link| link.log_data.as_ref()))),
        ];
        for (name, value) in parts {
            if selects(selector, None, 0, name) {
                found(name, &value);
            }
        }
    }

    fn full_request(&self) -> Vec<u8> {
        use Collection as C;
        let mut whole = Vec::new();
        let line = self.store.cells_of(&[C::RequestLine]).next();
        if let Some(cell) = line {
            whole.extend_from_slice(self.store.text(cell.value));
            whole.extend_from_slice(b"\n");
        }
        for cell in self.store.cells_of(&[C::RequestHeaders]) {
            whole.extend_from_slice(self.store.text(cell.name));
            whole.extend_from_slice(b": ");
            whole.extend_from_slice(self.store.text(cell.value));
            whole.extend_from_slice(b"\n");
        }
        whole.extend_from_slice(b"\n");
        whole.extend_from_slice(self.store.text(self.facts.body));
        whole
    }

    /// The site's own clock. Months count from 0 as in ModSecurity; Sunday is 0.
    fn time(&self, part: Collection) -> String {
        use Collection as C;
        let Ok(now) = Timestamp::from_millisecond(self.facts.time_ms) else { return String::new() };
        let offset = Offset::from_seconds(self.facts.utc_offset_secs).unwrap_or(Offset::UTC);
        let local = offset.to_datetime(now);
        match part {
            C::Time => {
                format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second())
            }
            C::TimeDay => local.day().to_string(),
            C::TimeEpoch => now.as_second().to_string(),
            C::TimeHour => local.hour().to_string(),
            C::TimeMin => local.minute().to_string(),
            C::TimeMon => (local.month() - 1).to_string(),
            C::TimeSec => local.second().to_string(),
            C::TimeWday => local.weekday().to_sunday_zero_offset().to_string(),
            _ => local.year().to_string(),
        }
    }
}
