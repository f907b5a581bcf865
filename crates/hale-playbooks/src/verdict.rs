//! From evidence to findings: the judge.
//!
//! Guarantees: a pure function of playbooks and evidence. Scores are fixed integers, shown in full. Decisive evidence
//! against a cause removes it. When the best cause is less than [`MARGIN_MIN`] ahead, has nothing but weak evidence, less
//! than [`KNOWN_PERCENT_MIN`] percent of its evidence is known, or the unknown rest could put another before it, then
//! nothing is claimed and what would decide is named.
//! Leaves to others: folding one subject's findings under another's (`hale-engine`, which sees several subjects).
//! Read next: [`score`], the arithmetic; [`crate::finding`], the result.

mod fixes;
mod score;

pub use fixes::check_again;

use crate::evidence::{Evidence, Subject};
use crate::expr::Truth;
use crate::finding::{self, Candidate, Certainty, Check, Finding, RuledOut, Undetermined, Unjudged};
use crate::playbook::{Playbook, Severity, Symptom, Weight};
use hale_core::time::Timestamp;
use score::Scored;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

pub const SCHEMA: &str = "hale.verdict/1";
/// Points by which a cause must lead. Ten are a factor of ten in odds; half of that is a factor of three.
pub const MARGIN_MIN: i32 = 5;
/// Percent of a cause's evidence that must be known before it is named.
pub const KNOWN_PERCENT_MIN: usize = 60;

/// Everything that the playbooks say about one set of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub schema: String,
    pub subject: Subject,
    pub taken_at: Timestamp,
    /// Symptoms that were looked for.
    pub checked: usize,
    /// Worst first.
    pub findings: Vec<Finding>,
    pub undetermined: Vec<Undetermined>,
    /// Symptoms that could not be judged.
    pub unknown: Vec<Unjudged>,
}

impl Verdict {
    /// The bundle form of the verdict.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("maps have text keys and numbers are finite");
        text.push('\n');
        text
    }

    /// The worst of what was found or suspected.
    pub fn severity(&self) -> Option<Severity> {
        let found = self.findings.iter().map(|finding| finding.severity);
        found.chain(self.undetermined.iter().map(|open| open.severity)).max()
    }
}

/// Judges the evidence by every playbook that covers its subject.
pub fn diagnose(playbooks: &[Playbook], evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        schema: SCHEMA.to_owned(),
        subject: evidence.subject().clone(),
        taken_at: evidence.taken_at(),
        checked: 0,
        findings: Vec::new(),
        undetermined: Vec::new(),
        unknown: Vec::new(),
    };
    for playbook in playbooks.iter().filter(|playbook| playbook.scope.covers(evidence.subject())) {
        let seen = symptoms(playbook, evidence, &mut verdict);
        if seen.is_empty() {
            continue;
        }
        (Case { playbook, evidence, seen }).judge(&mut verdict);
    }
    verdict.findings.sort_by(|a, b| {
        let rank = |f: &Finding| Reverse((f.severity, f.certainty, f.score));
        rank(a).cmp(&rank(b)).then_with(|| a.code.cmp(&b.code))
    });
    verdict
}

/// The symptoms of a playbook that hold; those that cannot be judged are noted.
fn symptoms<'p>(playbook: &'p Playbook, evidence: &Evidence, verdict: &mut Verdict) -> Vec<&'p Symptom> {
    let mut seen = Vec::new();
    for symptom in playbook.symptoms.iter().filter(|symptom| symptom.applies(evidence.subject())) {
        verdict.checked += 1;
        match symptom.when.truth(evidence) {
            Truth::True => seen.push(symptom),
            Truth::False => {}
            Truth::Unknown => verdict.unknown.push(Unjudged {
                playbook: playbook.id.clone(),
                symptom: symptom.id.clone(),
                because: symptom.when.unknowns(evidence),
            }),
        }
    }
    // The gravest symptom speaks for all.
    seen.sort_by_key(|symptom| Reverse(symptom.severity));
    seen
}

/// One playbook whose symptoms show.
struct Case<'a> {
    playbook: &'a Playbook,
    evidence: &'a Evidence,
    /// Never empty, the gravest first.
    seen: Vec<&'a Symptom>,
}

