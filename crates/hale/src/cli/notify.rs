//! `hale notify --channel NAME --message TEXT`: tells people.

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::Page;
use crate::wire::notices::{ChannelView, NotifiedView, NotifyRequest};

/// Send a message to a channel of people, by its webhook
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale secrets set notify-ops                    the webhook address of the channel `ops`, once
  hale notify --channel ops --message \"pack research-pack is off: it answers nonsense\"
  hale notify --list

The message goes as JSON with `text`, as chat services take it, and stands in the audit trail with who sent it.")]
pub struct Args {
    /// Where to
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    channel: Option<String>,
    /// What to say
    #[arg(short, long, value_name = "TEXT", required_unless_present = "list")]
    message: Option<String>,
    /// The channels that there are
    #[arg(long, conflicts_with_all = ["channel", "message"])]
    list: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    if args.list {
        let channels: Page<ChannelView> = client.get("/api/v1/notify").await?;
        let names: Vec<String> = channels.items.iter().map(|one| one.channel.clone()).collect();
        ctx.screen
            .one(&channels, &names.join("\n"), |_| names.iter().map(|name| format!("{name}\n")).collect());
        if names.is_empty() {
            ctx.screen.note("no channels");
            ctx.screen.next("hale secrets set notify-ops");
        }
        return Ok(Exit::Done);
    }
    let order = NotifyRequest {
        channel: args.channel.unwrap_or_default(),
        message: args.message.unwrap_or_default(),
    };
    let sent: NotifiedView = client.post("/api/v1/notify", &order).await?;
    ctx.screen.one(&sent, &sent.operation, |look| {
        format!(
            "{}\n",
            look.good(&format!("{} was told (its webhook answered {})", sent.channel, sent.status))
        )
    });
    Ok(Exit::Done)
}
