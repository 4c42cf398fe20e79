//! Events as they arrive: in no order within the allowed lateness, the same in every run.

use sigma::{Event, LogSource, Scalar};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Of a thousand events so many are of one of the `HOT` users, who go over the bounds.
const HOT_PER_MILLE: u64 = 20;
const HOT: u64 = 100;
const BEGAN_MS: i64 = 1_767_225_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Failed,
    Worked,
    Admin,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Happened {
    pub time_ms: i64,
    pub id: String,
    pub what: What,
    user: String,
    ip: String,
    bytes: i64,
}

pub struct Traffic {
    number: u64,
    random: u64,
    lateness_ms: u64,
    /// Different users, and as many addresses.
    keys: u64,
    /// By the time of their arrival.
    on_the_way: BinaryHeap<Reverse<(i64, u64, Happened)>>,
}

impl Traffic {
    pub fn new(lateness_ms: u64, keys: u64) -> Traffic {
        Traffic {
            number: 0,
            random: 0x9E37_79B9_7F4A_7C15,
            lateness_ms,
            keys,
            on_the_way: BinaryHeap::new(),
        }
    }

    fn random(&mut self) -> u64 {
        // xorshift64: the same traffic in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// The event that arrives next.
    pub fn arrival(&mut self) -> Happened {
        loop {
            let now_ms = BEGAN_MS + (self.number * 60 / 1000) as i64;
            if let Some(first) = self.on_the_way.peek_mut()
                && first.0.0 <= now_ms
            {
                return std::collections::binary_heap::PeekMut::pop(first).0.2;
            }
            let delay = self.random() % self.lateness_ms;
            let event = self.happens(now_ms);
            self.on_the_way.push(Reverse((now_ms + delay as i64, self.number, event)));
            self.number += 1;
        }
    }

    fn happens(&mut self, time_ms: i64) -> Happened {
        let user = match self.random() % 1000 < HOT_PER_MILLE {
            true => self.random() % HOT,
            false => self.random() % self.keys,
        };
        let what = match self.random() % 1000 {
            0 => What::Admin,
            1..=100 => What::Worked,
            _ => What::Failed,
        };
        let ip = self.random() % self.keys;
        let (high, low) = (self.random(), self.random());
        Happened {
            time_ms,
            id: format!(
                "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 52,
                low & 0xffff_ffff_ffff
            ),
            what,
            user: format!("user{user:06}@example.org"),
            ip: format!("10.{}.{}.{}", ip >> 16, ip >> 8 & 255, ip & 255),
            bytes: (self.random() % 100_000) as i64,
        }
    }
}

static NONE: LogSource = LogSource { product: None, category: None, service: None };

impl Event for Happened {
    fn logsource(&self) -> &LogSource {
        &NONE
    }

    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let value = match name {
            "user" => Scalar::Text(&self.user),
            "ip" => Scalar::Text(&self.ip),
            "bytes" => Scalar::Integer(self.bytes),
            _ => return false,
        };
        each(value);
        true
    }

    fn every<'e>(&'e self, _: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool) {}
}