impl Case<'_> {
    /// Adds a finding to the verdict, or an open question.
    fn judge(&self, verdict: &mut Verdict) {
        let mut standing = Vec::new();
        let mut ruled_out = Vec::new();
        for cause in &self.playbook.causes {
            let scored = Scored::new(cause, self.evidence);
            match scored.refuted() {
                _ if scored.items.is_empty() => {}
                Some(item) => ruled_out.push(RuledOut {
                    cause: cause.id.clone(),
                    because: format!("{} ({})", item.expr, item.readings.join(", ")),
                }),
                None => standing.push(scored),
            }
        }
        // Stable: among equals the playbook's own order holds.
        standing.sort_by_key(|scored| Reverse(scored.points));
        let Some(best) = standing.first() else {
            let because = "every cause that this playbook knows is ruled out";
            return verdict.undetermined.push(self.open(because, &[], ruled_out));
        };
        let margin = best.points - standing.get(1).map_or(0, |second| second.points.max(0));
        match doubt(best, &standing[1..], margin) {
            Some(because) => verdict.undetermined.push(self.open(&because, &standing, ruled_out)),
            None => verdict.findings.push(self.finding(&standing, ruled_out, margin)),
        }
    }

    fn finding(&self, standing: &[Scored<'_>], mut ruled_out: Vec<RuledOut>, margin: i32) -> Finding {
        let (best, rest) = (&standing[0], &standing[1..]);
        ruled_out.extend(rest.iter().map(|rival| RuledOut {
            cause: rival.cause.id.clone(),
            because: format!("scored {} against {}", rival.points, best.points),
        }));
        let rivals_best = rest.iter().map(Scored::points_possible).max().unwrap_or(0);
        let certain =
            best.supported(Weight::Decisive) && best.safe() && best.points - rivals_best >= MARGIN_MIN;
        let subject = self.evidence.subject();
        Finding {
            schema: finding::SCHEMA.to_owned(),
            code: best.cause.id.clone(),
            title: best.cause.title.clone(),
            subject: subject.clone(),
            at: best.cause.at.prose(self.evidence),
            severity: self.severity(),
            certainty: if certain { Certainty::Certain } else { Certainty::Likely },
            symptom: self.symptom(),
            cause: best.cause.says(subject).prose(self.evidence),
            evidence: best.items.clone(),
            ruled_out,
            score: best.points,
            margin,
            fixes: fixes::fixes(self.playbook, best.cause, self.evidence),
            verify: best.cause.verify.as_ref().map(|verify| Check {
                expr: verify.until.source().to_owned(),
                readings: verify.until.readings(self.evidence),
                value: verify.until.truth(self.evidence),
                within: verify.within,
            }),
            prevent: self.playbook.prevent.clone(),
            explains: self.explains(),
            playbook: self.playbook.id.clone(),
        }
    }

    fn open(&self, because: &str, standing: &[Scored<'_>], ruled_out: Vec<RuledOut>) -> Undetermined {
        let candidate = |scored: &Scored<'_>| Candidate {
            cause: scored.cause.id.clone(),
            score: scored.points,
            known: scored.known(),
            total: scored.items.len(),
            evidence: scored.items.clone(),
        };
        Undetermined {
            playbook: self.playbook.id.clone(),
            subject: self.evidence.subject().clone(),
            severity: self.severity(),
            symptom: self.symptom(),
            because: because.to_owned(),
            between: standing.iter().map(candidate).collect(),
            ruled_out,
            would_decide: score::would_decide(standing),
            explains: self.explains(),
        }
    }

    fn severity(&self) -> Severity {
        self.seen.iter().map(|symptom| symptom.severity).max().unwrap_or(Severity::Info)
    }

    fn symptom(&self) -> String {
        self.seen.first().map(|symptom| symptom.says.prose(self.evidence)).unwrap_or_default()
    }

    fn explains(&self) -> Vec<String> {
        self.seen.iter().map(|symptom| format!("{}/{}", self.playbook.id, symptom.id)).collect()
    }
}

/// Why the best cause is not named after all.
fn doubt(best: &Scored<'_>, rivals: &[Scored<'_>], margin: i32) -> Option<String> {
    let (id, known, total) = (&best.cause.id, best.known(), best.items.len());
    if known * 100 < KNOWN_PERCENT_MIN * total {
        let share = format!("only {known} of {total} pieces of evidence on {id} are known");
        return Some(format!("{share}, {KNOWN_PERCENT_MIN} % are needed"));
    }
    if !best.supported(Weight::Strong) {
        return Some(format!("nothing but weak evidence speaks for {id}"));
    }
    if margin < MARGIN_MIN {
        return Some(match rivals.first().filter(|second| second.points > 0) {
            Some(second) => {
                format!("{id} leads {} by {margin} points, {MARGIN_MIN} are needed", second.cause.id)
            }
            None => format!("{id} comes to {} points, {MARGIN_MIN} are needed", best.points),
        });
    }
    let overtakes = |rival: &&Scored<'_>| rival.points_possible() > best.points_safe();
    let rival = rivals.iter().find(overtakes)?;
    Some(format!("what is still unknown could put {} before {id}", rival.cause.id))
}
