//! The word that was probably meant.
//!
//! Guarantees: bounded work whatever the input. Read next: [`crate::expr`], its main user.

/// Longest word that is compared; a longer one is not a slip of a name of ours.
const WORD_CHARS: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > WORD_CHARS {
        return None;
    }
    let within = length / 3 + 1;
    let scored = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(word, candidate);
        // `live` for `workers.live` is near too: the last word is what people remember.
        let tail = candidate.rsplit_once('.').is_some_and(|(_, tail)| tail == word);
        (tail || distance <= within).then_some((if tail { 1 } else { distance }, candidate))
    });
    scored.min_by_key(|&(distance, candidate)| (distance, candidate)).map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements that turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
