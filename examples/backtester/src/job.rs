//! One back-test from file to results, stage by stage.
//!
//! Guarantees: the results folder holds a result only if the whole back-test went well; an older result is not
//! overwritten unasked, and is gone before a new one is begun, so a result never belongs to another run.
//! Read next: [`crate::simulate`].

use crate::analysis::analyse;
use crate::bars::{Gaps, Range, reading};
use crate::chart;
use crate::failure::Failure;
use crate::misbehave::{self, Misbehave};
use crate::params::Params;
use crate::progress::{Progress, Stage};
use crate::result::{CHART_FILE, RESULT_FILE, Report, place};
use crate::simulate::simulate;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Job {
    pub data: PathBuf,
    pub results: PathBuf,
    pub earlier: Earlier,
    pub params: Params,
    pub range: Range,
    pub gaps: Gaps,
    pub misbehave: Option<Misbehave>,
}

/// What to do with an earlier result in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    Keep,
    Replace,
}

pub fn run(job: &Job, progress: &mut Progress) -> Result<Report, Failure> {
    progress.begin(Stage::DataLoading);
    prepare(&job.results, job.earlier)?;
    let series = reading::read(&job.data, job.gaps)?;

    progress.begin(Stage::StrategyInit);
    job.params.check()?;
    let series = series.within(job.range, job.params.strategy.bars_needed())?;

    progress.begin(Stage::Simulation);
    let total = series.bars.len();
    let walk = simulate(&series.bars, &job.params, &mut |done| {
        progress.walked(done, total);
        if let Some(way) = job.misbehave.filter(|_| done == total / 2) {
            misbehave::at_half(way);
        }
    })?;

    progress.begin(Stage::Analysis);
    let metrics = analyse(&series.bars, &walk, &job.params);
    let report = Report::new(&series, &job.params, walk, metrics);

    progress.begin(Stage::Writing);
    if job.misbehave != Some(Misbehave::NoResult) {
        let svg = chart::svg(&series, &report);
        place(&job.results, CHART_FILE, |out| out.write_all(svg.as_bytes()))?;
        report.write(&job.results)?;
    }
    Ok(report)
}

fn prepare(folder: &Path, earlier: Earlier) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let what = format!("create the results folder {}: {error}", folder.display());
        Failure::other(what, "give --out a folder that you may write")
    })?;
    for name in [RESULT_FILE, CHART_FILE] {
        let path = folder.join(name);
        if !path.exists() {
            continue;
        }
        if earlier == Earlier::Keep {
            let what = format!("{} holds an earlier result", path.display());
            return Err(Failure::usage(what, "give --out another folder, or pass --overwrite"));
        }
        std::fs::remove_file(&path).map_err(|error| {
            let what = format!("remove the earlier {}: {error}", path.display());
            Failure::other(what, "remove it by hand, or give --out another folder")
        })?;
    }
    Ok(())
}
