//! What a site's configuration says about its evidence, compiled once.

use super::names::{Kind, Names, joined};
use super::outcome::{OutcomeSpec, Outcomes};
use super::path::plain;
use super::place::Place;
use super::protect::Protect;
use super::route::{Pattern, template};
use super::scan::Scanner;
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Routes of one site.
pub const ROUTES_MAX: usize = 2000;
/// Names a site may add or exempt.
pub const NAMES_MAX: usize = 500;
/// Decoded bytes kept of a body when the site says nothing.
pub const BODY_BYTES_DEFAULT: usize = 128 * 1024;
/// The most a site may ask for.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The evidence part of a site in `gateway.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteSpec {
    /// First match counts.
    pub routes: Vec<RouteSpec>,
    pub identity: IdentitySpec,
    pub protect: ProtectSpec,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    /// `POST /login`, `GET|HEAD /orders/{id}`, `* /files/**`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// The endpoint's name when it shall not be the pattern: `/orders/{id}`.
    pub endpoint: Option<String>,
    /// `login`, `logout`, `token-issue`, `read`, `upload`…
    pub action: Option<String>,
    /// `order {id}`: text with the pattern's names.
    pub object: Option<String>,
    /// The same as a CEL expression.
    pub object_from: Option<String>,
    /// First match counts; without any, the status code decides.
    pub outcome: Vec<OutcomeSpec>,
    /// Where the account stands that acts, or tries to log in.
    pub account: Vec<Place>,
    /// JSON path of the prompt tokens in the response; `usage.prompt_tokens` and
    /// `usage.input_tokens` are found without.
    pub tokens_in: Option<String>,
    pub tokens_out: Option<String>,
}

/// Where a site's requests say who they are. Empty lists mean the usual places.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySpec {
    pub credential: Vec<Place>,
    pub session: Vec<Place>,
    /// For every route that names none.
    pub account: Vec<Place>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProtectSpec {
    /// Field names whose values are destroyed, besides the known ones.
    pub secret: Vec<String>,
    /// Field names whose values are masked: `home_address: other`.
    pub personal: BTreeMap<String, Kind>,
    /// Field names that look secret or personal here and are not.
    pub exempt: Vec<String>,
    /// Kinds kept besides, sealed under the tenant's key.
    pub keep: Vec<Kind>,
    /// Accounts are written as sent, also where they are e-mail addresses or phone numbers.
    pub accounts_in_clear: bool,
    /// Decoded bytes kept of each body.
    pub body_bytes: Option<usize>,
}

pub(super) struct Route {
    pub(super) pattern: Pattern,
    pub(super) endpoint: String,
    pub(super) action: Option<String>,
    pub(super) object: Option<String>,
    pub(super) account: Vec<Place>,
    pub(super) outcomes: Outcomes,
    pub(super) tokens_in: Option<String>,
    pub(super) tokens_out: Option<String>,
}

/// A protected application, as evidence sees it.
pub struct Site {
    pub name: String,
    pub(super) routes: Vec<Route>,
    /// Route numbers by the first segment of their path; those that begin with a name, apart.
    by_segment: HashMap<String, Vec<usize>>,
    anywhere: Vec<usize>,
    pub(super) credential: Vec<Place>,
    pub(super) session: Vec<Place>,
    pub(super) scanner: Arc<Scanner>,
    pub(super) keep: Vec<Kind>,
    pub(super) accounts_in_clear: bool,
    pub(super) body_bytes: usize,
    pub(super) expression_errors: AtomicU64,
}

