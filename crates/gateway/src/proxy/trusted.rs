//! Performs trust decisions on what goes through: before a request passes, on the head of its
//! response, and while either body flows.

use super::body::ReplyBody;
use super::gate;
use super::live::Live;
use super::problem::Problem;
use super::record::OpenExchange;
use super::shared::{Shared, now};
use crate::enforce::RequestKeys;
use crate::evidence::{self, Trusted};
use crate::trust::{
    Decision, End, Held, LARGE_TRANSFER_BYTES, Obligation, Obligations, Question, Refused, Ticket,
    Way,
};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response};
use std::sync::Arc;
use std::time::Instant;

/// Carries the decision's id with a response that is to be marked.
pub const WATERMARK: HeaderName = HeaderName::from_static("plura-watermark");
/// A response of this size is a download whatever its type: 10 MiB, more than a page and its script.
pub const DOWNLOAD_BYTES: u64 = 10 * 1024 * 1024;
/// Types that are files rather than pages (IANA media types). A prefix ends with `.` or `/`.
pub const DOWNLOAD_TYPES: [&str; 27] = [
    "application/octet-stream",
    "application/zip",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-7z-compressed",
    "application/vnd.rar",
    "application/x-rar-compressed",
    "application/x-bzip2",
    "application/x-xz",
    "application/zstd",
    "application/pdf",
    "application/msword",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-outlook",
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.apache.parquet",
    "application/vnd.sqlite3",
    "application/sql",
    "application/x-hwp",
    "application/haansoft-hwp",
    "application/vnd.hancom.",
    "text/csv",
    "multipart/byteranges",
];

/// What a request that passed goes on under.
pub struct Standing {
    question: Arc<Question>,
    decision: Option<Arc<Decision>>,
    due: Option<Instant>,
    /// How many changes had been told when it was decided.
    changes: u64,
}

impl Standing {
    fn has(&self, obligation: Obligation) -> bool {
        self.decision.as_ref().is_some_and(|d| d.obligations.contains(obligation))
    }

    /// The largest request body that may pass.
    pub fn request_bytes_max(&self) -> Option<u64> {
        self.has(Obligation::BlockLargeTransfer).then_some(LARGE_TRANSFER_BYTES)
    }

    /// What a tunnel may carry both ways, and what is in the way of more: what it carries cannot be
    /// told apart.
    pub fn tunnel_bytes_max(&self) -> Option<(u64, Held)> {
        self.response_bytes_max()
    }

    /// The largest response body that may pass, and what is in the way of a larger one.
    pub fn response_bytes_max(&self) -> Option<(u64, Held)> {
        if self.has(Obligation::DownloadBlock) {
            Some((DOWNLOAD_BYTES, held(Obligation::DownloadBlock)))
        } else if self.has(Obligation::BlockLargeTransfer) {
            Some((LARGE_TRANSFER_BYTES, held(Obligation::BlockLargeTransfer)))
        } else {
            None
        }
    }
}

fn held(obligation: Obligation) -> Held {
    let refused = match obligation {
        Obligation::DownloadBlock => Refused::DownloadBlocked,
        _ => Refused::TransferBlocked,
    };
    Held::new(refused, obligation.id())
}

