//! `hale arms register NAME`.

use crate::cli::ctx::Ctx;
use crate::cli::doctor::pair;
use crate::exit::{Error, Exit};
use crate::render::arm as shown;
use crate::wire::arms::ArmView;
use hale_core::arm::Registration;
use hale_core::time::Millis;

/// Let a service elsewhere take tasks; it answers `POST /execute` and `GET /health`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms register planner-arm --at http://127.0.0.1:8100 --domain planning --keyword plan --keyword \"break down\"
  hale arms register mailer --at http://127.0.0.1:8106 --capability mail --keyword mail --timeout 5m
  hale arms register planner-arm                # again as it was, after `hale arms deregister planner-arm`

A service on another host needs the setting arms.allow.")]
pub struct Args {
    /// Name of the arm
    name: String,
    /// Base address of the service [default: as it was registered before]
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// Field of its work; counts 50 when it stands in a goal (may be repeated)
    #[arg(long)]
    domain: Vec<String>,
    /// Word that counts 10 when it stands in a goal (may be repeated)
    #[arg(long)]
    keyword: Vec<String>,
    /// What it can do [default: its domains] (may be repeated)
    #[arg(long)]
    capability: Vec<String>,
    /// What it says of itself, such as network=none (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    property: Vec<(String, String)>,
    /// The same task may be sent to it twice without harm
    #[arg(long)]
    idempotent: bool,
    /// The longest task
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Millis>,
    /// Void after so long without word [default: 5m]
    #[arg(long, value_name = "SPAN")]
    ttl: Option<Millis>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let seconds = |span: Millis| span.0.div_ceil(1000);
    let registration = Registration {
        name: args.name,
        url: args.at.unwrap_or_default(),
        domain: None,
        domains: args.domain,
        keywords: args.keyword,
        capabilities: args.capability,
        properties: args.property.into_iter().collect(),
        idempotent: args.idempotent,
        timeout_seconds: args.timeout.map(seconds),
        ttl_seconds: args.ttl.map(seconds),
        description: String::new(),
    };
    let arm: ArmView = ctx.client().await?.post("/api/v1/arms/register", &registration).await?;
    ctx.screen.one(&arm, &arm.name, |look| {
        format!("{}\n{}", look.good(&format!("registered {}", arm.name)), shown::page(&arm, look))
    });
    if arm.status != "healthy" {
        ctx.screen.note(&format!("{} gets no tasks until it is healthy: {}", arm.name, arm.detail));
    }
    ctx.screen.next(&format!("hale arms show {}", arm.name));
    Ok(Exit::Done)
}
