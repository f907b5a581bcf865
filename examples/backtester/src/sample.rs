//! Invented prices, so that there is something to try and nothing to license.
//!
//! Guarantees: the same seed and number of days give the same file, byte for byte, on every machine: whole numbers and
//! the four operations only, no functions whose last digit depends on a library. They are a random walk with moods and
//! prove nothing about any market.

use jiff::civil::date;
use std::fmt::Write;

/// A file of this many days is 300 kB; who wants more wants real data.
pub const DAYS_MAX: u32 = 5_000;
const FIRST_PRICE: f64 = 42_000.0;

/// The text of a CSV file of daily bars from 2022-01-01.
pub fn csv(seed: u64, days: u32) -> String {
    let mut draw = Draw(seed);
    let mut mood = Mood { drift: 0.0, spread: 0.02, days: 0 };
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut open = FIRST_PRICE;
    let mut day = date(2022, 1, 1);
    for _ in 0..days {
        mood.pass(&mut draw);
        let change = mood.drift + mood.spread * draw.bell();
        // A day takes at most a fifth: the bell has ends, but the price must stay above nothing.
        let close = cents(open * (1.0 + change.clamp(-0.2, 0.2)));
        let high = cents(open.max(close) * (1.0 + mood.spread * draw.part() * 0.6));
        let low = cents(open.min(close) * (1.0 - mood.spread * draw.part() * 0.6));
        let volume = 800.0 + 2_400.0 * draw.part() + 30_000.0 * change.abs();
        writeln!(text, "{day},{open:.2},{high:.2},{low:.2},{close:.2},{volume:.1}")
            .expect("writing to a string does not fail");
        open = close;
        day = day.tomorrow().expect("5,000 days after 2022 are in the calendar");
    }
    text
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round().max(100.0) / 100.0
}

/// Markets have moods that last; without them no rule of trend would ever see one.
struct Mood {
    drift: f64,
    spread: f64,
    days: u32,
}

impl Mood {
    fn pass(&mut self, draw: &mut Draw) {
        if self.days == 0 {
            self.drift = (draw.part() - 0.47) * 0.014;
            self.spread = 0.008 + 0.022 * draw.part();
            self.days = 20 + (draw.part() * 70.0) as u32;
        }
        self.days -= 1;
    }
}

/// SplitMix64 of Steele, Lea and Flood: small, known, and enough for invented prices.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly a bell curve around 0 with spread 1: twelve parts added.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }
}
