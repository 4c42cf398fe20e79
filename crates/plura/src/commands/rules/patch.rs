//! A virtual patch: one rule that stands before a hole until it is closed. Pure: what is to be refused and
//! the time in, SecLang out.

use schema::{Timestamp, format_time};

/// Ids that ModSecurity leaves to whoever runs it.
pub const IDS: std::ops::RangeInclusive<u64> = 1..=99_999;
/// The lower ones are what people number by hand.
const OWN_IDS_FROM: u64 = 40_000;
/// Longest value that a shape may ask for: more belongs to `max_length` alone.
const SHAPE_CHARS_MAX: u32 = 1_000;
/// Longest text of a person in a rule.
const TEXT_CHARS_MAX: usize = 200;
/// Longest path, name or pattern.
const PART_CHARS_MAX: usize = 1_000;

/// What the rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A parameter of query or form.
    Parameter(String),
    /// A field of a JSON body: `user.name`, `items.*.id`.
    Field(String),
    Header(String),
    Cookie(String),
    /// The request as such.
    Whole,
}

/// What it lets pass, or refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    Shape(Shape, Option<u32>),
    /// Nothing longer, in bytes.
    Length(u32),
    /// All of the value fits the pattern.
    Only(String),
    OneOf(Vec<String>),
    /// Something in the value fits the pattern.
    Not(String),
    NotSql,
    NotHtml,
    /// Nothing passes.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// `0` to `9`
    Digits,
    /// A number with sign and fraction
    Number,
    /// Eight, four, four, four and twelve hexadecimal digits
    Uuid,
    /// Hexadecimal digits
    Hex,
    /// Letters and digits of ASCII, `_` and `-`
    Word,
    /// `2026-11-22`
    Date,
    /// `true` or `false`
    Boolean,
    /// `kim@example.com`
    Email,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    pub id: Option<u64>,
    pub host: Option<String>,
    /// `/orders/{id}`, `/api/*`.
    pub path: String,
    pub method: Option<String>,
    pub part: Part,
    pub demand: Demand,
    pub reason: String,
    /// CVEs, tickets.
    pub references: Vec<String>,
    pub made: Timestamp,
    pub expires: Timestamp,
}

/// What cannot be made into a rule, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub hint: &'static str,
}

impl Patch {
    /// The same patch has the same id; another place or part gets another.
    pub fn id(&self) -> u64 {
        self.id.unwrap_or_else(|| {
            let seed =
                format!("{:?}\0{}\0{:?}\0{:?}", self.host, self.path, self.method, self.part);
            let number = schema::sha256(seed.as_bytes());
            let number = number.0.iter().take(6).fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
            OWN_IDS_FROM + number % (IDS.end() - OWN_IDS_FROM + 1)
        })
    }

