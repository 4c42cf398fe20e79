//! Where somebody was, and whether they can have got from there to here.

use schema::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Mean radius of the Earth, R1 of GRS 80 (Moritz 2000, *Geodetic Reference System 1980*, adopted by the IUGG).
const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// Airliners cruise at up to Mach 0.85, which at 11 km (ISO 2533: 295.07 m/s) is 903 km/h.
const SPEED_MAX_KMH: f64 = 900.0;
/// What two positions may lie apart beyond their radii and mean nothing: a radius holds the truth in two of
/// three cases only (MaxMind GeoIP2: "67 % confidence").
const DISTANCE_MIN_KM: f64 = 200.0;
/// The same where one of the two is a mobile network, which may have one way out for a whole country.
const DISTANCE_MIN_MOBILE_KM: f64 = 1_000.0;
/// A position without a radius is taken to be a country's middle, which GeoIP2 gives with this one.
const ACCURACY_UNKNOWN_KM: u16 = 1_000;
/// Two clocks may differ by this: Kerberos's customary tolerance (RFC 4120 §1.6).
pub(crate) const CLOCK_SKEW_MS: i64 = 5 * 60_000;

/// Where an address is, as a GeoIP database has it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// ISO 3166-1, two capital letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_km: Option<u16>,
}

impl Place {
    /// What the event itself tells: OCSF `src_endpoint.location`.
    pub fn of(event: &Event) -> Option<Place> {
        let location = event.rest.get("src_endpoint")?.get("location")?;
        let number = |name: &str| location.get(name).and_then(Json::as_f64);
        let place = Place {
            country: location.get("country").and_then(Json::as_str).map(str::to_owned),
            latitude: number("lat"),
            longitude: number("long"),
            accuracy_km: None,
        };
        (place != Place::default()).then_some(place)
    }

    pub(crate) fn country(&self) -> Option<&str> {
        self.country
            .as_deref()
            .filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()))
    }

    pub(crate) fn position(&self) -> Option<Position> {
        let within = |degrees: Option<f64>, max: f64| degrees.filter(|d| d.abs() <= max);
        let micro = |degrees: f64| (degrees * 1e6).round() as i32;
        Some(Position {
            latitude_micro: micro(within(self.latitude, 90.0)?),
            longitude_micro: micro(within(self.longitude, 180.0)?),
            accuracy_km: self.accuracy_km.unwrap_or(ACCURACY_UNKNOWN_KM),
        })
    }
}

/// A position, in millionths of a degree: written down and read again it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    latitude_micro: i32,
    pub(crate) longitude_micro: i32,
    accuracy_km: u16,
}

/// Somebody, somewhere, some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    pub(crate) at: Timestamp,
    pub(crate) position: Position,
    pub(crate) is_mobile: bool,
}

impl Sighting {
    /// Whether nobody can have been at both. Order does not matter: late events say what they would have said.
    pub(crate) fn is_impossible_with(&self, other: &Sighting) -> bool {
        let radii = f64::from(self.position.accuracy_km) + f64::from(other.position.accuracy_km);
        let apart_km = distance_km(self.position, other.position) - radii;
        let least = if self.is_mobile || other.is_mobile {
            DISTANCE_MIN_MOBILE_KM
        } else {
            DISTANCE_MIN_KM
        };
        let time_ms =
            self.at.saturating_sub(other.at).saturating_abs().saturating_add(CLOCK_SKEW_MS);
        // Multiplied, not divided: two logins at one time and far apart are the clearest case.
        apart_km > least && apart_km > SPEED_MAX_KMH * (time_ms as f64 / 3_600_000.0)
    }
}

/// Along the great circle, by haversines (Sinnott 1984, *Virtues of the Haversine*): exact for near points too.
fn distance_km(from: Position, to: Position) -> f64 {
    let radians = |micro: i32| (f64::from(micro) / 1e6).to_radians();
    let (from_latitude, to_latitude) = (radians(from.latitude_micro), radians(to.latitude_micro));
    let half = |a: f64, b: f64| ((a - b) / 2.0).sin().powi(2);
    let chord = half(to_latitude, from_latitude)
        + from_latitude.cos()
            * to_latitude.cos()
            * half(radians(to.longitude_micro), radians(from.longitude_micro));
    2.0 * EARTH_RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(minutes: i64, latitude: f64, longitude: f64, accuracy_km: u16) -> Sighting {
        let place = Place {
            latitude: Some(latitude),
            longitude: Some(longitude),
            accuracy_km: Some(accuracy_km),
            country: None,
        };
        Sighting { at: minutes * 60_000, position: place.position().unwrap(), is_mobile: false }
    }

    #[test]
    fn seoul_to_new_york_takes_a_flight() {
        let seoul = seen(0, 37.5665, 126.978, 20);
        let apart = distance_km(seoul.position, seen(0, 40.7128, -74.006, 20).position);
        assert!((apart - 11_060.0).abs() < 20.0, "{apart}");
        assert!(seoul.is_impossible_with(&seen(2 * 60, 40.7128, -74.006, 20)));
        // 11,000 km at 900 km/h are 12 hours and a quarter.
        assert!(!seoul.is_impossible_with(&seen(13 * 60, 40.7128, -74.006, 20)));
        // The event that came late says the same.
        assert!(seen(2 * 60, 40.7128, -74.006, 20).is_impossible_with(&seoul));
    }

    #[test]
    fn at_one_time_far_apart_is_impossible_and_near_is_not() {
        let seoul = seen(0, 37.5665, 126.978, 20);
        assert!(seoul.is_impossible_with(&seen(0, 35.1796, 129.0756, 20)), "Busan, 325 km");
        assert!(!seoul.is_impossible_with(&seen(0, 36.3504, 127.3845, 20)), "Daejeon, 140 km");
    }

    #[test]
    fn a_coarse_position_proves_nothing() {
        let seoul = seen(0, 37.5665, 126.978, 20);
        let korea = seen(0, 35.9, 127.8, 1_000);
        assert!(!seoul.is_impossible_with(&korea));
        let busan_mobile = Sighting { is_mobile: true, ..seen(0, 35.1796, 129.0756, 20) };
        assert!(!seoul.is_impossible_with(&busan_mobile));
    }

    #[test]
    fn no_number_is_too_strange() {
        for (latitude, longitude) in
            [(f64::NAN, 0.0), (91.0, 0.0), (0.0, f64::INFINITY), (0.0, -180.5)]
        {
            let place =
                Place { latitude: Some(latitude), longitude: Some(longitude), ..Place::default() };
            assert_eq!(place.position(), None);
        }
        let ends = Sighting { at: i64::MIN, ..seen(0, 90.0, 180.0, 0) };
        let other = Sighting { at: i64::MAX, ..seen(0, -90.0, -180.0, 0) };
        assert!(!ends.is_impossible_with(&other));
    }
}
