//! Opens what gateways sealed: personal data kept beside its mask under the tenant's key.

use crate::problem::Problem;
use axum::http::StatusCode;
use gateway::evidence::Keys;
use schema::{Event, Secret, TenantId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

#[derive(Debug, Default)]
pub struct Opened {
    /// Place → values found there.
    pub values: BTreeMap<String, Vec<String>>,
    pub unreadable: Vec<String>,
}

/// Opens the sealed places of `event`, or those of them that are asked for.
pub fn open(
    data: &Path,
    tenant: &TenantId,
    event: &Event,
    places: &[String],
) -> Result<Opened, Problem> {
    let mut sealed = Vec::new();
    collect(event.sealed.as_ref().unwrap_or(&Value::Null), &mut sealed);
    sealed.retain(|(place, _)| places.is_empty() || places.contains(place));
    if sealed.is_empty() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "nothing-sealed",
            format!("event `{}` keeps no personal data there", event.id),
        )
        .hint(
            "what the site's policy does not keep is destroyed at the gateway, and cannot be shown",
        ));
    }
    let keys = keys(data, tenant)?;
    let mut opened = Opened::default();
    for (place, text) in sealed {
        match keys.unseal(event.id, &place, &text) {
            Some(value) => {
                opened.values.entry(place).or_default().push(value.reveal().to_owned());
            }
            None => opened.unreadable.push(place),
        }
    }
    Ok(opened)
}

/// `{place: text}` or a list of `{place, value}`: every pair of place and sealed text.
fn collect(sealed: &Value, into: &mut Vec<(String, String)>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match sealed {
        Value::Object(members) => {
            for (place, value) in members {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                into.extend(values.iter().filter_map(text).map(|text| (place.clone(), text)));
            }
        }
        Value::Array(items) => {
            let pair = |item: &Value| Some((text(item.get("place")?)?, text(item.get("value")?)?));
            into.extend(items.iter().filter_map(pair));
        }
        _ => {}
    }
}

/// The tenant's key is put there by whoever set the gateway up; the server never makes one.
fn keys(data: &Path, tenant: &TenantId) -> Result<Keys, Problem> {
    let path = data.join("keys").join(format!("tenant-{tenant}.key"));
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        if cause.kind() == io::ErrorKind::NotFound {
            return Problem::new(
                StatusCode::CONFLICT,
                "tenant-key-missing",
                format!("the server does not have the key of tenant `{tenant}`"),
            )
            .hint("copy the gateway's tenant key to `keys/tenant-<tenant>.key` in the data folder (mode 600)");
        }
        Problem::internal(&cause)
    })?;
    Keys::parse(&Secret::new(text)).map_err(|cause| Problem::internal(&cause))
}