    /// The rule file.
    ///
    /// # Errors
    /// What of it no rule can say.
    pub fn seclang(&self) -> Result<String, Fault> {
        let id = self.id();
        if !IDS.contains(&id) {
            return Err(Fault {
                message: format!("`{id}` is not an id for rules of your own"),
                hint: "use 1 to 99999, or leave --id out",
            });
        }
        let looking = self.looking()?;
        let phase = if looking.needs_body { 2 } else { 1 };
        let expires = format_time(self.expires);
        // Whole seconds, as TIME_EPOCH counts.
        let ends = self.expires.div_euclid(1000);
        let refused = !matches!(
            self.demand,
            Demand::Shape(..) | Demand::Length(_) | Demand::Only(_) | Demand::OneOf(_)
        );
        // What does not fit a shape may be a slip of the hand; what was asked to be refused is an attack.
        let severity = if refused { "CRITICAL" } else { "WARNING" };
        let mut tags = vec!["virtual-patch".to_owned()];
        for reference in &self.references {
            tags.push(said(reference, "reference")?);
        }
        let tags: String = tags.iter().map(|tag| format!(",tag:'{tag}'")).collect();
        let reason = said(&self.reason, "reason")?;
        let mut links: Vec<(String, String, String)> = Vec::new();
        let mut also = |target: &str, test: String, actions: &str| {
            links.push((target.to_owned(), test, actions.to_owned()));
        };
        if let Some(host) = &self.host {
            let host = host.to_ascii_lowercase();
            if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)) {
                return Err(Fault {
                    message: format!("`{host}` is not a host name"),
                    hint: "write it as in `shop.example`, without scheme and port",
                });
            }
            also("SERVER_NAME", format!("@streq {host}"), "t:none,t:lowercase");
        }
        if let Some(method) = &self.method {
            if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            {
                return Err(Fault {
                    message: format!("`{method}` is not a method"),
                    hint: "write `POST`",
                });
            }
            also("REQUEST_METHOD", format!("@streq {}", method.to_ascii_uppercase()), "t:none");
        }
        // As applications read paths: decoded, without `//`, `.` and `..`.
        let decoded = "t:none,t:urlDecodeUni,t:normalizePath";
        also("REQUEST_FILENAME", format!("@rx {}", path_pattern(&self.path)?), decoded);
        if let Some(target) = &looking.target {
            also(target, looking.test, looking.transformations);
        }

        let mut text = format!(
            "# Virtual patch {id}, made {made} by `plura rules patch`.\n\
             # Refuses: {what}\n\
             # Until {expires}: from then on the rule matches nothing. Then take the file out.\n\
             SecRule TIME_EPOCH \"@lt {ends}\" \\\n    \
             \"id:{id},phase:{phase},deny,status:403,log,auditlog,t:none,msg:'{reason}',\
             logdata:'%{{MATCHED_VAR_NAME}}',severity:{severity},ver:'expires {expires}'{tags}",
            made = format_time(self.made),
            what = self.words().replace(|c: char| c.is_control(), " "),
        );
        for (at, (target, test, actions)) in links.into_iter().enumerate() {
            let indent = "    ".repeat(at + 1);
            let test = test.replace('"', "\\\"");
            text.push_str(&format!(",chain\"\n{indent}SecRule {target} \"{test}\" \"{actions}"));
        }
        text.push_str("\"\n");
        Ok(text)
    }

    /// What it refuses, for people.
    pub fn words(&self) -> String {
        let method = self.method.as_deref().unwrap_or("any method");
        let host = self.host.as_deref().unwrap_or("any host");
        let part = match &self.part {
            Part::Parameter(name) => format!("parameter `{name}`"),
            Part::Field(name) => format!("JSON field `{name}`"),
            Part::Header(name) => format!("header `{name}`"),
            Part::Cookie(name) => format!("cookie `{name}`"),
            Part::Whole => "the request".to_owned(),
        };
        let demand = match &self.demand {
            Demand::Shape(shape, None) => format!("unless it is {}", shape.words()),
            Demand::Shape(shape, Some(max)) => {
                format!("unless it is {} of at most {max} characters", shape.words())
            }
            Demand::Length(max) => format!("where it is longer than {max} bytes"),
            Demand::Only(pattern) => format!("unless all of it fits `{pattern}`"),
            Demand::OneOf(values) => format!("unless it is one of {}", values.join(", ")),
            Demand::Not(pattern) => format!("where something in it fits `{pattern}`"),
            Demand::NotSql => "where it holds SQL".to_owned(),
            Demand::NotHtml => "where it holds script".to_owned(),
            Demand::Nothing => "whatever it is".to_owned(),
        };
        format!("{method} {} on {host}: {part} {demand}", self.path)
    }

    fn looking(&self) -> Result<Looking, Fault> {
        let (target, needs_body) = match &self.part {
            Part::Parameter(name) => (target("ARGS", name, false)?, true),
            Part::Field(name) => (target("ARGS", &format!("json.{name}"), true)?, true),
            Part::Header(name) => (target("REQUEST_HEADERS", name, false)?, false),
            Part::Cookie(name) => (target("REQUEST_COOKIES", name, false)?, false),
            Part::Whole if self.demand == Demand::Nothing => return Ok(Looking::default()),
            Part::Whole => {
                return Err(Fault {
                    message: "it is not said what is to be looked at".to_owned(),
                    hint: "add --parameter, --field, --header or --cookie, or refuse the request with --deny",
                });
            }
        };
        let all_of = |pattern: &str| format!("!@rx \\A(?:{pattern})\\z");
        let decoded = "t:none,t:urlDecodeUni";
        let (test, transformations) = match &self.demand {
            Demand::Shape(shape, max) => (all_of(&shape.pattern(*max)?), "t:none"),
            Demand::Length(max) => (format!("@gt {max}"), "t:none,t:length"),
            Demand::Only(pattern) => (all_of(&own_pattern(pattern)?), "t:none"),
            Demand::OneOf(values) => {
                let values: Vec<String> = values.iter().map(|value| escaped(value)).collect();
                (all_of(&own_pattern(&values.join("|"))?), "t:none")
            }
            Demand::Not(pattern) => (format!("@rx {}", own_pattern(pattern)?), decoded),
            Demand::NotSql => ("@detectSQLi".to_owned(), decoded),
            Demand::NotHtml => {
                ("@detectXSS".to_owned(), "t:none,t:urlDecodeUni,t:htmlEntityDecode")
            }
            Demand::Nothing => ("@unconditionalMatch".to_owned(), "t:none"),
        };
        Ok(Looking { target: Some(target), test, transformations, needs_body })
    }
}

/// The last link of the chain.
#[derive(Default)]
struct Looking {
    /// `None`: the request as such, so the link before is the last.
    target: Option<String>,
    test: String,
    transformations: &'static str,
    needs_body: bool,
}

