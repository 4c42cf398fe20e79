use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What we watch and act on. The IP address is the weakest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EntityKind {
    /// An API key or token, as the keyed hash the gateway made of it.
    Credential,
    Account,
    /// A session cookie or id, as a keyed hash.
    Session,
    /// `METHOD /path/template` of a site.
    Endpoint,
    /// A host, by name.
    Device,
    Address,
}

impl EntityKind {
    pub const ALL: [EntityKind; 6] = [
        EntityKind::Credential,
        EntityKind::Account,
        EntityKind::Session,
        EntityKind::Endpoint,
        EntityKind::Device,
        EntityKind::Address,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            EntityKind::Credential => "credential",
            EntityKind::Account => "account",
            EntityKind::Session => "session",
            EntityKind::Endpoint => "endpoint",
            EntityKind::Device => "device",
            EntityKind::Address => "address",
        }
    }
}

/// One credential, account, session, endpoint, device or address; `credential:9f2c…` in text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Entity {
    pub kind: EntityKind,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an entity: write `kind:value` with kind credential, account, session, endpoint, device or address"
)]
pub struct UnknownEntity(pub String);

impl Entity {
    pub fn new(kind: EntityKind, value: impl Into<String>) -> Self {
        Entity { kind, value: value.into() }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

impl FromStr for Entity {
    type Err = UnknownEntity;

    fn from_str(text: &str) -> Result<Self, UnknownEntity> {
        let unknown = || UnknownEntity(text.to_owned());
        let (kind, value) = text.split_once(':').ok_or_else(unknown)?;
        let kind = EntityKind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or_else(unknown)?;
        if value.is_empty() { Err(unknown()) } else { Ok(Entity::new(kind, value)) }
    }
}

impl TryFrom<String> for Entity {
    type Error = UnknownEntity;

    fn try_from(text: String) -> Result<Self, UnknownEntity> {
        text.parse()
    }
}

impl From<Entity> for String {
    fn from(entity: Entity) -> String {
        entity.to_string()
    }
}
