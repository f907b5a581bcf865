//! `hale chaos inject FAULT`.

use crate::cli::ctx::Ctx;
use crate::cli::doctor::pair;
use crate::exit::{Error, Exit};
use crate::render::when;
use crate::wire::{FaultView, InjectFault};
use hale_core::time::Millis;

/// Break something on purpose
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale chaos inject llm.rate_limit --for 2m
  hale chaos inject llm.slow --for 5m --set wait=20s
  hale chaos inject worker.kill_all

Faults, with the values they take:
  llm.rate_limit   model         llm.key_refuse   model
  llm.slow         model, wait   tool.loop        model
  worker.kill_all                disk.fill
  packs.close      pack          packs.open       pack")]
pub struct Args {
    /// Which fault
    fault: String,
    /// Remove it by itself after this long
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Millis>,
    /// A value of the fault, such as model=backup
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = InjectFault {
        fault: args.fault,
        r#for: args.span.map(|span| format!("{}ms", span.0)),
        params: args.set.into_iter().collect(),
    };
    let fault: FaultView = ctx.client().await?.post("/api/v1/chaos", &order).await?;
    ctx.screen.one(&fault, &fault.id, |look| {
        let until = fault
            .until
            .as_deref()
            .map_or("until it is cleared".to_owned(), |until| format!("until {}", when::moment(look, until)));
        format!("{}\n", look.warn(&format!("injected {} into {} {until}", fault.fault, fault.target)))
    });
    ctx.screen.next(&format!("hale chaos clear {}", fault.id));
    Ok(Exit::Done)
}
