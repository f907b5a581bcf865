//! Keys that are known by how they begin: of services, JSON Web Tokens, private keys.
//!
//! Guarantees: the beginning and a shortest length make the match, the rest is swallowed as it comes; what names such
//! a key in prose (`sk-…`, `AKIA...`) is none.

use super::Kind;
use super::scan::{Hit, TAIL, Tail};
use super::view::View;

/// Kinds that [`prefixed`] finds.
pub(super) const KINDS: [Kind; 8] = [
    Kind::AwsKey,
    Kind::AnthropicKey,
    Kind::OpenaiKey,
    Kind::GithubToken,
    Kind::SlackToken,
    Kind::GoogleApiKey,
    Kind::StripeKey,
    Kind::ApiKey,
];

/// What follows a beginning.
#[derive(Clone, Copy)]
enum Body {
    /// Exactly so many capital letters and digits.
    Capitals(usize),
    /// Letters and digits, at least so many.
    Plain(usize),
    /// Also `-` and `_`, at least so many, of them digits and letters.
    Mixed(usize),
}

/// Beginnings; of two that fit, the first.
const PREFIXES: [(&[u8], Kind, Body); 44] = [
    (b"AKIA", Kind::AwsKey, Body::Capitals(16)),
    (b"ASIA", Kind::AwsKey, Body::Capitals(16)),
    (b"ABIA", Kind::AwsKey, Body::Capitals(16)),
    (b"ACCA", Kind::AwsKey, Body::Capitals(16)),
    (b"sk-ant-", Kind::AnthropicKey, Body::Mixed(20)),
    (b"sk-or-", Kind::ApiKey, Body::Mixed(20)),
    (b"sk-proj-", Kind::OpenaiKey, Body::Mixed(20)),
    (b"sk-svcacct-", Kind::OpenaiKey, Body::Mixed(20)),
    (b"sk-admin-", Kind::OpenaiKey, Body::Mixed(20)),
    (b"sk-", Kind::OpenaiKey, Body::Plain(20)),
    (b"github_pat_", Kind::GithubToken, Body::Mixed(22)),
    (b"ghp_", Kind::GithubToken, Body::Plain(36)),
    (b"gho_", Kind::GithubToken, Body::Plain(36)),
    (b"ghu_", Kind::GithubToken, Body::Plain(36)),
    (b"ghs_", Kind::GithubToken, Body::Plain(36)),
    (b"ghr_", Kind::GithubToken, Body::Plain(36)),
    (b"xoxb-", Kind::SlackToken, Body::Mixed(10)),
    (b"xoxp-", Kind::SlackToken, Body::Mixed(10)),
    (b"xoxa-", Kind::SlackToken, Body::Mixed(10)),
    (b"xoxr-", Kind::SlackToken, Body::Mixed(10)),
    (b"xoxs-", Kind::SlackToken, Body::Mixed(10)),
    (b"xoxe.", Kind::SlackToken, Body::Mixed(10)),
    (b"xapp-", Kind::SlackToken, Body::Mixed(10)),
    (b"hooks.slack.com/services/", Kind::SlackToken, Body::Mixed(8)),
    (b"AIza", Kind::GoogleApiKey, Body::Mixed(35)),
    (b"GOCSPX-", Kind::GoogleApiKey, Body::Mixed(20)),
    (b"ya29.", Kind::GoogleApiKey, Body::Mixed(20)),
    (b"sk_live_", Kind::StripeKey, Body::Plain(16)),
    (b"sk_test_", Kind::StripeKey, Body::Plain(16)),
    (b"rk_live_", Kind::StripeKey, Body::Plain(16)),
    (b"rk_test_", Kind::StripeKey, Body::Plain(16)),
    (b"whsec_", Kind::StripeKey, Body::Plain(16)),
    (b"glpat-", Kind::ApiKey, Body::Mixed(20)),
    (b"npm_", Kind::ApiKey, Body::Plain(36)),
    (b"pypi-", Kind::ApiKey, Body::Mixed(50)),
    (b"SG.", Kind::ApiKey, Body::Mixed(20)),
    (b"hf_", Kind::ApiKey, Body::Plain(30)),
    (b"dop_v1_", Kind::ApiKey, Body::Plain(40)),
    (b"shpat_", Kind::ApiKey, Body::Plain(32)),
    (b"hvs.", Kind::ApiKey, Body::Mixed(24)),
    (b"lin_api_", Kind::ApiKey, Body::Plain(32)),
    (b"gsk_", Kind::ApiKey, Body::Plain(40)),
    (b"dapi", Kind::ApiKey, Body::Plain(32)),
    (b"AGE-SECRET-KEY-1", Kind::PrivateKey, Body::Plain(50)),
];

