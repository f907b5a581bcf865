//! Cards, bank accounts, social security numbers: digits with rules of their own.
//!
//! Guarantees: a card passes Luhn and has a length that its issuer uses, an account passes its check digits and has
//! the length of its country; so one order number in some thousands is taken for a card, and no date or hash is.

use super::Kind;
use super::scan::Hit;
use super::view::View;

/// Groups in which cards are written, beside one long number.
const CARD_GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
const CARD_MAX: usize = 19;

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Whether a number ends before `at`: no letter, no digit, no fraction.
fn ends(view: &View<'_>, at: usize) -> bool {
    let fraction = view.is(at, |byte| byte == b'.') && view.is(at + 1, digit);
    !fraction && !view.is(at, |byte| byte.is_ascii_alphanumeric())
}

pub(super) fn card(view: &View<'_>) -> Option<Hit> {
    // The fraction of a number.
    if view.was(1, |byte| byte == b'.') && view.was(2, digit) {
        return None;
    }
    let first = view.run(0, CARD_MAX + 1, digit);
    if first != 4 {
        let digits = read(view, &[first], 0)?;
        // The last group of a UUID has twelve, too.
        let dashed = first == 12 && view.was(1, |byte| byte == b'-');
        return (is_card(&digits[..first]) && !dashed && ends(view, first))
            .then(|| Hit::new(Kind::Card, first));
    }
    let gap = view.peek(4).filter(|byte| b" -.".contains(byte))?;
    if in_account(view, gap) {
        return None;
    }
    CARD_GROUPS.iter().find_map(|groups| {
        let digits = read(view, groups, gap)?;
        let count: usize = groups.iter().sum();
        let len = count + groups.len() - 1;
        (is_card(&digits[..count]) && ends(view, len)).then(|| Hit::new(Kind::Card, len))
    })
}

/// Whether these groups go on an account, `DE89 3704 …`, that is none by its check digits.
fn in_account(view: &View<'_>, gap: u8) -> bool {
    for group in 0..6 {
        let at = group * 5;
        let all = |test: fn(u8) -> bool, from: usize| (from..from + 2).all(|n| view.was(at + n, test));
        if view.back(at + 1) != Some(gap) || !all(digit, 2) {
            return false;
        }
        if all(|byte| byte.is_ascii_uppercase(), 4) {
            return true;
        }
        if !all(digit, 4) {
            return false;
        }
    }
    false
}

/// The digits of groups of these lengths with this gap between them.
fn read(view: &View<'_>, groups: &[usize], gap: u8) -> Option<[u8; CARD_MAX]> {
    let (mut digits, mut count, mut at) = ([0u8; CARD_MAX], 0, 0);
    for (n, length) in groups.iter().enumerate() {
        if n > 0 {
            view.peek(at).filter(|byte| *byte == gap)?;
            at += 1;
        }
        for _ in 0..*length {
            *digits.get_mut(count)? = view.peek(at).filter(|byte| digit(*byte))? - b'0';
            (count, at) = (count + 1, at + 1);
        }
    }
    Some(digits)
}

fn is_card(digits: &[u8]) -> bool {
    issued(digits) && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, digit)| match (n % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// Whether an issuer has numbers that begin like this and have this length.
fn issued(digits: &[u8]) -> bool {
    if digits.len() < 12 {
        return false;
    }
    let head = digits[..6].iter().fold(0u32, |head, digit| head * 10 + u32::from(*digit));
    let (two, three, four, length) = (head / 10_000, head / 1000, head / 100, digits.len());
    match four {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => length == 16,
        2131 | 1800 => length == 15,
        6011 => (16..=19).contains(&length),
        6304 | 6390 | 604 => (12..=19).contains(&length),
        _ => match two {
            34 | 37 => length == 15,
            30 => matches!(three, 300..=305 | 309) && matches!(length, 14 | 16..=19),
            36 => matches!(length, 14 | 16..=19),
            38 | 39 => length == 14,
            35 => (16..=19).contains(&length),
            62 | 64 | 65 | 81 => (16..=19).contains(&length),
            50 | 56 | 57 | 58 | 67 => (12..=19).contains(&length),
            _ => false,
        },
    }
}

/// Lengths of bank accounts, each behind its country.
const IBAN_LENGTHS: &[u8] = b"\
    AD24AE23AL28AO25AT20AZ28BA20BE16BF28BG22BH22BI27BJ28BR29BY28CF27CG27CH21CI28CM27\
    CR22CV25CY28CZ24DE22DJ27DK18DO28DZ26EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18\
    GR27GT28HN28HR21HU28IE22IL23IQ23IR26IS26IT27JO30KM27KW30KZ20LB28LC32LI21LT20LU20\
    LV21LY25MA28MC27MD24ME22MG27MK19ML28MN20MR27MT31MU30MZ25NE28NI28NL18NO15OM23PK24\
    PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SN28SO23ST25SV28TD27TG28\
    TL23TN24TR26UA29VA22VG24XK20";

fn iban_length(country: [u8; 2]) -> Option<usize> {
    let entry = IBAN_LENGTHS.chunks_exact(4).find(|entry| entry[..2] == country)?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

pub(super) fn iban(view: &View<'_>) -> Option<Hit> {
    let letter =
        |n: usize| view.peek(n).filter(u8::is_ascii_alphabetic).map(|byte| byte.to_ascii_uppercase());
    let country = [letter(0)?, letter(1)?];
    let length = view.is(2, digit).then(|| iban_length(country))??;
    let (mut read, mut at, mut grouped) = ([0u8; 34], 0, None);
    for (count, byte) in read.iter_mut().enumerate().take(length) {
        // Groups of four, with the same gap all the way.
        if count > 0 && count % 4 == 0 {
            let gap = view.peek(at).filter(|byte| b" -".contains(byte));
            if count == 4 {
                grouped = gap;
            }
            if grouped.is_some() && gap == grouped {
                at += 1;
            }
        }
        *byte = view.peek(at).filter(u8::is_ascii_alphanumeric)?;
        at += 1;
    }
    let sure = !view.is(at, |byte| byte.is_ascii_alphanumeric()) && view.is(3, digit);
    (sure && mod_97(&read[..length])).then(|| Hit::new(Kind::Iban, at))
}

fn mod_97(account: &[u8]) -> bool {
    let (head, body) = account.split_at(4);
    let rest = body.iter().chain(head).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    rest == 1
}

pub(super) fn ssn(view: &View<'_>) -> Option<Hit> {
    if view.was(1, |byte| b"-.".contains(&byte)) && view.was(2, |byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let gap = view.peek(3)?;
    let (groups, len): (&[usize], usize) = match gap {
        b'-' | b' ' | b'.' => (&[3, 2, 4], 11),
        b'0'..=b'9' => (&[9], 9),
        _ => return None,
    };
    let digits = read(view, groups, gap)?;
    let number = |range: std::ops::Range<usize>| {
        digits[range].iter().fold(0u32, |n, digit| n * 10 + u32::from(*digit))
    };
    let (area, group, serial) = (number(0..3), number(3..5), number(5..9));
    let given = !matches!(area, 0 | 666 | 900..=999) && group != 0 && serial != 0;
    let on = view.is(len, |byte| byte == b'-') && view.is(len + 1, |byte| byte.is_ascii_alphanumeric());
    // Without dashes it may be any number, unless its name stands before it.
    let sure = given && !on && ends(view, len);
    (sure && (gap == b'-' || view.near(24, &["ssn", "social sec"]))).then(|| Hit::new(Kind::UsSsn, len))
}
