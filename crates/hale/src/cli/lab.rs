//! `hale lab`: parts of the simulated world by themselves, for the demo, the tests and the benchmarks. Hidden.
//!
//! Read next: `hale-lab/src/lib.rs`.

pub mod arm;
pub mod seed_runs;
pub mod sim;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Parts of the simulated world
#[derive(Debug, Subcommand)]
pub enum Verb {
    Arm(arm::Args),
    Sim(sim::Args),
    SeedRuns(seed_runs::Args),
}

impl Verb {
    pub fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Arm(args) => arm::run(args, ctx),
            Verb::Sim(args) => sim::run(&args, ctx),
            Verb::SeedRuns(args) => seed_runs::run(&args, ctx),
        }
    }
}
