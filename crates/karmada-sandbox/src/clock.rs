//! The two sources of chance: the wall clock and identifiers. Everything else in this crate gets
//! its time and its identifiers from here, which is what makes a stepped run repeatable.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Reads the wall clock. Only the driver and the request layer of an automatic sandbox call this.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// `at` plus `by`, clamped to the end of time.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// How long `later` is after `earlier`; zero if it is not.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// Kubernetes' `Time`: whole seconds, UTC.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Kubernetes' `MicroTime`.
pub(crate) fn micro_stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The log line prefix of `kubectl logs --timestamps`.
pub(crate) fn nano_stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// A seeded source of identifiers (splitmix64): the same seed and the same calls give the same
/// names and uids.
#[derive(Debug)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn uid(&mut self) -> String {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }

    /// The suffix the API server and the workload controllers append to generated names.
    pub(crate) fn suffix(&mut self) -> String {
        safe_encode(self.next(), 5)
    }
}

/// Encodes `bits` with the alphabet Kubernetes uses for generated names: no vowels, no digits
/// that look like letters.
pub(crate) fn safe_encode(mut bits: u64, length: usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut out = String::with_capacity(length);
    for _ in 0..length {
        let at = usize::try_from(bits % 27).unwrap_or_default();
        out.push(ALPHABET.get(at).copied().unwrap_or(b'x').into());
        bits /= 27;
    }
    out
}

/// FNV-1a, the hash Karmada uses for the names of Works.
pub(crate) fn fnv64(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
