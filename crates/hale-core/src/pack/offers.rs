//! Which packs offer which capability, and where more than one does.
//!
//! Guarantees: only what is enabled counts, in its current version; where several packs offer the same, none is chosen:
//! nothing ranks one pack above another, and a guess would change with the order of a list.
//! Read next: [`super::manifest`], where a pack says what it can do.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether new runs of a pack are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Enabled,
    Disabled,
}

/// A pack that offers a capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offer {
    pub pack: String,
    /// Its current one.
    pub version: String,
    pub standing: Standing,
}

/// Who would be taken for a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The only enabled pack that offers it.
    One(String),
    /// Every pack that offers it is disabled.
    Nobody,
    /// These enabled packs offer it alike.
    Ambiguous(Vec<String>),
}

/// A capability with everybody who offers it, by the names of the packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub capability: String,
    pub offers: Vec<Offer>,
}

impl Offered {
    pub fn choice(&self) -> Choice {
        let enabled = self.offers.iter().filter(|offer| offer.standing == Standing::Enabled);
        let mut packs: Vec<String> = enabled.map(|offer| offer.pack.clone()).collect();
        match packs.len() {
            0 => Choice::Nobody,
            1 => Choice::One(packs.remove(0)),
            _ => Choice::Ambiguous(packs),
        }
    }

    /// Why the choice is as it is, in one sentence.
    pub fn because(&self) -> String {
        match self.choice() {
            Choice::One(pack) => format!("{pack} is the only enabled pack that offers it"),
            Choice::Nobody => "every pack that offers it is disabled".to_owned(),
            Choice::Ambiguous(packs) => {
                let last = packs.last().map(String::as_str).unwrap_or_default();
                format!(
                    "{} offer it alike and nothing ranks one above the other; take it out of `capabilities:` of all \
                     but one, or run: hale packs disable {last}",
                    packs.join(" and ")
                )
            }
        }
    }
}

/// All capabilities by name, from packs with what each says it can do.
pub fn offered<'a>(packs: impl IntoIterator<Item = (Offer, &'a [String])>) -> Vec<Offered> {
    let mut all: BTreeMap<&str, Vec<Offer>> = BTreeMap::new();
    for (offer, capabilities) in packs {
        for capability in capabilities {
            let offers = all.entry(capability).or_default();
            // A capability that a pack names twice is one.
            if !offers.contains(&offer) {
                offers.push(offer.clone());
            }
        }
    }
    let sorted = |(capability, mut offers): (&str, Vec<Offer>)| {
        offers.sort();
        Offered { capability: capability.to_owned(), offers }
    };
    all.into_iter().map(sorted).collect()
}
