use ring::rand::{SecureRandom, SystemRandom};
use schema::Timestamp;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Clock, chance and waiting, so that tests bring their own.
pub trait Rim: Send + Sync {
    fn now(&self) -> Timestamp;
    /// A number from 0 to `max`, both included.
    fn chance(&self, max: u64) -> u64;
    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The machine's own.
#[derive(Debug)]
pub struct System {
    random: SystemRandom,
}

impl Default for System {
    fn default() -> Self {
        System { random: SystemRandom::new() }
    }
}

impl Rim for System {
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().as_millisecond()
    }

    fn chance(&self, max: u64) -> u64 {
        let mut bytes = [0u8; 8];
        // Without randomness retries lose their jitter, not their back-off.
        if self.random.fill(&mut bytes).is_err() {
            return max / 2;
        }
        let number = u64::from_be_bytes(bytes);
        max.checked_add(1).map_or(number, |values| number % values)
    }

    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }
}
