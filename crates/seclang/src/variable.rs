//! What a rule can look at (reference manual, "Variables") and which part of it.

use regex::bytes::Regex;

/// A variable, or a collection of them. The manual's name is [`Collection::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rustfmt::skip]
pub enum Collection {
    // Request: collections.
    Args, ArgsGet, ArgsPost, ArgsNames, ArgsGetNames, ArgsPostNames,
    RequestHeaders, RequestHeadersNames, RequestCookies, RequestCookiesNames,
    Files, FilesNames, FilesSizes, FilesTmpNames, FilesTmpContent,
    MultipartFilename, MultipartName, MultipartPartHeaders, Xml, RequestXml,
    // Request: single values.
    ArgsCombinedSize, FilesCombinedSize, FullRequest, FullRequestLength, QueryString,
    RequestBasename, RequestBody, RequestBodyLength, RequestFilename, RequestLine, RequestMethod,
    RequestProtocol, RequestUri, RequestUriRaw, PathInfo, AuthType, UrlencodedError,
    InboundDataError, ReqbodyError, ReqbodyErrorMsg, ReqbodyProcessor, ReqbodyProcessorError,
    ReqbodyProcessorErrorMsg,
    MultipartBoundaryQuoted, MultipartBoundaryWhitespace, MultipartCrlfLfLines, MultipartDataAfter,
    MultipartDataBefore, MultipartFileLimitExceeded, MultipartHeaderFolding,
    MultipartInvalidHeaderFolding, MultipartInvalidPart, MultipartInvalidQuoting, MultipartLfLine,
    MultipartMissingSemicolon, MultipartStrictError, MultipartUnmatchedBoundary,
    // Response.
    ResponseHeaders, ResponseHeadersNames, ResponseBody, ResponseContentLength,
    ResponseContentType, ResponseProtocol, ResponseStatus, ResponseArgs, ResponseXml,
    OutboundDataError, Status,
    // Connection, server, time.
    RemoteAddr, RemoteHost, RemotePort, RemoteUser, ServerAddr, ServerName, ServerPort,
    UniqueId, Duration, Env, Geo, WebAppId, SessionId, UserId, ModsecBuild, HighestSeverity,
    Time, TimeDay, TimeEpoch, TimeHour, TimeMin, TimeMon, TimeSec, TimeWday, TimeYear,
    // What rules know of each other.
    MatchedVar, MatchedVarName, MatchedVars, MatchedVarsNames, Rule,
    // Collections that rules write.
    Tx, Ip, Session, User, Resource, Global,
}

/// Which values of a collection.
#[derive(Clone, Debug)]
pub enum Selector {
    All,
    /// Compared without regard to ASCII case. In lower case here.
    Name(Vec<u8>),
    /// `COLLECTION:/regex/`.
    Pattern(Regex),
    /// `XML:/*`, `XML://@*`, `XML:/a/b`.
    Path(XmlPath),
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Name(a), Self::Name(b)) => a == b,
            (Self::Pattern(a), Self::Pattern(b)) => a.as_str() == b.as_str(),
            (Self::Path(a), Self::Path(b)) => a == b,
            _ => false,
        }
    }
}

/// The part of XPath that rules use: element steps, `//`, `*`, `@name`, `@*`, `text()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlPath {
    pub text: String,
    pub steps: Vec<XmlStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlStep {
    /// After `//`: at any depth.
    pub anywhere: bool,
    pub part: XmlPart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlPart {
    /// An element by local name; `None` is `*`.
    Element(Option<String>),
    /// An attribute by local name; `None` is `@*`.
    Attribute(Option<String>),
    /// `text()`: each run of text directly inside.
    Text,
}

impl Collection {
    /// The manual's name: `ARGS_GET`.
    pub fn name(self) -> &'static str {
        TABLE.get(self as usize).map_or("", |(_, name, _)| name)
    }

    /// By the manual's name, without regard to case.
    pub fn parse(name: &str) -> Option<Self> {
        let found = TABLE.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        // Two spellings of one flag in ModSecurity v3.
        found.map(|(collection, _, _)| *collection).or_else(|| {
            name.eq_ignore_ascii_case("MULTIPART_SEMICOLON_MISSING")
                .then_some(Self::MultipartMissingSemicolon)
        })
    }

    /// What may stand after its name and `:`.
    pub fn parts(self) -> Parts {
        TABLE.get(self as usize).map_or(Parts::None, |(_, _, parts)| *parts)
    }

    /// Rules may write to it by `setvar` and its like.
    pub fn is_written_by_rules(self) -> bool {
        matches!(
            self,
            Self::Tx | Self::Ip | Self::Session | Self::User | Self::Resource | Self::Global
        )
    }

    /// All names, as the manual has them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, name, _)| *name)
    }
}

