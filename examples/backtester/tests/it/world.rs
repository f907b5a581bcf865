//! What the tests share: bars from numbers, parameters without costs, the program in a folder of its own.

use hale_backtester::bars::Bar;
use hale_backtester::bars::moment::{Moment, parse};
use hale_backtester::params::{Params, Rule, Size};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub const DAY: i64 = 86_400;

/// Day `index` of the tests' calendar.
pub fn day(index: usize) -> Moment {
    let first = parse("2024-01-01").unwrap().as_second();
    Moment(jiff::Timestamp::from_second(first + index as i64 * DAY).unwrap())
}

/// Daily bars of open, high, low, close.
pub fn bars(rows: &[[f64; 4]]) -> Vec<Bar> {
    let bar = |(index, [open, high, low, close]): (usize, &[f64; 4])| Bar {
        at: day(index),
        open: *open,
        high: *high,
        low: *low,
        close: *close,
        volume: 1.0,
    };
    rows.iter().enumerate().map(bar).collect()
}

/// Bars that matter by open and close only.
pub fn moves(rows: &[(f64, f64)]) -> Vec<Bar> {
    let rows: Vec<[f64; 4]> =
        rows.iter().map(|(open, close)| [*open, open.max(*close), open.min(*close), *close]).collect();
    bars(&rows)
}

pub fn free(strategy: Rule, initial_capital: f64) -> Params {
    Params {
        strategy,
        fee_bps: 0.0,
        slippage_bps: 0.0,
        initial_capital,
        size: Size::Fraction { fraction: 1.0 },
        risk_free_rate_fraction: 0.0,
        periods_per_year: None,
    }
}

pub fn near(found: f64, expected: f64) {
    let scale = expected.abs().max(1.0);
    assert!((found - expected).abs() <= 1e-9 * scale, "found {found}, expected {expected}");
}

pub fn synthetic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/synthetic-btc-1d.csv")
}

pub struct Place {
    pub folder: TempDir,
}

/// How the program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: TempDir::new().unwrap() }
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    pub fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("prices.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, program: &str) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test of the program starts the program")]
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command
    }

    /// `run` over a file into this place.
    pub fn run(&self, data: &Path, more: &[&str]) -> Ended {
        let out = self.out();
        let mut args = vec!["run", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
        args.extend(more);
        self.ended(&args)
    }

    pub fn ended(&self, args: &[&str]) -> Ended {
        let output = self.command(env!("CARGO_BIN_EXE_hale-backtester")).args(args).output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn result(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.out().join("backtest-result.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn results(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.out()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Ended {
    /// The JSON object on the last line of stderr.
    pub fn said(&self) -> serde_json::Value {
        serde_json::from_str(self.stderr.lines().last().unwrap_or_default())
            .unwrap_or_else(|_| panic!("the last line is no JSON:\n{}", self.stderr))
    }
}