impl Site {
    /// Compiles a site; every mistake is told at once, with its place.
    pub fn compile(name: &str, spec: &SiteSpec) -> Result<Site, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let place = |at: &str| format!("sites.{name}.{at}");
        if spec.routes.len() > ROUTES_MAX {
            wrong.push(
                Diagnostic::new(
                    "too-many-routes",
                    place("routes"),
                    format!("`{name}` has {} routes, more than {ROUTES_MAX}", spec.routes.len()),
                )
                .hint("use `{name}` and `**` in the patterns"),
            );
        }
        let named =
            spec.protect.secret.len() + spec.protect.personal.len() + spec.protect.exempt.len();
        if named > NAMES_MAX {
            wrong.push(
                Diagnostic::new(
                    "too-many-names",
                    place("protect"),
                    format!("`{name}` names {named} fields, more than {NAMES_MAX}"),
                )
                .hint("names are compared without case and separators: one spelling is enough"),
            );
        }
        let listed = spec
            .protect
            .secret
            .iter()
            .chain(&spec.protect.exempt)
            .chain(spec.protect.personal.keys());
        for field in listed.filter(|field| joined(field).is_empty()) {
            wrong.push(
                Diagnostic::new(
                    "empty-name",
                    place("protect"),
                    format!("`{field}` has no letter or digit"),
                )
                .hint("write the field's name"),
            );
        }
        let body_bytes = spec.protect.body_bytes.unwrap_or(BODY_BYTES_DEFAULT);
        if body_bytes > BODY_BYTES_MAX {
            wrong.push(
                Diagnostic::new(
                    "body-limit",
                    place("protect.body_bytes"),
                    format!("`{body_bytes}` is more than {BODY_BYTES_MAX}"),
                )
                .hint("of longer bodies the length and SHA-256 are kept"),
            );
        }
        let mut routes = Vec::new();
        for (i, route) in spec.routes.iter().take(ROUTES_MAX).enumerate() {
            let at = place(&format!("routes[{i}]"));
            match compile_route(route, &spec.identity, &at) {
                Ok(route) => routes.push(route),
                Err(mut errors) => wrong.append(&mut errors),
            }
        }
        let scanner = scanner(&spec.protect);
        let Some(scanner) = scanner.filter(|_| wrong.is_empty()) else {
            if wrong.is_empty() {
                wrong.push(
                    Diagnostic::new(
                        "names",
                        place("protect"),
                        "the field names do not fit together",
                    )
                    .hint("name fewer or shorter fields"),
                );
            }
            return Err(wrong);
        };
        let mut by_segment: HashMap<String, Vec<usize>> = HashMap::new();
        let mut anywhere = Vec::new();
        for (i, route) in routes.iter().enumerate() {
            match route.pattern.first_literal() {
                Some(literal) => by_segment.entry(literal.to_owned()).or_default().push(i),
                None => anywhere.push(i),
            }
        }
        Ok(Site {
            name: name.to_owned(),
            routes,
            by_segment,
            anywhere,
            credential: spec.identity.credential.clone(),
            session: spec.identity.session.clone(),
            scanner,
            keep: spec.protect.keep.clone(),
            accounts_in_clear: spec.protect.accounts_in_clear,
            body_bytes,
            expression_errors: AtomicU64::new(0),
        })
    }

    /// Outcome expressions that could not be evaluated, since the start.
    pub fn expression_errors(&self) -> u64 {
        self.expression_errors.load(Ordering::Relaxed)
    }

    pub(super) fn route(&self, method: &str, path: &str) -> Option<&Route> {
        if self.routes.is_empty() {
            return None;
        }
        // A route holds for every spelling of its path.
        let plain = plain(path);
        let path = plain.as_deref().unwrap_or(path);
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let literal = self.by_segment.get(first).map(Vec::as_slice).unwrap_or_default();
        let find = |numbers: &[usize]| {
            numbers.iter().copied().find(|i| {
                self.routes.get(*i).is_some_and(|route| route.pattern.matches(method, path))
            })
        };
        let number = match (find(literal), find(&self.anywhere)) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        self.routes.get(number)
    }

    /// The protected path and the endpoint's name, by route or by the look of the segments.
    pub(super) fn endpoint(
        &self,
        method: &str,
        path: &str,
        protect: &mut Protect<'_>,
    ) -> (Option<String>, String) {
        let mut hidden = None;
        let mut candidates = std::mem::take(&mut protect.candidates);
        protect.scanner.candidates(path, &mut candidates);
        let looked_for = !candidates.is_empty();
        protect.candidates = candidates;
        if looked_for {
            let mut out = String::with_capacity(path.len());
            let mut changed = false;
            for (i, segment) in path.split('/').enumerate() {
                if i > 0 {
                    out.push('/');
                }
                match protect.segment(segment) {
                    Some(masked) => {
                        changed = true;
                        out.push_str(&masked);
                    }
                    None => out.push_str(segment),
                }
            }
            hidden = changed.then_some(out);
        }
        let endpoint = match self.route(method, path) {
            Some(route) => format!("{method} {}", route.endpoint),
            None => {
                let path = hidden.as_deref().unwrap_or(path);
                let plain = plain(path);
                template(method, plain.as_deref().unwrap_or(path))
            }
        };
        (hidden, endpoint)
    }
}

fn compile_route(
    spec: &RouteSpec,
    identity: &IdentitySpec,
    at: &str,
) -> Result<Route, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let pattern = Pattern::parse(&spec.pattern).map_err(|message| {
        wrong.push(
            Diagnostic::new("route-match", format!("{at}.match"), message)
                .hint("write `POST /login`, `GET|HEAD /orders/{id}` or `* /files/**`"),
        );
    });
    let outcomes = Outcomes::compile(&spec.outcome, spec.object_from.as_deref(), at)
        .map_err(|mut errors| wrong.append(&mut errors));
    match (pattern, outcomes) {
        (Ok(pattern), Ok(outcomes)) if wrong.is_empty() => Ok(Route {
            endpoint: spec.endpoint.clone().unwrap_or_else(|| pattern.path.clone()),
            pattern,
            action: spec.action.clone(),
            object: spec.object.clone(),
            account: if spec.account.is_empty() {
                identity.account.clone()
            } else {
                spec.account.clone()
            },
            outcomes,
            tokens_in: spec.tokens_in.clone(),
            tokens_out: spec.tokens_out.clone(),
        }),
        _ => Err(wrong),
    }
}

fn scanner(spec: &ProtectSpec) -> Option<Arc<Scanner>> {
    let names = Names::new(
        spec.secret.iter().map(String::as_str),
        spec.personal.iter().map(|(name, kind)| (name.as_str(), *kind)),
        spec.exempt.iter().map(String::as_str),
    );
    // The longest word of a name stands in every spelling of it.
    let stems: Vec<String> = spec
        .secret
        .iter()
        .chain(spec.personal.keys())
        .filter_map(|name| words(name).into_iter().max_by_key(String::len))
        .collect();
    Scanner::new(names, &stems).map(Arc::new)
}

fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}
