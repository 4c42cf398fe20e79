//! The OpenAPI form of the types that are text in JSON, and of an event.

use crate::{COLUMNS, ColumnKind, Digest, Entity, Event, TenantId};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

fn text(description: &str, pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(description))
        .pattern(Some(pattern))
        .into()
}

impl PartialSchema for Entity {
    fn schema() -> RefOr<Schema> {
        text(
            "`kind:value`, for example `credential:9f2c…`",
            "^(credential|account|session|endpoint|device|address):.+$",
        )
    }
}

impl ToSchema for Entity {}

impl PartialSchema for TenantId {
    fn schema() -> RefOr<Schema> {
        text("A tenant's name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    }
}

impl ToSchema for TenantId {}

impl PartialSchema for Digest {
    fn schema() -> RefOr<Schema> {
        text("SHA-256 in hex", "^[0-9a-f]{64}$")
    }
}

impl ToSchema for Digest {}

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let mut about = String::from(
            "An OCSF event. Besides what OCSF defines for its class, the paths we read:\n",
        );
        for column in COLUMNS {
            let kind = match column.kind {
                ColumnKind::Text => "text",
                ColumnKind::Int => "number",
                ColumnKind::Bool => "boolean",
                ColumnKind::Json => "JSON",
                ColumnKind::Time => "milliseconds since 1970",
                ColumnKind::Uuid => "UUID",
            };
            about.push_str(&format!("\n- `{}` ({kind}):{}", column.path, column.doc));
        }
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some(about))
            .into()
    }
}

impl ToSchema for Event {}
