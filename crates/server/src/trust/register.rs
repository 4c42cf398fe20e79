//! Registers people and systems keep: devices, trips, invitations.

use crate::problem::Problem;
use schema::{Entity, EntityKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use store::meta::TrustEntry;
use trust::{Book, DeviceRecord, Trip};
use utoipa::ToSchema;

pub const DEVICES: &str = "devices";
pub const TRIPS: &str = "trips";
pub const INVITATIONS: &str = "invitations";
/// What other systems told, kept beside the registers; nobody edits it by hand.
pub const SIGNALS: &str = "signals";
pub const REGISTERS: [&str; 3] = [DEVICES, TRIPS, INVITATIONS];

/// Somebody let a guest in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    pub inviter: String,
    pub guest: String,
    pub at: Timestamp,
}

/// An entry of a register, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    Device(Box<DeviceRecord>),
    Trip(Trip),
    Invitation(Invitation),
}

/// An entry as it is listed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterEntry {
    pub id: String,
    #[schema(value_type = Object)]
    pub entry: Box<RawValue>,
    pub author: String,
    pub changed: Timestamp,
}

impl From<TrustEntry> for RegisterEntry {
    fn from(TrustEntry { id, doc, author, changed }: TrustEntry) -> Self {
        RegisterEntry { id, entry: doc, author, changed }
    }
}

impl Entry {
    /// Reads what somebody enters. A device's id is the entry's; times that are left out are now.
    pub fn parse(register: &str, id: &str, body: Value, now: Timestamp) -> Result<Entry, Problem> {
        let Value::Object(mut body) = body else {
            return Err(invalid(register, "an entry is an object"));
        };
        match register {
            DEVICES => {
                body.insert("id".to_owned(), id.into());
                body.entry("reported_at").or_insert_with(|| now.into());
            }
            INVITATIONS => {
                body.entry("at").or_insert_with(|| now.into());
            }
            _ => {}
        }
        let entry = Entry::of(register, Value::Object(body))?;
        entry.check(register, now)?;
        Ok(entry)
    }

    /// Reads what was stored.
    pub fn read(register: &str, doc: &RawValue) -> Result<Entry, Problem> {
        let value = serde_json::from_str(doc.get()).map_err(|cause| Problem::internal(&cause))?;
        Entry::of(register, value)
    }

    fn of(register: &str, value: Value) -> Result<Entry, Problem> {
        let entry = match register {
            DEVICES => serde_json::from_value(value).map(|device| Entry::Device(Box::new(device))),
            TRIPS => serde_json::from_value(value).map(Entry::Trip),
            _ => serde_json::from_value(value).map(Entry::Invitation),
        };
        entry.map_err(|error| invalid(register, &error.to_string()))
    }

    fn check(&self, register: &str, now: Timestamp) -> Result<(), Problem> {
        // A clock may be off by some minutes; a report from the future would never grow old.
        let is_ahead = |time: Timestamp| time > now + super::wire::SKEW_MAX_MS;
        match self {
            Entry::Device(device) if is_ahead(device.reported_at) => {
                Err(invalid(register, "`reported_at` lies in the future"))
            }
            Entry::Trip(trip) => {
                let is_country =
                    trip.country.len() == 2 && trip.country.bytes().all(|b| b.is_ascii_uppercase());
                if !is_country {
                    return Err(invalid(register, "`country` is two capital letters (ISO 3166-1)"));
                }
                if trip.account.is_empty() || trip.from >= trip.until {
                    return Err(invalid(
                        register,
                        "a trip has an account, and begins before it ends",
                    ));
                }
                Ok(())
            }
            Entry::Invitation(invitation) => {
                if invitation.inviter.is_empty() || invitation.guest.is_empty() {
                    return Err(invalid(register, "an invitation names inviter and guest"));
                }
                if is_ahead(invitation.at) {
                    return Err(invalid(register, "`at` lies in the future"));
                }
                Ok(())
            }
            Entry::Device(_) => Ok(()),
        }
    }

    /// Writes it into the book; whom it may concern.
    pub fn enter(&self, book: &mut Book) -> Vec<Entity> {
        match self {
            Entry::Device(device) => {
                let mut told = book.device(device);
                told.extend(owner(device));
                told
            }
            Entry::Trip(trip) => book.trip(trip),
            Entry::Invitation(i) => book.invitation(&i.inviter, &i.guest, i.at),
        }
    }

    /// Takes it out of the book again.
    pub fn remove(&self, book: &mut Book) -> Vec<Entity> {
        match self {
            Entry::Device(device) => {
                let mut told = book.device_withdrawn(&device.id);
                told.extend(owner(device));
                told
            }
            Entry::Trip(trip) => book.trip_cancelled(trip),
            Entry::Invitation(i) => book.invitation_withdrawn(&i.inviter, &i.guest, i.at),
        }
    }
}

/// Whoever may use the device, by any of their sessions.
fn owner(device: &DeviceRecord) -> Option<Entity> {
    device.account.as_ref().map(|account| Entity::new(EntityKind::Account, account.as_str()))
}

fn invalid(register: &str, message: &str) -> Problem {
    Problem::bad_request("entry-invalid", format!("this is no entry of `{register}`: {message}"))
        .hint("docs/trust-api.md shows an entry of each register")
}
