//! Answers of our own, as problem+json (RFC 9457) in the reader's language.

use crate::enforce::Cause;
use crate::proxy::body::ReplyBody;
use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE,
    HeaderValue, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};

/// Permanent codes of answers that are not refusals.
pub mod code {
    pub const UNKNOWN_HOST: &str = "unknown-host";
    pub const UPSTREAM_UNREACHABLE: &str = "upstream-unreachable";
    pub const UPSTREAM_TIMEOUT: &str = "upstream-timeout";
    pub const UPSTREAM_BROKEN: &str = "upstream-broken";
    pub const SERVER_UNREACHABLE: &str = "server-unreachable";
    pub const LIMITED: &str = "rate-limited";
    pub const STEP_UP: &str = "step-up-required";
    pub const ISOLATED: &str = "isolated";
    pub const BLOCKED: &str = "blocked";
    pub const REVOKED: &str = "credential-revoked";
    pub const WAF_BLOCKED: &str = "waf-blocked";
    pub const WAF_UNINSPECTED: &str = "waf-uninspected";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Korean,
    Japanese,
}

impl Language {
    const ALL: [(Language, &'static str); 3] =
        [(Language::English, "en"), (Language::Korean, "ko"), (Language::Japanese, "ja")];

    fn tag(self) -> &'static str {
        Self::ALL.iter().find(|(l, _)| *l == self).map_or("en", |(_, tag)| tag)
    }

    /// The best of ours that `Accept-Language` (RFC 9110 §12.5.4) asks for; English otherwise.
    pub fn of(headers: &HeaderMap) -> Language {
        let wish = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or("");
        let mut best = (Language::English, 0u32);
        // More ranges than this are not a reader's.
        for range in wish.split(',').take(16) {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or("").trim().to_ascii_lowercase();
            let primary = tag.split('-').next().unwrap_or("");
            let weight = parts
                .find_map(|p| p.trim().strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse::<f32>().ok())
                .map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32);
            if let Some((language, _)) = Self::ALL.iter().find(|(_, t)| *t == primary)
                && weight > best.1
            {
                best = (*language, weight);
            }
        }
        best.0
    }
}

/// One answer on its way to a client.
pub struct Problem<'a> {
    pub status: StatusCode,
    pub code: &'a str,
    /// The action it is due to: a reference for the reader to ask by.
    pub cause: Option<&'a Cause>,
    /// The same where a trust decision is behind it.
    pub reference: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub retry_after_secs: Option<u64>,
    /// Where to prove who they are.
    pub step_up_url: Option<&'a str>,
    /// End the connection after this answer.
    pub close: bool,
}

impl<'a> Problem<'a> {
    pub fn new(status: StatusCode, code: &'a str) -> Self {
        Problem {
            status,
            code,
            cause: None,
            reference: None,
            reason: None,
            retry_after_secs: None,
            step_up_url: None,
            close: false,
        }
    }

    pub fn caused_by(self, cause: &'a Cause) -> Self {
        Problem { cause: Some(cause), ..self }
    }

    pub fn close(self) -> Self {
        Problem { close: true, ..self }
    }

