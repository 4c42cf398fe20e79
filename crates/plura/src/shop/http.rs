use serde_json::Value;
use std::collections::BTreeMap;

/// A request as the application sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    pub method: String,
    pub host: String,
    /// Without the query.
    pub path: String,
    pub query: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.header("cookie")?
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.to_owned())
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        decode_pairs(&String::from_utf8_lossy(&self.body))
    }

    pub fn query_value(&self, name: &str) -> Option<String> {
        decode_pairs(self.query.as_deref()?).remove(name)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The file name of the first file part, its folders cut off.
    pub fn multipart_file_name(&self) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let (_, rest) = body.split_once("filename=\"")?;
        let (name, _) = rest.split_once('"')?;
        let name = name.rsplit(['/', '\\']).next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (!name.is_empty() && name.len() <= 128 && name.chars().all(plain)).then(|| name.to_owned())
    }
}

impl Response {
    pub fn json(status: u16, value: &Value) -> Self {
        Response::text(status, "application/json", &value.to_string())
    }

    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Response {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// `application/x-www-form-urlencoded`; the last of equal names wins.
fn decode_pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
