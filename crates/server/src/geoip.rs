//! Where addresses lie, by a database the operator supplies: none is bundled, and nobody is asked.

use maxminddb::Reader;
use schema::Diagnostic;
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trust::Place;

/// A database is held in memory whole. GeoLite2-City has some 60 MB, GeoIP2-Enterprise a few hundred.
pub const DATABASE_BYTES_MAX: u64 = 512 << 20;

/// What the names of databases with countries in our form contain: GeoLite2-City, GeoIP2-Country,
/// GeoIP2-Enterprise, DBIP-City-Lite. Those of networks and domains know no place.
const KINDS: [&str; 3] = ["City", "Country", "Enterprise"];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeoIpConfig {
    /// A City or Country database in MaxMind's format; without it no address has a place.
    pub database: Option<PathBuf>,
}

impl GeoIpConfig {
    /// Reads the database, when there is to be one.
    pub fn open(&self) -> Result<Option<GeoIp>, Diagnostic> {
        self.database.as_deref().map(GeoIp::open).transpose()
    }
}

/// A database in memory; clones share it.
#[derive(Clone)]
pub struct GeoIp {
    inner: Arc<Inner>,
}

struct Inner {
    reader: Reader<Vec<u8>>,
    path: PathBuf,
    is_damage_told: AtomicBool,
}

/// What we read of a record: where the address is, not where its provider is registered.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    country: Option<Country<'a>>,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Country<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
    #[serde(default)]
    accuracy_radius: Option<u16>,
}

impl GeoIp {
    /// Reads the whole file; nothing is opened later.
    pub fn open(path: &Path) -> Result<GeoIp, Diagnostic> {
        let name = path.display().to_string();
        let fault = |message: String, hint: &str| {
            Diagnostic::new("geoip-unusable", &name, message).hint(hint)
        };
        let unreadable = |cause: std::io::Error| {
            fault(
                format!("cannot read the GeoIP database `{name}`: {cause}"),
                "check `geoip.database` and the file's permissions, or leave `geoip` out",
            )
        };
        // A pipe or device would be read without end, or never.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(fault(
                format!("the GeoIP database `{name}` is not a file"),
                "name the `.mmdb` file itself in `geoip.database`",
            ));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(DATABASE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > DATABASE_BYTES_MAX {
            return Err(fault(
                format!("the GeoIP database `{name}` is larger than {DATABASE_BYTES_MAX} bytes"),
                "it is held in memory whole: take a City or Country database",
            ));
        }
        let reader = Reader::from_source(bytes).map_err(|cause| {
            fault(
                format!("`{name}` is no MaxMind database: {cause}"),
                "`geoip.database` takes an unpacked `.mmdb` file, such as GeoLite2-City.mmdb",
            )
        })?;
        let kind = &reader.metadata().database_type;
        if !KINDS.iter().any(|known| kind.contains(known)) {
            let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(fault(
                format!("the database `{name}` is of the kind `{kind}`, which knows no places"),
                "take a City database, or a Country database for countries alone",
            ));
        }
        let (path, is_damage_told) = (path.to_owned(), AtomicBool::new(false));
        Ok(GeoIp { inner: Arc::new(Inner { reader, path, is_damage_told }) })
    }

    /// Where the address lies, as far as the database knows.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let Inner { reader, path, is_damage_told } = &*self.inner;
        let address = address.to_canonical();
        if address.is_ipv6() && reader.metadata().ip_version == 4 {
            return None;
        }
        let found = reader.lookup(address).and_then(|found| found.decode::<Found<'_>>());
        let found = match found {
            Ok(found) => found?,
            Err(error) => {
                if !is_damage_told.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        path = %path.display(), %error,
                        "the GeoIP database is damaged: some addresses have no place; get it anew and start again"
                    );
                }
                return None;
            }
        };
        let location = found.location;
        let place = Place {
            country: found.country.and_then(|country| country.iso_code).map(str::to_owned),
            latitude: location.as_ref().and_then(|location| location.latitude),
            longitude: location.as_ref().and_then(|location| location.longitude),
            accuracy_km: location.as_ref().and_then(|location| location.accuracy_radius),
        };
        (place != Place::default()).then_some(place)
    }
}
