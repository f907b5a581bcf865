//! Capabilities over HTTP: who offers what.
//!
//! Read next: `hale-core/src/pack/offers.rs`.

use super::App;
use super::extract::Asked;
use super::problem::Refusal;
use super::view;
use crate::wire::Page;
use crate::wire::capability::{CapabilityView, OfferView};
use axum::Json;
use axum::extract::State;
use hale_core::pack::offers::{Choice, Offered, Standing};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    name: Option<String>,
}

/// `GET /api/v1/capabilities`. All of them: a server has tens of packs with some words each.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<CapabilityView>>, Refusal> {
    let offered = app.engine.capabilities(query.name.as_deref())?;
    Ok(Json(view::page("capabilities", offered.iter().map(shown).collect(), None)))
}

fn shown(offered: &Offered) -> CapabilityView {
    let choice = offered.choice();
    CapabilityView {
        capability: offered.capability.clone(),
        conflict: matches!(choice, Choice::Ambiguous(_)),
        chosen: match choice {
            Choice::One(pack) => Some(pack),
            Choice::Nobody | Choice::Ambiguous(_) => None,
        },
        because: offered.because(),
        offers: offered
            .offers
            .iter()
            .map(|offer| OfferView {
                pack: offer.pack.clone(),
                version: offer.version.clone(),
                enabled: offer.standing == Standing::Enabled,
            })
            .collect(),
    }
}
