//! Ids: sortable by time, typed by kind, safe to double-click.
//!
//! An id is 128 bits, 48 of time and 80 of chance, printed as a prefix and 26 letters of Crockford's base 32
//! (the ULID layout). Ids of two kinds cannot mix. Randomness comes in as an argument.
//! Read next: [`crate::time`].

use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 26;

/// Why a text is not an id: the expected prefix and the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as an id: expected {prefix}_ and 26 letters or digits")]
pub struct Error {
    pub prefix: &'static str,
    pub text: String,
}

fn encode(value: u128) -> String {
    (0..LETTERS).rev().map(|place| ALPHABET[((value >> (place * 5)) & 31) as usize] as char).collect()
}

fn decode(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    // The first letter carries three bits only, so anything above 7 would not fit into 128.
    if bytes.len() != LETTERS || !(b'0'..=b'7').contains(&bytes[0]) {
        return None;
    }
    bytes.iter().try_fold(0u128, |value, byte| {
        let letter = match byte.to_ascii_uppercase() {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        };
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        Some((value << 5) | digit as u128)
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// An id minted at `at` with 80 bits of `chance` (the upper bits of `chance` are dropped).
            pub fn mint(at: Timestamp, chance: u128) -> Self {
                Self(((at.0.max(0) as u128 & 0xFFFF_FFFF_FFFF) << 80) | (chance & ((1 << 80) - 1)))
            }

            /// The moment at which the id was minted.
            pub fn minted_at(self) -> Timestamp {
                Timestamp((self.0 >> 80) as i64)
            }

            pub fn bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                let bare = text.strip_prefix(concat!($prefix, "_"));
                bare.and_then(decode).map(Self).ok_or_else(|| Error { prefix: $prefix, text: text.to_owned() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One execution of a pack.
    RunId,
    "run"
);
id!(
    /// One incarnation of a worker; a restart is another incarnation.
    WorkerId,
    "wrk"
);
id!(
    /// One call of an outside client to a model.
    CallId,
    "call"
);
id!(
    /// One deed of an operator, as the audit trail names it.
    OperationId,
    "op"
);
id!(
    /// An API key (not its secret).
    KeyId,
    "key"
);
id!(
    /// An injected fault.
    FaultId,
    "flt"
);

/// Whether a text may serve as a correlation id: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn is_correlation_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
