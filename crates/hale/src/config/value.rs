//! How each kind of value is read and shown.
//!
//! Durations and sizes are written as people do, `"60s"` and `"512 MiB"`, in files and in the environment alike.
//! Guarantees: what [`Setting::show`] writes, [`Setting::read`] reads.
//! Read next: [`super::keys`].

use hale_core::time::Millis;
use hale_core::web::Site;
use hale_sandbox::Grant;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// A value as it was found, before its kind is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    Text(String),
    List(Vec<String>),
    /// Something that no setting takes.
    Other(&'static str),
}

/// A kind of value.
pub trait Setting: Sized {
    /// What to write, for errors and the documentation: `a span such as 60s`.
    const EXPECTS: &'static str;
    /// None when the text is not of this kind.
    fn read(text: &str) -> Option<Self>;
    fn show(&self) -> String;

    /// What stands for a value that nobody gave; none where one is needed.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a raw value.
    ///
    /// # Errors
    /// Why it does not fit, readable after "set KEY".
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::read(text).ok_or_else(|| format!("{text:?} is not {}", Self::EXPECTS)),
            Raw::List(_) => Err(format!("a list is not {}", Self::EXPECTS)),
            Raw::Other(what) => Err(format!("{what} is not {}", Self::EXPECTS)),
        }
    }
}

impl Setting for SocketAddr {
    const EXPECTS: &'static str = "an address such as 127.0.0.1:8080; port 0 takes a free one";
    fn read(text: &str) -> Option<Self> {
        if let Some(port) = text.strip_prefix("localhost:") {
            return Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)));
        }
        // Names other than localhost are not looked up: whose address is listened on must stand in the file.
        text.parse::<SocketAddr>().ok()?.to_socket_addrs().ok()?.next()
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for PathBuf {
    const EXPECTS: &'static str = "a folder";
    fn read(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for String {
    const EXPECTS: &'static str = "a text";
    fn read(text: &str) -> Option<Self> {
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for bool {
    const EXPECTS: &'static str = "true or false";
    fn read(text: &str) -> Option<Self> {
        match text {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const EXPECTS: &'static str = "a whole number";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Millis {
    const EXPECTS: &'static str = "a span such as 250ms, 60s, 5m or 30d";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Lists stand in brackets in files and between commas in the environment.
impl<T: Setting> Setting for Vec<T> {
    const EXPECTS: &'static str = T::EXPECTS;
    fn read(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::read).collect()
    }
    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(", ")
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        let items: Vec<&str> = match raw {
            Raw::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Raw::List(items) => items.iter().map(String::as_str).collect(),
            Raw::Other(what) => return Err(format!("{what} is not a list")),
        };
        items.into_iter().map(|item| T::from_raw(&Raw::Text(item.to_owned()))).collect()
    }
}

impl<T: Setting> Setting for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        T::from_raw(raw).map(Some)
    }
}

impl Setting for Grant {
    const EXPECTS: &'static str = "a folder and a mode, such as /var/log:ro";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => text.parse().map_err(|error: hale_sandbox::grant::Error| error.to_string()),
            Raw::List(_) | Raw::Other(_) => Err(format!("this is not {}", Self::EXPECTS)),
        }
    }
}

impl Setting for Site {
    const EXPECTS: &'static str = "a host such as example.com, *.example.com, * or 10.0.0.7:8080";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => text.parse().map_err(|error: hale_core::web::Error| error.to_string()),
            Raw::List(_) | Raw::Other(_) => Err(format!("this is not {}", Self::EXPECTS)),
        }
    }
}

/// Bytes, as people write them: `512 MiB`, `10GiB`, `1 GB`, `4096 B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl Setting for Size {
    const EXPECTS: &'static str = "a size such as 512 MiB or 10 GiB";
    fn read(text: &str) -> Option<Self> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
        let unit = text[digits..].trim();
        let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        text[..digits].parse::<u64>().ok()?.checked_mul(*bytes).map(Size)
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS[..5].iter().rev().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, unit) = fits.unwrap_or(&UNITS[0]);
        write!(f, "{} {name}", self.0 / unit)
    }
}

/// A closed set of words, as an enum with its texts.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expects:literal, $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $alias:literal)*),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl Setting for $name {
            const EXPECTS: &'static str = $expects;
            fn read(text: &str) -> Option<Self> {
                $(if [$word $(, $alias)*].iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    return Some($name::$variant);
                })+
                None
            }
            fn show(&self) -> String {
                match self { $($name::$variant => $word),+ }.to_owned()
            }
        }
    };
}

words!(
    /// Which lines of the log are kept.
    LogLevel, "one of ERROR, WARN, INFO, DEBUG and TRACE",
    Error = "ERROR", Warn = "WARN" | "WARNING", Info = "INFO", Debug = "DEBUG", Trace = "TRACE",
);
words!(
    /// How lines of the log look on a terminal; the file always has JSON.
    LogFormat, "json or text",
    Json = "json", Text = "text",
);
words!(
    /// Whether `hale up` starts the simulated provider.
    SimMode, "auto, on or off",
    /// When the default model is `sim/…`.
    Auto = "auto",
    On = "on" | "true",
    Off = "off" | "false",
);
words!(
    /// Where faults may be injected.
    ChaosAllow, "loopback, always or never",
    Loopback = "loopback", Always = "always", Never = "never",
);
words!(
    /// What the content guard does where a pack says nothing.
    GuardDefault, "allow, shadow, redact or block",
    Allow = "allow", Shadow = "shadow", Redact = "redact", Block = "block",
);
words!(
    /// How long a client's call waits before all its models are tried again.
    ModelRetry, "agentos, octollm or off",
    AgentOs = "agentos", OctoLlm = "octollm", Off = "off",
);
words!(
    /// How a provider is spoken to.
    Dialect, "openai, anthropic, anthropic-2026-10-21 or ollama",
    OpenAi = "openai", Anthropic = "anthropic", Anthropic2026 = "anthropic-2026-10-21", Ollama = "ollama",
);