impl Shape {
    fn pattern(self, max: Option<u32>) -> Result<String, Fault> {
        if max.is_some_and(|max| max == 0 || max > SHAPE_CHARS_MAX) {
            return Err(Fault {
                message: format!("a shape has 1 to {SHAPE_CHARS_MAX} characters"),
                hint: "use a --max-length in that range, or without a shape",
            });
        }
        let times = max.map_or_else(|| "+".to_owned(), |max| format!("{{1,{max}}}"));
        let fixed = |pattern: &str| match max {
            None => Ok(pattern.to_owned()),
            Some(_) => Err(Fault {
                message: format!("--max-length says nothing of {}", self.words()),
                hint: "leave it out",
            }),
        };
        match self {
            Shape::Digits => Ok(format!("[0-9]{times}")),
            Shape::Hex => Ok(format!("[0-9A-Fa-f]{times}")),
            Shape::Word => Ok(format!("[A-Za-z0-9_-]{times}")),
            Shape::Number => fixed(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?"),
            Shape::Uuid => fixed("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
            Shape::Date => fixed("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
            Shape::Boolean => fixed("true|false"),
            Shape::Email => {
                fixed(r"[A-Za-z0-9._+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}")
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Shape::Digits => "digits",
            Shape::Number => "a number",
            Shape::Uuid => "a UUID",
            Shape::Hex => "hexadecimal digits",
            Shape::Word => "a word",
            Shape::Date => "a date",
            Shape::Boolean => "true or false",
            Shape::Email => "an e-mail address",
        }
    }
}

/// `ARGS:q`; a name with `*` or anything beyond letters, digits, `_`, `.` and `-` as a pattern.
fn target(collection: &str, name: &str, is_field: bool) -> Result<String, Fault> {
    let is_long = name.chars().count() > PART_CHARS_MAX;
    if name.is_empty() || is_long || name.contains(|c: char| c.is_control() || c == '/' || c == '"')
    {
        return Err(Fault {
            message: format!("`{name}` cannot be named in a rule"),
            hint: "names have no `/`, no `\"` and no control characters",
        });
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.bytes().all(plain) {
        return Ok(format!("{collection}:{name}"));
    }
    let parts: Vec<String> = name
        .split('.')
        .map(|part| match part {
            // Of a list: `items.array_0.id`.
            "*" if is_field => r"array_\d+".to_owned(),
            part => in_bytes(part),
        })
        .collect();
    Ok(format!("{collection}:/^{}$/", parts.join(r"\.")))
}

/// The same, written so that a line of rules is not taken apart at it.
fn in_bytes(text: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() => c.to_string(),
        c => format!("\\x{:02x}", u32::from(c)),
    };
    text.chars().map(one).collect()
}

/// The path as applications read it: with `;…` behind each part, and perhaps a slash at the end.
fn path_pattern(path: &str) -> Result<String, Fault> {
    let fault = |message: String| {
        Err(Fault { message, hint: "write `/search`, `/orders/{id}` or `/api/*`" })
    };
    if !path.starts_with('/') || path.chars().count() > PART_CHARS_MAX {
        return fault(format!("`{path}` is not a path"));
    }
    if path.contains(|c: char| c.is_control() || c == '?' || c == '#') {
        return fault(format!("`{path}` is more than a path"));
    }
    let (stem, below) = match path.strip_suffix("/*") {
        Some(stem) => (stem, "(?:/.*)?"),
        None => (path.strip_suffix('/').unwrap_or(path), "/?"),
    };
    if stem.contains('*') {
        return fault(format!("`{path}` has a `*` that is not its last part"));
    }
    let mut pattern = String::from(r"(?s)\A");
    for part in stem.split('/').skip(1) {
        let is_any = part.starts_with('{') && part.ends_with('}') && part.len() > 2;
        let part = if is_any { "[^/]+".to_owned() } else { escaped(part) };
        pattern.push_str(&format!("/{part}(?:;[^/]*)?"));
    }
    Ok(format!(r"{pattern}{below}\z"))
}

/// A pattern that somebody wrote: nothing in it is a macro of the rule language.
fn own_pattern(pattern: &str) -> Result<String, Fault> {
    if pattern.is_empty()
        || pattern.chars().count() > PART_CHARS_MAX
        || pattern.contains(char::is_control)
    {
        return Err(Fault {
            message: format!("`{pattern}` cannot be a pattern in a rule"),
            hint: "a pattern has 1 to 1000 characters; write line breaks as \\n",
        });
    }
    Ok(pattern.replace("%{", r"\x25{"))
}

/// Text as a pattern that fits just this.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Not `<` and `>`: escaped they are word boundaries in some dialects.
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What a person wrote, as it can stand in an action.
fn said(text: &str, what: &str) -> Result<String, Fault> {
    let is_long = text.chars().count() > TEXT_CHARS_MAX;
    if text.trim().is_empty()
        || is_long
        || text.contains(|c: char| c.is_control() || "'\"\\".contains(c))
    {
        return Err(Fault {
            message: format!("`{text}` cannot be a {what}"),
            hint: "use 1 to 200 characters, without quotes, backslashes and line breaks",
        });
    }
    Ok(text.trim().replace("%{", "% {"))
}

#[cfg(test)]
mod tests;
