use schema::Timestamp;

/// A token bucket, kept as one moment in time (GCRA, ITU-T I.371 Annex A).
#[derive(Debug)]
pub struct Bucket {
    /// Microseconds between two tokens; `None` when the rate is 0.
    interval: Option<i64>,
    /// How far ahead of `now` the next token may lie: the burst.
    tolerance: i64,
    /// When the bucket would be full again.
    full_at: i64,
}

/// A burst is this part of a minute's tokens: a page with its pictures loads, a flood does not.
const BURST_SHARE: u32 = 6;

impl Bucket {
    pub fn new(rate_per_minute: u32) -> Self {
        let interval = (rate_per_minute > 0).then(|| 60_000_000 / i64::from(rate_per_minute));
        let burst = i64::from((rate_per_minute / BURST_SHARE).max(1));
        Bucket { interval, tolerance: interval.unwrap_or(0) * (burst - 1), full_at: i64::MIN }
    }

    /// Takes a token, or says in how many seconds there is one.
    pub fn take(&mut self, now: Timestamp) -> Result<(), u64> {
        let Some(interval) = self.interval else { return Err(60) };
        let now = now.saturating_mul(1_000);
        let full_at = self.full_at.max(now);
        let ahead = full_at - now;
        if ahead > self.tolerance {
            let wait = ahead - self.tolerance;
            return Err(u64::try_from(wait).unwrap_or(0).div_ceil(1_000_000).max(1));
        }
        self.full_at = full_at + interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut bucket = Bucket::new(60);
        let allowed = (0..20).filter(|_| bucket.take(0).is_ok()).count();
        assert_eq!(allowed, 10);
        assert_eq!(bucket.take(0), Err(1));
        assert_eq!(bucket.take(1_000), Ok(()));
        assert_eq!(bucket.take(1_000), Err(1));
        let rate = (1..=600).filter(|i| bucket.take(1_000 + i * 100).is_ok()).count();
        assert_eq!(rate, 60);
    }

    #[test]
    fn slow_rates_say_how_long_to_wait() {
        let mut bucket = Bucket::new(2);
        assert_eq!(bucket.take(0), Ok(()));
        assert_eq!(bucket.take(0), Err(30));
        assert_eq!(bucket.take(29_500), Err(1));
        assert_eq!(bucket.take(30_000), Ok(()));
        assert_eq!(Bucket::new(0).take(0), Err(60));
    }
}
