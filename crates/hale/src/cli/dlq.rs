//! `hale dlq …`: runs that ended without success, grouped by cause, and what becomes of them.

mod discard;
mod list;
mod redrive;
mod review;
mod show;

use super::ctx::Ctx;
use crate::cli::many::{Consent, Many};
use crate::cli::runs::list::filter;
use crate::exit::{Error, Exit};
use crate::wire::bulk::BulkRequest;
use clap::Subcommand;

/// Look at dead letters, redrive and discard them
#[derive(Debug, Subcommand)]
#[command(visible_alias = "dead-letters")]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Review(review::Args),
    Redrive(redrive::Args),
    Discard(discard::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Review(args) => review::run(args, ctx).await,
            Verb::Redrive(args) => redrive::run(args, ctx).await,
            Verb::Discard(args) => discard::run(args, ctx).await,
        }
    }
}

/// Which dead letters are meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Which {
    /// Ids of runs, or a filter: cause:CAUSE pack:NAME since:SPAN until:SPAN
    #[arg(value_name = "RUN|FILTER")]
    what: Vec<String>,
    /// Of this cause
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Of this pack
    #[arg(long, value_name = "NAME")]
    pack: Option<String>,
    /// That died within this span
    #[arg(long, value_name = "SPAN")]
    since: Option<String>,
}

impl Which {
    /// Ids, if only ids are named.
    fn runs(&self) -> Vec<String> {
        let ids = self.what.iter().all(|word| word.starts_with("run_"));
        if ids { self.what.clone() } else { Vec::new() }
    }

    /// The filter in the words of the server.
    fn filter(&self) -> String {
        let given = [("cause", &self.cause), ("pack", &self.pack), ("since", &self.since)];
        let given = given.iter().filter_map(|(key, value)| Some(format!("{key}:{}", value.as_ref()?)));
        let mut words: Vec<String> = if self.runs().is_empty() { self.what.clone() } else { Vec::new() };
        words.extend(given);
        filter(&words)
    }

    /// The same in the words of the command line.
    fn shown(&self) -> String {
        if self.runs().is_empty() { self.filter() } else { self.what.join(" ") }
    }
}

/// Redrives or discards what is meant, with consent.
async fn act(
    ctx: &mut Ctx,
    (path, verb): (&'static str, &'static str),
    (which, all, reason): (&Which, bool, Option<String>),
    consent: Consent,
) -> Result<Exit, Error> {
    let runs = which.runs();
    let again = ["hale dlq", verb, &if all { "--all".to_owned() } else { which.shown() }].join(" ");
    let request = BulkRequest { filter: which.filter(), runs, all, dry_run: false, reason };
    let client = ctx.client().await?;
    crate::cli::many::run(ctx, &client, (Many { path, verb, request, again }, consent)).await
}
