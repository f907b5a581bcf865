//! The wait until workers have nothing in hand, told while it lasts.

use crate::cli::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::wire::workers::WorkerView;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until none of `ids` has a run in hand, at most `within`; tells how many are left, whenever that changes.
/// Answers with the number that is left at the end. One that ended meanwhile has none.
///
/// # Errors
/// When the server stays away.
pub async fn idle(
    ctx: &mut Ctx,
    client: &Client,
    (ids, within): (&[String], Duration),
) -> Result<usize, Error> {
    let give_up = tokio::time::Instant::now() + within;
    let mut told = None;
    loop {
        let mut left = 0;
        for id in ids {
            match client.get::<WorkerView>(format!("/api/v1/workers/{}", escape(id))).await {
                Ok(worker) => left += worker.runs.len(),
                Err(error) if error.exit == Exit::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if left > 0 && told != Some(left) {
            ctx.screen.note(&format!("{left} runs in hand"));
            told = Some(left);
        }
        if left == 0 || tokio::time::Instant::now() >= give_up {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}
