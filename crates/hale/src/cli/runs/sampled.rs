//! Which runs a statistic is made of, and how much of them was looked at.

use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::escape;
use crate::exit::Error;
use crate::wire::stats::StatsReport;
use clap::Args;

/// Of which runs.
#[derive(Clone, Debug, Default, Args)]
pub struct Sampled {
    /// A filter as in `hale runs list`
    filter: Vec<String>,
    /// Of this pack
    #[arg(long, value_name = "NAME")]
    pack: Option<String>,
    /// Submitted within this span, such as 1h
    #[arg(long, value_name = "SPAN", visible_alias = "since")]
    last: Option<String>,
}

impl Sampled {
    fn words(&self) -> String {
        let mut words = self.filter.clone();
        words.extend(self.pack.as_ref().map(|pack| format!("pack:{pack}")));
        words.extend(self.last.as_ref().map(|last| format!("since:{last}")));
        filter(&words)
    }

    /// Asks for a report.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the filter.
    pub async fn report(&self, ctx: &Ctx, (path, more): (&str, &str)) -> Result<StatsReport, Error> {
        ctx.client().await?.get(format!("{path}?filter={}{more}", escape(&self.words()))).await
    }
}

/// Says of how much the numbers are.
pub fn said(ctx: &mut Ctx, report: &StatsReport) {
    let more = if report.capped { ", the newest; narrow it to see the others" } else { "" };
    let journals = match report.sampled_journals {
        0 => String::new(),
        n => format!(", journals of {n}"),
    };
    ctx.screen.note(&format!("of {} runs{more}{journals}", report.sampled_runs));
}
