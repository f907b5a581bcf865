//! Numbers of telephones: with `+` and the code of a country, or in the forms of the US.
//!
//! Guarantees: a country has numbers of that length that begin like this; plain digits are a number only where a
//! word such as `phone` stands before them.

use super::Kind;
use super::countries::COUNTRIES;
use super::scan::Hit;
use super::view::View;

/// Digits of a number with its country, ITU E.164.
const DIGITS_MAX: usize = 15;
/// Signs between two groups: `) `, ` (`, `-`.
const GAP_MAX: usize = 2;

const WORDS: [&str; 6] = ["phone", "tel", "mobile", "cell", "fax", "call"];

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// `+49 30 901820`, `+1 (415) 555-2671`, `+14155552671`.
pub(super) fn international(view: &View<'_>) -> Option<Hit> {
    if !view.begins() || view.was(1, |byte| byte == b'+') {
        return None;
    }
    let (mut digits, mut count, mut at, mut best) = ([0u8; DIGITS_MAX], 0, 1, None);
    loop {
        let run = view.run(at, DIGITS_MAX + 1, digit);
        if run == 0 || count + run > DIGITS_MAX {
            break;
        }
        for n in 0..run {
            digits[count + n] = view.peek(at + n).unwrap_or(b'0') - b'0';
        }
        (count, at) = (count + run, at + run);
        // An extension may follow; another letter makes it something else.
        let word = view.is(at, |byte| byte.is_ascii_alphabetic() && byte != b'x');
        if word {
            break;
        }
        if is_number(&digits[..count]) {
            best = Some(at);
        }
        let gap = view.run(at, GAP_MAX + 1, |byte| b" -.()/".contains(&byte));
        if gap == 0 || gap > GAP_MAX {
            break;
        }
        at += gap;
        // `+44 (0)20`: the zero is not dialled from abroad.
        if view.starts_with(at - 1, b"(0)") {
            at += 2 + view.run(at + 2, 1, |byte| byte == b' ');
        }
    }
    best.map(|end| Hit::new(Kind::Phone, end))
}

/// Whether a country has such numbers.
fn is_number(digits: &[u8]) -> bool {
    if digits.len() < 7 || digits[0] == 0 {
        return false;
    }
    let code = |n: usize| digits[..n].iter().fold(0u16, |code, digit| code * 10 + u16::from(*digit));
    (1..=3).any(|n| {
        let (code, national) = (code(n), &digits[n..]);
        if code == 1 {
            return is_american(national);
        }
        let found = COUNTRIES.binary_search_by_key(&code, |country| country.0).ok();
        found.is_some_and(|place| {
            let (_, lengths, firsts) = COUNTRIES[place];
            lengths >> national.len() & 1 == 1 && firsts >> national[0] & 1 == 1
        })
    })
}

/// Ten digits; neither area nor exchange begins with 0 or 1, or ends in 11.
fn is_american(national: &[u8]) -> bool {
    let part = |three: &[u8]| three[0] >= 2 && three[1..] != [1, 1];
    national.len() == 10 && part(&national[..3]) && part(&national[3..6])
}

/// `(212) 555-1234`, `212-555-1234`, `1-212-555-1234`, and plainer ones beside a word such as `phone`.
pub(super) fn national(view: &View<'_>) -> Option<Hit> {
    if view.was(1, |byte| b"-./+".contains(&byte)) && view.was(2, |byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let long = view.starts_with(0, b"1") && view.is(1, |byte| b"-. (".contains(&byte));
    let from = if long { 2 - usize::from(view.is(1, |byte| byte == b'(')) } else { 0 };
    let (len, digits, plain) = shaped(view, from)?;
    let end = from + len;
    let on = view.is(end, |byte| b"-./".contains(&byte)) && view.is(end + 1, digit);
    let joined = view.is(end, |byte| byte.is_ascii_alphanumeric() && byte != b'x');
    let sure = !plain || view.near(24, &WORDS);
    (is_american(&digits) && !on && !joined && sure).then(|| Hit::new(Kind::Phone, end))
}

/// Length, digits, and whether the form is one that other numbers have as well.
fn shaped(view: &View<'_>, from: usize) -> Option<(usize, [u8; 10], bool)> {
    let open = usize::from(view.is(from, |byte| byte == b'('));
    let (mut digits, mut at, mut gap) = ([0u8; 10], from + open, None);
    for (n, value) in digits.iter_mut().enumerate() {
        if n == 3 && open == 1 {
            view.peek(at).filter(|byte| *byte == b')')?;
            at += 1 + view.run(at + 1, 1, |byte| b" -".contains(&byte));
        } else if n == 3 || n == 6 {
            let here = view.peek(at).filter(|byte| b"-. ".contains(byte));
            if n == 3 || open == 1 {
                gap = here;
            } else if here != gap {
                return None;
            }
            at += usize::from(here.is_some());
        }
        *value = view.peek(at).filter(|byte| digit(*byte))? - b'0';
        at += 1;
    }
    let plain = open == 0 && matches!(gap, None | Some(b' '));
    Some((at - from, digits, plain))
}