    /// Also returns the body, for the record.
    pub fn answer(self, request_headers: &HeaderMap) -> (Response<ReplyBody>, Bytes) {
        let language = Language::of(request_headers);
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("type", Value::from(format!("urn:plura:problem:{}", self.code)));
        put("title", Value::from(sentence(self.code, language)));
        put("status", Value::from(self.status.as_u16()));
        put("code", Value::from(self.code));
        if let Some(cause) = self.cause {
            put("reference", Value::from(cause.action.to_string()));
            put("reason", Value::from(cause.reason.as_str()));
        }
        if let Some(reference) = self.reference {
            put("reference", Value::from(reference));
        }
        if let Some(reason) = self.reason {
            put("reason", Value::from(reason));
        }
        if let Some(secs) = self.retry_after_secs {
            put("retry_after", Value::from(secs));
        }
        if let Some(url) = self.step_up_url {
            put("step_up_url", Value::from(url));
        }
        let body = Bytes::from(Value::Object(object).to_string());

        let mut response = Response::new(ReplyBody::full(body.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(VARY, HeaderValue::from_static("accept-language"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        (response, body)
    }
}

/// The last event of a stream that is cut off: libraries for models raise `error.message`.
pub fn last_event(code: &str, reference: Option<&str>, request_headers: &HeaderMap) -> Bytes {
    let mut error = Map::new();
    error.insert("message".to_owned(), sentence(code, Language::of(request_headers)).into());
    error.insert("type".to_owned(), format!("urn:plura:problem:{code}").into());
    error.insert("code".to_owned(), code.into());
    if let Some(reference) = reference {
        error.insert("reference".to_owned(), reference.into());
    }
    let data = Value::Object(Map::from_iter([("error".to_owned(), Value::Object(error))]));
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}

/// What a person reads. Refusals of malformed requests share one sentence: their code says the rest.
fn sentence(code: &str, language: Language) -> &'static str {
    let [english, korean, japanese] = match code {
        code::UNKNOWN_HOST => [
            "This host is not served here.",
            "이 주소의 서비스는 여기에 없습니다.",
            "このホストはここでは提供されていません。",
        ],
        code::UPSTREAM_UNREACHABLE | code::UPSTREAM_BROKEN => [
            "The service cannot be reached right now. Please try again later.",
            "지금 서비스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
            "現在サービスに接続できません。しばらくしてからもう一度お試しください。",
        ],
        code::UPSTREAM_TIMEOUT => [
            "The service took too long to answer. Please try again later.",
            "서비스 응답이 너무 늦습니다. 잠시 후 다시 시도해 주세요.",
            "サービスの応答に時間がかかりすぎています。しばらくしてからもう一度お試しください。",
        ],
        code::SERVER_UNREACHABLE => [
            "The service is paused for its protection. Please try again later.",
            "보호를 위해 서비스가 잠시 중지되었습니다. 잠시 후 다시 시도해 주세요.",
            "保護のためサービスを一時停止しています。しばらくしてからもう一度お試しください。",
        ],
        code::LIMITED => [
            "Too many requests. Please wait before trying again.",
            "요청이 너무 많습니다. 잠시 기다린 후 다시 시도해 주세요.",
            "リクエストが多すぎます。しばらく待ってからもう一度お試しください。",
        ],
        code::STEP_UP => [
            "Please confirm that it is you before going on.",
            "계속하려면 본인 확인이 필요합니다.",
            "続けるには本人確認が必要です。",
        ],
        code::ISOLATED => [
            "Access is restricted for now. Please contact the operator with the reference.",
            "접근이 일시적으로 제한되었습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "アクセスは一時的に制限されています。参照番号を添えて運営者にお問い合わせください。",
        ],
        code::BLOCKED => [
            "Access was blocked. Please contact the operator with the reference.",
            "접근이 차단되었습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "アクセスはブロックされました。参照番号を添えて運営者にお問い合わせください。",
        ],
        code::REVOKED => [
            "This key or session is no longer accepted. Please sign in again or get a new key.",
            "이 키 또는 세션은 더 이상 사용할 수 없습니다. 다시 로그인하거나 새 키를 발급받아 주세요.",
            "このキーまたはセッションは使用できなくなりました。再度ログインするか、新しいキーを取得してください。",
        ],
        code::WAF_BLOCKED => [
            "The request was blocked. If you think this is a mistake, please contact the operator with the reference.",
            "요청이 차단되었습니다. 잘못된 차단이라고 생각되면 참조 번호로 운영자에게 문의해 주세요.",
            "リクエストはブロックされました。誤りと思われる場合は、参照番号を添えて運営者にお問い合わせください。",
        ],
        code::WAF_UNINSPECTED => [
            "The request could not be checked completely and was not passed on. Please contact the operator with the reference.",
            "요청을 완전히 검사할 수 없어 전달하지 않았습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "リクエストを完全に検査できないため、転送しませんでした。参照番号を添えて運営者にお問い合わせください。",
        ],
        code if code.starts_with("trust-") => trust_sentence(code),
        _ => [
            "The request could not be understood and was not passed on.",
            "요청을 해석할 수 없어 전달하지 않았습니다.",
            "リクエストを解釈できないため、転送しませんでした。",
        ],
    };
    match language {
        Language::English => english,
        Language::Korean => korean,
        Language::Japanese => japanese,
    }
}

/// As [`sentence`], for requests that are not trusted (`trust/refused.rs`).
fn trust_sentence(code: &str) -> [&'static str; 3] {
    match code {
        "trust-step-up" => [
            "Please confirm that it is you before going on.",
            "계속하려면 본인 확인이 필요합니다.",
            "続けるには本人確認が必要です。",
        ],
        "trust-session-expired" => [
            "Your session has lasted long enough. Please sign in again.",
            "세션이 만료되었습니다. 다시 로그인해 주세요.",
            "セッションの有効期間が終わりました。もう一度ログインしてください。",
        ],
        "trust-session-terminated" => [
            "This session was ended for your protection. Please contact the operator with the reference.",
            "보호를 위해 이 세션이 종료되었습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "保護のためこのセッションは終了しました。参照番号を添えて運営者にお問い合わせください。",
        ],
        "trust-isolated" => [
            "Access is restricted for now. Please contact the operator with the reference.",
            "접근이 일시적으로 제한되었습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "アクセスは一時的に制限されています。参照番号を添えて運営者にお問い合わせください。",
        ],
        "trust-read-only" => [
            "You can view this for now, but not change it.",
            "지금은 조회만 가능하며 변경할 수 없습니다.",
            "現在は閲覧のみ可能で、変更はできません。",
        ],
        "trust-download-blocked" => [
            "Downloads are blocked for this access.",
            "현재 접속에서는 다운로드가 차단되어 있습니다.",
            "このアクセスではダウンロードがブロックされています。",
        ],
        "trust-transfer-blocked" => [
            "Large transfers are blocked for this access.",
            "현재 접속에서는 대용량 전송이 차단되어 있습니다.",
            "このアクセスでは大容量の転送がブロックされています。",
        ],
        "trust-throttled" => [
            "Too many requests. Please wait before trying again.",
            "요청이 너무 많습니다. 잠시 기다린 후 다시 시도해 주세요.",
            "リクエストが多すぎます。しばらく待ってからもう一度お試しください。",
        ],
        "trust-unavailable" => [
            "Access cannot be checked right now. Please try again in a moment.",
            "지금은 접근 권한을 확인할 수 없습니다. 잠시 후 다시 시도해 주세요.",
            "現在アクセス権を確認できません。しばらくしてからもう一度お試しください。",
        ],
        _ => [
            "Access was denied. Please contact the operator with the reference.",
            "접근이 거부되었습니다. 참조 번호로 운영자에게 문의해 주세요.",
            "アクセスは拒否されました。参照番号を添えて運営者にお問い合わせください。",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Refused;

    #[test]
    fn every_trust_refusal_has_its_own_sentence() {
        let general = trust_sentence("");
        for refused in Refused::ALL {
            let own = trust_sentence(refused.code());
            assert_eq!(own == general, *refused == Refused::Denied, "{refused:?}");
        }
    }

    #[test]
    fn the_reader_gets_the_language_they_ask_for() {
        let cases = [
            ("", "en"),
            ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
            ("fr, en;q=0.4, ja;q=0.7", "ja"),
            ("ko;q=0, en", "en"),
            ("*", "en"),
        ];
        for (wish, tag) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(wish));
            assert_eq!(Language::of(&headers).tag(), tag, "{wish}");
        }
    }
}
