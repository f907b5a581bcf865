//! Log lines of one test, kept; a line of level ERROR that the test did not expect fails it.

use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(Level, String, String)>>>);

/// The sentence, and every field.
struct Message(String, String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        } else {
            self.1.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new(), String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0, message.1));
    }
}

/// Catches the lines of this thread until it is dropped.
pub struct Logs {
    kept: Kept,
    expected: Mutex<Vec<&'static str>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Logs {
    pub fn catch() -> Self {
        let kept = Kept::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
        Self { kept, expected: Mutex::default(), _guard: guard }
    }

    /// ERROR lines that begin so are right in this test.
    pub fn expect(&self, beginnings: &[&'static str]) {
        self.expected.lock().unwrap().extend(beginnings);
    }

    pub fn has(&self, level: Level, line: &str) -> bool {
        self.kept.0.lock().unwrap().iter().any(|(at, text, _)| *at == level && text == line)
    }

    /// Lines with their fields.
    pub fn whole(&self) -> Vec<String> {
        let kept = self.kept.0.lock().unwrap();
        kept.iter().map(|(level, text, fields)| format!("{level} {text}{fields}")).collect()
    }

    pub fn lines(&self) -> Vec<String> {
        self.kept.0.lock().unwrap().iter().map(|(level, text, _)| format!("{level} {text}")).collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let expected = self.expected.lock().unwrap();
        for (level, text, _) in self.kept.0.lock().unwrap().iter() {
            let right = expected.iter().any(|beginning| text.starts_with(beginning));
            assert!(*level != Level::ERROR || right, "an ERROR line that nobody expected: {text}");
        }
    }
}
