//! A question to the person at the terminal.
//!
//! Where nobody sits, the command itself is the word: a script that says it means it.

use super::ctx::Ctx;
use std::io::{BufRead, IsTerminal, Read};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Yes,
    No,
}

/// Bytes of an answer; nobody types more than a word.
const ANSWER_BYTES: u64 = 64;

pub fn confirm(ctx: &mut Ctx, question: &str) -> Asked {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !ctx.screen.terminals().err {
        return Asked::Yes;
    }
    ctx.screen.say(&format!("{question} [y/N]"));
    let mut line = String::new();
    // An answer that cannot be read is none.
    let _ = stdin.lock().take(ANSWER_BYTES).read_line(&mut line);
    if is_yes(&line) { Asked::Yes } else { Asked::No }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}
