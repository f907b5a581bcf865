//! `backtest-result.json`: its shape, and writing it.
//!
//! Guarantees: fields carry their unit in the name; nothing in it depends on when or where it was made; a reader never
//! sees half of it, as it is written beside its place and then moved there. The result is written last, so whoever
//! finds it finds the chart too.
//! Read next: the table of fields in the README beside this program.

use crate::analysis::{Metrics, depths};
use crate::bars::Series;
use crate::bars::moment::Moment;
use crate::failure::Failure;
use crate::layout::Rows;
use crate::params::Params;
use crate::simulate::{Trade, Walk};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub const SCHEMA_VERSION: u32 = 1;
pub const RESULT_FILE: &str = "backtest-result.json";
pub const CHART_FILE: &str = "equity.svg";

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub program: Program,
    pub params: Params,
    pub data: Data,
    pub metrics: Metrics,
    pub trades: Vec<Trade>,
    pub equity: Vec<EquityPoint>,
}

#[derive(Debug, Serialize)]
pub struct Program {
    pub name: &'static str,
    pub version: &'static str,
}

/// What it was reckoned from.
#[derive(Debug, Serialize)]
pub struct Data {
    pub file: String,
    pub sha256: String,
    pub bars_count: usize,
    pub first_at: Moment,
    pub last_at: Moment,
    pub bar_seconds: i64,
    pub gaps_count: usize,
}

/// The account at the close of a bar.
#[derive(Debug, Serialize)]
pub struct EquityPoint {
    pub at: Moment,
    pub equity_amount: f64,
    pub drawdown_fraction: f64,
    pub invested: bool,
}

impl Report {
    pub fn new(series: &Series, params: &Params, walk: Walk, metrics: Metrics) -> Report {
        let at =
            |bar: Option<&crate::bars::Bar>| bar.map_or(Moment(jiff::Timestamp::UNIX_EPOCH), |bar| bar.at);
        let equity = walk.points.iter().zip(depths(&walk.points)).map(|(point, depth)| EquityPoint {
            at: point.at,
            equity_amount: point.equity,
            drawdown_fraction: depth,
            invested: point.invested,
        });
        Report {
            schema_version: SCHEMA_VERSION,
            program: Program { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            params: params.clone(),
            data: Data {
                file: series.file.clone(),
                sha256: series.sha256.clone(),
                bars_count: series.bars.len(),
                first_at: at(series.bars.first()),
                last_at: at(series.bars.last()),
                bar_seconds: series.bar_seconds,
                gaps_count: series.gaps_count,
            },
            metrics,
            equity: equity.collect(),
            trades: walk.trades,
        }
    }

    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        place(folder, RESULT_FILE, |out| {
            let mut rows = serde_json::Serializer::with_formatter(&mut *out, Rows::default());
            self.serialize(&mut rows).map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })
    }
}

/// Writes a file beside its place, makes it durable and moves it there.
pub fn place(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let partial = folder.join(format!(".{name}.partial"));
    let attempt = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(&partial)?);
        fill(&mut out)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&partial, folder.join(name))
    };
    attempt().map_err(|error| {
        // Half a file helps nobody; if it cannot be removed either, the first error is the one to tell.
        let _ = std::fs::remove_file(&partial);
        let what = format!("write {}: {error}", folder.join(name).display());
        Failure::other(what, "check that the folder is there, may be written, and its disk has room")
    })
}
