//! `hale dlq review`: one letter after the other, a person decides; without a terminal, the plan by cause.
//!
//! Guarantees: nothing happens to a letter that was not answered for; quitting leaves the rest as it is.

use super::Which;
use crate::cli::ctx::Ctx;
use crate::cli::many::follow;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::dlq as shown;
use crate::wire::bulk::{BulkRequest, BulkView};
use crate::wire::dlq::{LetterGroups, LetterView};
use crate::wire::{Diagnosis, Page};
use std::io::{BufRead, IsTerminal};

/// Decide about dead letters one by one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale dlq review
  hale dlq review --cause llm.rate_limited
  hale dlq review < /dev/null                   # the plan, without questions")]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

/// What a person says about one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Redrive,
    Discard,
    Skip,
    Quit,
}

/// Reads an answer; none for one that is not understood.
pub fn choice(line: &str) -> Option<Choice> {
    match line.trim().to_lowercase().as_str() {
        "r" | "redrive" => Some(Choice::Redrive),
        "d" | "discard" => Some(Choice::Discard),
        "s" | "skip" | "" => Some(Choice::Skip),
        "q" | "quit" => Some(Choice::Quit),
        _ => None,
    }
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let filter = escape(&args.which.filter());
    if !std::io::stdin().is_terminal() || !ctx.screen.terminals().err {
        let groups: LetterGroups = client.get(format!("/api/v1/dlq/groups?filter={filter}")).await?;
        ctx.screen.one(&groups, "", |look| shown::groups(&groups, look));
        ctx.screen.note("decide one by one at a terminal, or by cause with the commands above");
        return Ok(Exit::Done);
    }
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/dlq?filter={filter}&limit=20{after}");
        let page: Page<LetterView> = client.get(path).await?;
        for letter in &page.items {
            let diagnosis: Diagnosis =
                client.get(format!("/api/v1/runs/{}/why", escape(&letter.run))).await?;
            let look = ctx.screen.look();
            ctx.screen.say(&format!("\n{}  {}", shown::page(letter, &look), diagnosis.says));
            match asked(ctx) {
                Choice::Redrive => decided(ctx, &client, ("/api/v1/dlq/redrive", &letter.run)).await?,
                Choice::Discard => decided(ctx, &client, ("/api/v1/dlq/discard", &letter.run)).await?,
                Choice::Skip => {}
                Choice::Quit => return Ok(Exit::Done),
            }
        }
        match page.next {
            Some(next) => after = format!("&after={}", escape(&next)),
            None => {
                ctx.screen.note("no more dead letters");
                return Ok(Exit::Done);
            }
        }
    }
}

fn asked(ctx: &mut Ctx) -> Choice {
    loop {
        ctx.screen.say("  [r]edrive, [d]iscard, [s]kip, [q]uit?");
        let mut line = String::new();
        // Whoever closes the terminal has left.
        if !matches!(std::io::stdin().lock().read_line(&mut line), Ok(1..)) {
            return Choice::Quit;
        }
        if let Some(choice) = choice(&line) {
            return choice;
        }
    }
}

async fn decided(ctx: &mut Ctx, client: &Client, (path, run): (&str, &str)) -> Result<(), Error> {
    let request = BulkRequest { runs: vec![run.to_owned()], ..BulkRequest::default() };
    let begun: BulkView = client.post(path, &request).await?;
    follow(ctx, client, begun.id.as_deref().unwrap_or_default()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_understood_or_asked_for_again() {
        assert_eq!(choice("r\n"), Some(Choice::Redrive));
        assert_eq!(choice(" Discard "), Some(Choice::Discard));
        assert_eq!(choice("\n"), Some(Choice::Skip), "return alone changes nothing");
        assert_eq!(choice("Q"), Some(Choice::Quit));
        assert_eq!(choice("yes"), None);
    }
}
