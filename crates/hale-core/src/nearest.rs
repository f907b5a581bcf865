//! The word that was probably meant, for "did you mean" in errors.
//!
//! Guarantees: bounded work whatever the input; silent when nothing is near.
//! Read next: [`crate::pack`] and [`crate::filter`], its users here.

/// Longest word that is compared; a longer one is not a slip of a name of ours.
const WORD_CHARS: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > WORD_CHARS {
        return None;
    }
    let scored = candidates.into_iter().filter_map(|candidate| {
        let score = score(&word, &candidate.to_lowercase())?;
        Some((score, candidate))
    });
    scored.min().map(|(_, candidate)| candidate)
}

fn score(word: &str, candidate: &str) -> Option<usize> {
    // `cancel` for `runs.cancel`, `timeout_seconds` for `timeout`, `int` for `integer`: people remember a part.
    let part = candidate.rsplit_once('.').is_some_and(|(_, tail)| tail == word)
        || (word.len() >= 3 && candidate.starts_with(word))
        || (candidate.len() >= 4 && word.split(['_', '-']).any(|piece| piece == candidate));
    let steps = distance(word, candidate);
    let within = word.chars().count().max(candidate.chars().count()) / 3;
    if steps <= within.max(1) && steps < candidate.chars().count() {
        Some(steps)
    } else {
        part.then_some(WORD_CHARS)
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}
