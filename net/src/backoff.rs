//! Pauses between dials (jittered exponential back-off) and the token bucket of receive budgets. Time is passed in.

use std::time::{Duration, Instant};

/// A small generator for jitter; not for secrets.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The pause before the next dial of one peer.
#[derive(Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new(min_ms: u64, max_ms: u64) -> Self {
        let min_ms = min_ms.max(1);
        Self { min_ms, max_ms: max_ms.max(min_ms), next_ms: min_ms }
    }

    /// The next pause: between half and all of a value that doubles each time.
    pub(crate) fn pause(&mut self, jitter: &mut Jitter) -> Duration {
        let base = self.next_ms;
        self.next_ms = base.saturating_mul(2).min(self.max_ms);
        let half = base / 2;
        Duration::from_millis(half + jitter.next() % (base - half + 1))
    }

    pub(crate) fn reset(&mut self) {
        self.next_ms = self.min_ms;
    }
}

/// A budget per second with a burst of one second. Spending may go into debt; the debt says how long to wait.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_s: u64,
    balance: i64,
    refilled_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(per_s: u64, now: Instant) -> Self {
        let per_s = per_s.clamp(1, 1 << 40);
        Self { per_s, balance: per_s as i64, refilled_at: now }
    }

    pub(crate) fn spend(&mut self, amount: u64) {
        self.balance = self.balance.saturating_sub(i64::try_from(amount).unwrap_or(i64::MAX));
    }

    /// Refills up to `now`; how long to wait until the balance is not negative, if it is.
    pub(crate) fn debt(&mut self, now: Instant) -> Option<Duration> {
        let elapsed_us = now.saturating_duration_since(self.refilled_at).as_micros();
        let gained = elapsed_us * u128::from(self.per_s) / 1_000_000;
        // A gain of nothing must not move the time, or a busy caller would never refill.
        if gained > 0 {
            let room = i128::from(self.per_s) - i128::from(self.balance);
            self.balance += i64::try_from((gained.min(i64::MAX as u128) as i128).min(room)).unwrap_or(0);
            self.refilled_at = now;
        }
        if self.balance >= 0 {
            return None;
        }
        let missing = self.balance.unsigned_abs();
        Some(Duration::from_micros((u128::from(missing) * 1_000_000 / u128::from(self.per_s)) as u64 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_maximum_and_reset() {
        let (mut backoff, mut jitter) = (Backoff::new(50, 5_000), Jitter::new(1));
        let mut base = 50;
        for _ in 0..12 {
            let pause = backoff.pause(&mut jitter).as_millis() as u64;
            assert!((base / 2..=base).contains(&pause), "{pause} for {base}");
            base = (base * 2).min(5_000);
        }
        backoff.reset();
        assert!(backoff.pause(&mut jitter) <= Duration::from_millis(50));
    }

    #[test]
    fn bucket_allows_a_burst_then_asks_for_the_right_wait() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(1_000, start);
        bucket.spend(1_000);
        assert_eq!(bucket.debt(start), None);
        bucket.spend(500);
        let wait = bucket.debt(start).unwrap();
        assert!((499..=501).contains(&wait.as_millis()), "{wait:?}");
        assert!(bucket.debt(start + Duration::from_millis(400)).is_some());
        assert_eq!(bucket.debt(start + Duration::from_millis(501)), None);
        // The balance never exceeds one second's worth.
        assert_eq!(bucket.debt(start + Duration::from_secs(100)), None);
        bucket.spend(1_001);
        assert!(bucket.debt(start + Duration::from_secs(100)).is_some());
    }
}