/// Asks whether a request may pass; `Err` is the answer to one that may not, already in its record.
pub async fn admit(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
    keys: RequestKeys,
) -> Result<(), Box<Response<ReplyBody>>> {
    let site = Arc::clone(open.site());
    // A site with trust is refused without a server to ask.
    let (Some(asker), Some(trust)) = (&shared.trust, &site.trust) else { return Ok(()) };
    if evidence::plain_path(&open.exchange.request.path).is_err() {
        // To decide about one reading of it would let the other pass.
        let held = Held::new(Refused::Denied, "ambiguous-path");
        open.exchange.trust = Some(Trusted {
            decision: None,
            performed: Obligations::default(),
            held: Some(held),
            is_unavailable: false,
            ended: None,
        });
        asker.metrics.refused(held.refused);
        return Err(refuse(live, open, &held, None));
    }
    let changes = asker.streams.changes();
    let question = Arc::new(Question::new(&site, keys, &open.exchange.request));
    let answer = asker.ask(&question, trust.timeout).await;
    let head = &open.exchange.request;
    let way = Way {
        is_open: &|| site.is_step_up_open(head.method.as_str(), &head.path),
        is_sign_in: &|| evidence::is_sign_in(head, &site.evidence),
        is_under_way: false,
    };
    let verdict = asker.judge(answer, &question, now(), &way);
    if verdict.is_unavailable && verdict.result.is_ok() {
        asker.metrics.passed_unavailable.add(1);
    }
    open.exchange.trust = Some(Trusted {
        decision: verdict.decision.clone(),
        performed: verdict.performed,
        held: verdict.result.err(),
        is_unavailable: verdict.is_unavailable,
        ended: None,
    });
    if let Err(held) = verdict.result {
        asker.metrics.refused(held.refused);
        return Err(refuse(live, open, &held, verdict.decision.as_deref()));
    }
    open.standing =
        Some(Standing { question, decision: verdict.decision, due: verdict.due, changes });
    Ok(())
}