pub(super) fn prefixed(view: &View<'_>) -> Option<Hit> {
    let first = view.peek(0)?;
    let known = PREFIXES.iter().filter(|(prefix, _, _)| prefix[0] == first);
    let (kind, len, body) =
        known.filter(|(prefix, _, _)| view.starts_with(0, prefix)).find_map(|(prefix, kind, body)| {
            Some((*kind, prefix.len() + body.sure(view, prefix.len())?, *body))
        })?;
    let tail = match body {
        Body::Capitals(_) => None,
        Body::Plain(_) | Body::Mixed(_) => Some(Tail::Token { left: TAIL }),
    };
    Some(Hit { kind, len, tail })
}

impl Body {
    /// The bytes that make it sure, if they do.
    fn sure(self, view: &View<'_>, from: usize) -> Option<usize> {
        match self {
            Body::Capitals(exact) => {
                let run =
                    view.run(from, exact + 1, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                (run == exact && !view.is(from + run, |byte| byte.is_ascii_alphanumeric())).then_some(run)
            }
            Body::Plain(least) => {
                let run = view.run(from, least, |byte| byte.is_ascii_alphanumeric());
                (run == least && mixed(view, from, run)).then_some(run)
            }
            Body::Mixed(least) => {
                let run =
                    view.run(from, least, |byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
                (run == least && mixed(view, from, run)).then_some(run)
            }
        }
    }
}

/// Whether these bytes have a digit and a letter, and are more than one thing over and over.
fn mixed(view: &View<'_>, from: usize, len: usize) -> bool {
    let has = |test: fn(u8) -> bool| (from..from + len).any(|at| view.is(at, test));
    let mut kinds = [false; 128];
    for at in from..from + len {
        kinds[usize::from(view.peek(at).unwrap_or(0) & 127)] = true;
    }
    let many = kinds.iter().filter(|seen| **seen).count() > 5;
    many && has(|byte| byte.is_ascii_digit()) && has(|byte| byte.is_ascii_alphabetic())
}

/// The base64 of what headers of tokens begin with: `{"alg":`, `{"typ":`, `{"kid":` and their like.
const HEADS: [&[u8]; 8] =
    [b"eyJhbGci", b"eyJ0eXAi", b"eyJraWQi", b"eyJlbmMi", b"eyJjdHki", b"eyJqa3Ui", b"eyJqd2si", b"eyJ4NXQi"];
/// The part of a header that is looked at.
const HEAD_MAX: usize = 256;

pub(super) fn jwt(view: &View<'_>) -> Option<Hit> {
    if !view.starts_with(0, b"eyJ") {
        return None;
    }
    let url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let head = view.run(0, HEAD_MAX, url);
    let tail = Some(Tail::Token { left: TAIL });
    if head == HEAD_MAX {
        // A header with a certificate in it.
        return HEADS.iter().any(|known| view.starts_with(0, known)).then_some(Hit {
            kind: Kind::Jwt,
            len: head,
            tail,
        });
    }
    let sure = head >= 12 && view.is(head, |byte| byte == b'.') && view.run(head + 1, 8, url) == 8;
    sure.then_some(Hit { kind: Kind::Jwt, len: head + 9, tail })
}

const LABEL_MAX: usize = 40;

/// `-----BEGIN … PRIVATE KEY-----`, whatever comes behind it.
pub(super) fn pem(view: &View<'_>) -> Option<Hit> {
    if !view.starts_with(0, b"-----BEGIN ") {
        return None;
    }
    let label =
        view.run(11, LABEL_MAX, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let end = 11 + label;
    let private = (11..end).any(|at| view.starts_with(at, b"PRIVATE KEY"));
    (private && view.starts_with(end, b"-----")).then_some(Hit {
        kind: Kind::PrivateKey,
        len: end + 5,
        tail: Some(Tail::Pem { left: TAIL }),
    })
}

/// The bytes of `-----END …-----`, if it stands here.
pub(super) fn pem_end(view: &View<'_>) -> Option<usize> {
    if !view.starts_with(0, b"-----END ") {
        return None;
    }
    let label =
        view.run(9, LABEL_MAX, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    Some(9 + label + view.run(9 + label, 5, |byte| byte == b'-'))
}