/// How a variable's values are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// One value: no selector.
    None,
    /// Named values: a name or a `/regex/`, or all of them.
    Named,
    /// Always one of its named values.
    Needed,
    /// An XPath, or all.
    Path,
}

/// In the order of the enum.
#[rustfmt::skip]
const TABLE: [(Collection, &str, Parts); 104] = [
    (Collection::Args, "ARGS", Parts::Named),
    (Collection::ArgsGet, "ARGS_GET", Parts::Named),
    (Collection::ArgsPost, "ARGS_POST", Parts::Named),
    (Collection::ArgsNames, "ARGS_NAMES", Parts::Named),
    (Collection::ArgsGetNames, "ARGS_GET_NAMES", Parts::Named),
    (Collection::ArgsPostNames, "ARGS_POST_NAMES", Parts::Named),
    (Collection::RequestHeaders, "REQUEST_HEADERS", Parts::Named),
    (Collection::RequestHeadersNames, "REQUEST_HEADERS_NAMES", Parts::Named),
    (Collection::RequestCookies, "REQUEST_COOKIES", Parts::Named),
    (Collection::RequestCookiesNames, "REQUEST_COOKIES_NAMES", Parts::Named),
    (Collection::Files, "FILES", Parts::Named),
    (Collection::FilesNames, "FILES_NAMES", Parts::Named),
    (Collection::FilesSizes, "FILES_SIZES", Parts::Named),
    (Collection::FilesTmpNames, "FILES_TMPNAMES", Parts::Named),
    (Collection::FilesTmpContent, "FILES_TMP_CONTENT", Parts::Named),
    (Collection::MultipartFilename, "MULTIPART_FILENAME", Parts::Named),
    (Collection::MultipartName, "MULTIPART_NAME", Parts::Named),
    (Collection::MultipartPartHeaders, "MULTIPART_PART_HEADERS", Parts::Named),
    (Collection::Xml, "XML", Parts::Path),
    (Collection::RequestXml, "REQUEST_XML", Parts::Path),
    (Collection::ArgsCombinedSize, "ARGS_COMBINED_SIZE", Parts::None),
    (Collection::FilesCombinedSize, "FILES_COMBINED_SIZE", Parts::None),
    (Collection::FullRequest, "FULL_REQUEST", Parts::None),
    (Collection::FullRequestLength, "FULL_REQUEST_LENGTH", Parts::None),
    (Collection::QueryString, "QUERY_STRING", Parts::None),
    (Collection::RequestBasename, "REQUEST_BASENAME", Parts::None),
    (Collection::RequestBody, "REQUEST_BODY", Parts::None),
    (Collection::RequestBodyLength, "REQUEST_BODY_LENGTH", Parts::None),
    (Collection::RequestFilename, "REQUEST_FILENAME", Parts::None),
    (Collection::RequestLine, "REQUEST_LINE", Parts::None),
    (Collection::RequestMethod, "REQUEST_METHOD", Parts::None),
    (Collection::RequestProtocol, "REQUEST_PROTOCOL", Parts::None),
    (Collection::RequestUri, "REQUEST_URI", Parts::None),
    (Collection::RequestUriRaw, "REQUEST_URI_RAW", Parts::None),
    (Collection::PathInfo, "PATH_INFO", Parts::None),
    (Collection::AuthType, "AUTH_TYPE", Parts::None),
    (Collection::UrlencodedError, "URLENCODED_ERROR", Parts::None),
    (Collection::InboundDataError, "INBOUND_DATA_ERROR", Parts::None),
    (Collection::ReqbodyError, "REQBODY_ERROR", Parts::None),
    (Collection::ReqbodyErrorMsg, "REQBODY_ERROR_MSG", Parts::None),
    (Collection::ReqbodyProcessor, "REQBODY_PROCESSOR", Parts::None),
    (Collection::ReqbodyProcessorError, "REQBODY_PROCESSOR_ERROR", Parts::None),
    (Collection::ReqbodyProcessorErrorMsg, "REQBODY_PROCESSOR_ERROR_MSG", Parts::None),
    (Collection::MultipartBoundaryQuoted, "MULTIPART_BOUNDARY_QUOTED", Parts::None),
    (Collection::MultipartBoundaryWhitespace, "MULTIPART_BOUNDARY_WHITESPACE", Parts::None),
    (Collection::MultipartCrlfLfLines, "MULTIPART_CRLF_LF_LINES", Parts::None),
    (Collection::MultipartDataAfter, "MULTIPART_DATA_AFTER", Parts::None),
    (Collection::MultipartDataBefore, "MULTIPART_DATA_BEFORE", Parts::None),
    (Collection::MultipartFileLimitExceeded, "MULTIPART_FILE_LIMIT_EXCEEDED", Parts::None),
    (Collection::MultipartHeaderFolding, "MULTIPART_HEADER_FOLDING", Parts::None),
    (Collection::MultipartInvalidHeaderFolding, "MULTIPART_INVALID_HEADER_FOLDING", Parts::None),
    (Collection::MultipartInvalidPart, "MULTIPART_INVALID_PART", Parts::None),
    (Collection::MultipartInvalidQuoting, "MULTIPART_INVALID_QUOTING", Parts::None),
    (Collection::MultipartLfLine, "MULTIPART_LF_LINE", Parts::None),
    (Collection::MultipartMissingSemicolon, "MULTIPART_MISSING_SEMICOLON", Parts::None),
    (Collection::MultipartStrictError, "MULTIPART_STRICT_ERROR", Parts::None),
    (Collection::MultipartUnmatchedBoundary, "MULTIPART_UNMATCHED_BOUNDARY", Parts::None),
    (Collection::ResponseHeaders, "RESPONSE_HEADERS", Parts::Named),
    (Collection::ResponseHeadersNames, "RESPONSE_HEADERS_NAMES", Parts::Named),
    (Collection::ResponseBody, "RESPONSE_BODY", Parts::None),
    (Collection::ResponseContentLength, "RESPONSE_CONTENT_LENGTH", Parts::None),
    (Collection::ResponseContentType, "RESPONSE_CONTENT_TYPE", Parts::None),
    (Collection::ResponseProtocol, "RESPONSE_PROTOCOL", Parts::None),
    (Collection::ResponseStatus, "RESPONSE_STATUS", Parts::None),
    (Collection::ResponseArgs, "RESPONSE_ARGS", Parts::Named),
    (Collection::ResponseXml, "RESPONSE_XML", Parts::Path),
    (Collection::OutboundDataError, "OUTBOUND_DATA_ERROR", Parts::None),
    (Collection::Status, "STATUS", Parts::None),
    (Collection::RemoteAddr, "REMOTE_ADDR", Parts::None),
    (Collection::RemoteHost, "REMOTE_HOST", Parts::None),
    (Collection::RemotePort, "REMOTE_PORT", Parts::None),
    (Collection::RemoteUser, "REMOTE_USER", Parts::None),
    (Collection::ServerAddr, "SERVER_ADDR", Parts::None),
    (Collection::ServerName, "SERVER_NAME", Parts::None),
    (Collection::ServerPort, "SERVER_PORT", Parts::None),
    (Collection::UniqueId, "UNIQUE_ID", Parts::None),
    (Collection::Duration, "DURATION", Parts::None),
    (Collection::Env, "ENV", Parts::Named),
    (Collection::Geo, "GEO", Parts::Named),
    (Collection::WebAppId, "WEBAPPID", Parts::None),
    (Collection::SessionId, "SESSIONID", Parts::None),
    (Collection::UserId, "USERID", Parts::None),
    (Collection::ModsecBuild, "MODSEC_BUILD", Parts::None),
    (Collection::HighestSeverity, "HIGHEST_SEVERITY", Parts::None),
    (Collection::Time, "TIME", Parts::None),
    (Collection::TimeDay, "TIME_DAY", Parts::None),
    (Collection::TimeEpoch, "TIME_EPOCH", Parts::None),
    (Collection::TimeHour, "TIME_HOUR", Parts::None),
    (Collection::TimeMin, "TIME_MIN", Parts::None),
    (Collection::TimeMon, "TIME_MON", Parts::None),
    (Collection::TimeSec, "TIME_SEC", Parts::None),
    (Collection::TimeWday, "TIME_WDAY", Parts::None),
    (Collection::TimeYear, "TIME_YEAR", Parts::None),
    (Collection::MatchedVar, "MATCHED_VAR", Parts::None),
    (Collection::MatchedVarName, "MATCHED_VAR_NAME", Parts::None),
    (Collection::MatchedVars, "MATCHED_VARS", Parts::Named),
    (Collection::MatchedVarsNames, "MATCHED_VARS_NAMES", Parts::Named),
    (Collection::Rule, "RULE", Parts::Needed),
    (Collection::Tx, "TX", Parts::Named),
    (Collection::Ip, "IP", Parts::Named),
    (Collection::Session, "SESSION", Parts::Named),
    (Collection::User, "USER", Parts::Named),
    (Collection::Resource, "RESOURCE", Parts::Named),
    (Collection::Global, "GLOBAL", Parts::Named),
];

#[cfg(test)]
mod tests;