/// The answer to a request that is held back.
fn refuse(
    live: &Live,
    open: &mut OpenExchange,
    held: &Held,
    decision: Option<&Decision>,
) -> Box<Response<ReplyBody>> {
    let problem = Problem {
        reference: decision.map(|decision| &*decision.id),
        reason: Some(held.reason),
        retry_after_secs: held.retry_after_secs,
        ..Problem::new(held.refused.status(), held.refused.code())
    };
    match held.refused {
        Refused::StepUp | Refused::SessionExpired => {
            let site = Arc::clone(open.site());
            let mut response = gate::ask_for_step_up(live, open, &site, problem);
            if held.refused == Refused::SessionExpired {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            response
        }
        _ => gate::own(live, open, problem),
    }
}

/// Performs what concerns a response, on its head. `Err` takes its place.
pub fn respond(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
    headers: &mut HeaderMap,
    has_body: bool,
) -> Result<(), Box<Response<ReplyBody>>> {
    let Some(standing) = &open.standing else { return Ok(()) };
    let large = |max: u64| whole_length(headers).is_some_and(|length| length > max);
    let blocked = if !has_body {
        None
    } else if standing.has(Obligation::DownloadBlock)
        && (is_download(headers) || large(DOWNLOAD_BYTES))
    {
        Some(held(Obligation::DownloadBlock))
    } else if standing.has(Obligation::BlockLargeTransfer) && large(LARGE_TRANSFER_BYTES) {
        Some(held(Obligation::BlockLargeTransfer))
    } else {
        None
    };
    if let Some(held) = blocked {
        let decision = standing.decision.clone();
        note(shared, open, held);
        return Err(refuse(live, open, &held, decision.as_deref()));
    }
    if standing.has(Obligation::Watermark)
        && let Some(mark) =
            standing.decision.as_ref().and_then(|d| HeaderValue::from_str(&d.id).ok())
    {
        headers.insert(WATERMARK, mark);
        if let Some(trusted) = &mut open.exchange.trust {
            trusted.performed.insert(Obligation::Watermark);
        }
    }
    Ok(())
}

/// An upload that turned out larger than it may be.
pub fn refuse_upload(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
) -> Option<Box<Response<ReplyBody>>> {
    let standing = open.standing.as_ref()?;
    let seen = open.request_tap.as_ref()?.see(&[]);
    if standing.request_bytes_max().is_none_or(|max| seen <= max) {
        return None;
    }
    let decision = standing.decision.clone();
    let held = held(Obligation::BlockLargeTransfer);
    note(shared, open, held);
    Some(refuse(live, open, &held, decision.as_deref()))
}

fn note(shared: &Shared, open: &mut OpenExchange, held: Held) {
    if let Some(asker) = &shared.trust {
        asker.metrics.refused(held.refused);
    }
    if let Some(trusted) = &mut open.exchange.trust {
        trusted.held = Some(held);
    }
}

/// What flows turned out larger than it may be: on record, and counted.
pub fn cut_off(shared: &Shared, open: &mut OpenExchange, held: Held) {
    if let Some(asker) = &shared.trust {
        asker.metrics.refused(held.refused);
        asker.metrics.streams_ended.add(1);
    }
    if let Some(trusted) = &mut open.exchange.trust {
        trusted.ended = Some((held, trusted.decision.clone()));
    }
}

/// What flows was ended by a new decision: on record, with that decision.
pub fn note_end(open: &mut OpenExchange, end: &End) {
    if let Some(trusted) = &mut open.exchange.trust {
        trusted.ended = Some((end.held, end.decision.clone()));
    }
}

/// Whether something was to be reconsidered since it was decided about this exchange.
pub fn has_changed(shared: &Shared, open: &OpenExchange) -> bool {
    open.standing.as_ref().is_some_and(|standing| {
        shared.trust.as_ref().is_some_and(|asker| asker.streams.changes() != standing.changes)
    })
}

/// Has a response or tunnel watched while it is under way.
pub fn watch(shared: &Shared, open: &OpenExchange) -> Option<Ticket> {
    let (asker, standing) = (shared.trust.as_ref()?, open.standing.as_ref()?);
    let head = &open.exchange.request;
    let is_open = open.site().is_step_up_open(head.method.as_str(), &head.path);
    let is_download = is_download(&open.exchange.response_headers);
    let Standing { question, due, changes, .. } = standing;
    Some(asker.streams.register(question, *due, *changes, is_open, is_download))
}

/// A file rather than a page: an attachment (RFC 6266), or of a type that is one.
fn is_download(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let first = |bytes: &[u8]| -> String {
        let end = bytes.iter().position(|b| *b == b';').unwrap_or(bytes.len());
        let word = bytes.get(..end).unwrap_or_default().trim_ascii();
        String::from_utf8_lossy(word).to_ascii_lowercase()
    };
    let disposition = first(text(CONTENT_DISPOSITION));
    // An unknown disposition counts as an attachment (RFC 6266 §4.2).
    if !disposition.is_empty() && disposition != "inline" {
        return true;
    }
    let kind = first(text(CONTENT_TYPE));
    DOWNLOAD_TYPES.iter().any(|download| {
        if download.ends_with('.') { kind.starts_with(download) } else { kind == *download }
    })
}

/// The length of the whole, also where only a range of it is sent: many ranges make one download.
fn whole_length(headers: &HeaderMap) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let sent = text(CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
    let whole = text(CONTENT_RANGE)
        .and_then(|range| range.rsplit('/').next())
        .and_then(|whole| whole.trim().parse::<u64>().ok());
    sent.max(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_file_is_told_from_a_page() {
        for (line, expected) in [
            (("content-type", "text/html; charset=utf-8"), false),
            (("content-type", "application/json"), false),
            (("content-type", "image/png"), false),
            (("content-type", "Application/ZIP; x=y"), true),
            (("content-type", "text/csv;charset=utf-8"), true),
            (
                (
                    "content-type",
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                ),
                true,
            ),
            (("content-disposition", "inline; filename=a.png"), false),
            (("content-disposition", "ATTACHMENT;filename=a"), true),
            (("content-disposition", "form-data"), true),
        ] {
            assert_eq!(is_download(&headers(&[line])), expected, "{line:?}");
        }
    }

    #[test]
    fn a_range_counts_as_the_whole_it_is_part_of() {
        let length = |lines: &[(&'static str, &'static str)]| whole_length(&headers(lines));
        assert_eq!(length(&[]), None);
        assert_eq!(length(&[("content-length", "10")]), Some(10));
        let range = ("content-range", "bytes 0-9/1000");
        assert_eq!(length(&[("content-length", "10"), range]), Some(1000));
        assert_eq!(length(&[("content-range", "bytes 0-9/*"), ("content-length", "10")]), Some(10));
    }
}
