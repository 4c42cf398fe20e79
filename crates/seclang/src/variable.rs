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
