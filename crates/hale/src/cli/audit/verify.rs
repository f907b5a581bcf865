//! `hale audit verify`.

use super::Trail;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::audit::{AuditCheck, BrokenRow};

/// Check the chain of the audit trail, and name the first row at which it does not hold
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale audit verify
  hale audit verify --json | jq -r .head > /mnt/elsewhere/audit-head
  hale audit verify --head SEQ:HASH             # of an earlier check

Works with the server down. Who can write the database can make the whole chain anew; a head that is kept
elsewhere tells.")]
pub struct Args {
    /// SEQ:HASH of a row that must still be in the trail, from an earlier check
    #[arg(long, value_name = "SEQ:HASH")]
    head: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let trail = Trail::find(ctx).await?;
    let mut check = trail.check().await?;
    if let (Some(head), None) = (&args.head, &check.broken) {
        let (seq, hash) = parsed(head)?;
        check.broken = remembered(&trail, (seq, &hash), check.first).await?;
        check.well = check.broken.is_none();
    }
    ctx.screen.one(&check, "", |look| match &check.broken {
        None => format!("{}\n", look.good(&told(&check))),
        Some(broken) => format!("{}\n", look.bad(&format!("row {}: {}", broken.seq, broken.why))),
    });
    match &check.broken {
        None => {
            if let Some(head) = check.head.as_deref().filter(|_| args.head.is_none()) {
                ctx.screen.note(&format!("keep its head elsewhere: {head}"));
            }
            Ok(Exit::Done)
        }
        Some(broken) => {
            let seq = broken.seq;
            ctx.screen.say(&format!("from row {seq} on the trail proves nothing; compare it with a backup"));
            Ok(Exit::Failed)
        }
    }
}

fn told(check: &AuditCheck) -> String {
    match check.first {
        None => "the trail is empty".to_owned(),
        Some(1) => format!("{} rows, and the chain holds", check.rows),
        Some(first) => {
            format!(
                "{} rows from row {first} on, and the chain holds; a cut vouches for the rest",
                check.rows
            )
        }
    }
}

fn parsed(head: &str) -> Result<(u64, String), Error> {
    let parts = head.trim().split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
    match parts {
        Some((seq, hash)) if seq > 0 && hash.len() == 64 => Ok((seq, hash.to_owned())),
        _ => {
            let error = Error::new(Exit::Usage, format!("read {head:?} as the head of a trail"));
            Err(error.hint("it is SEQ:HASH, the head that an earlier check told: hale audit verify --json"))
        }
    }
}

/// The row of an earlier head, if it is not as it was. One that retention has cut since proves nothing.
async fn remembered(
    trail: &Trail,
    (seq, hash): (u64, &str),
    first: Option<u64>,
) -> Result<Option<BrokenRow>, Error> {
    if first.is_some_and(|first| seq < first) {
        return Ok(None);
    }
    let row = trail.oldest(seq - 1).await?.into_iter().next().filter(|row| row.seq == seq);
    Ok(match row {
        Some(row) if row.hash == hash => None,
        Some(_) => Some(BrokenRow { seq, why: "it is not the row that the kept head names".to_owned() }),
        None => Some(BrokenRow { seq, why: "the kept head names it, and it is missing".to_owned() }),
    })
}
