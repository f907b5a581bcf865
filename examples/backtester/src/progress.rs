//! Where a back-test stands, told line by line on stderr.
//!
//! Guarantees: every stage is announced once as it begins, in this order; the simulation also says how many bars of how
//! many it has walked, in at most 22 lines. A reader who has gone away stops nothing.
//! Read next: [`crate::job`].

use std::io::Write;

/// How many lines the simulation may write between its first and its last: enough to watch, too few to flood a log.
const LINES_BETWEEN: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    DataLoading,
    StrategyInit,
    Simulation,
    Analysis,
    Writing,
}

impl Stage {
    pub const ALL: [Stage; 5] =
        [Stage::DataLoading, Stage::StrategyInit, Stage::Simulation, Stage::Analysis, Stage::Writing];

    pub fn name(self) -> &'static str {
        match self {
            Stage::DataLoading => "data_loading",
            Stage::StrategyInit => "strategy_init",
            Stage::Simulation => "simulation",
            Stage::Analysis => "analysis",
            Stage::Writing => "writing",
        }
    }
}

pub struct Progress<'a> {
    out: &'a mut dyn Write,
    stage: Option<Stage>,
}

impl<'a> Progress<'a> {
    pub fn to(out: &'a mut dyn Write) -> Progress<'a> {
        Progress { out, stage: None }
    }

    /// The stage that was begun last.
    pub fn stage(&self) -> Option<Stage> {
        self.stage
    }

    pub fn begin(&mut self, stage: Stage) {
        self.stage = Some(stage);
        if stage != Stage::Simulation {
            self.line(stage.name());
        }
    }

    /// `done` bars of `total` are walked.
    pub fn walked(&mut self, done: usize, total: usize) {
        let every = total.div_ceil(LINES_BETWEEN).max(1);
        if done.is_multiple_of(every) || done == total {
            self.line(&format!("{} {done}/{total}", Stage::Simulation.name()));
        }
    }

    fn line(&mut self, what: &str) {
        // Nobody may be reading; the result counts.
        let _ = writeln!(self.out, "STAGE {what}");
        let _ = self.out.flush();
    }
}
