//! Models as clients of the gateway name them: which model a name stands for, and which there are.
//!
//! Guarantees: a name means the same for every client; an unknown one is refused with what was probably meant.
//! Read next: `hale-gateway/src/relay.rs`.

use super::Engine;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::nearest::nearest;
use hale_core::retry;
use hale_gateway::Route;
use std::time::Duration;
use tokio::time::Instant;

/// The list of a provider's models; one that does not answer in time is left out.
const LIST_WAIT: Duration = Duration::from_secs(3);
/// The name that stands for every name that no provider has.
const ANY: &str = "*";

impl Engine {
    /// The models that a name stands for: an alias, `provider/model`, `default`, or a model of the default's provider.
    ///
    /// # Errors
    /// `llm.model_not_found` for a provider that is none.
    pub fn model_route(&self, name: &str) -> Result<Route, Failure> {
        let config = self.config();
        let names = self.gateway().names();
        let has = |provider: &str| names.iter().any(|known| known == provider);
        let primary = match config.model_aliases.get(name) {
            Some(model) => model.clone(),
            None if name == "default" => config.default_model.clone(),
            None if name
                .split_once('/')
                .is_some_and(|(provider, model)| has(provider) && !model.is_empty()) =>
            {
                name.to_owned()
            }
            None => match (config.model_aliases.get(ANY), name.contains('/')) {
                (Some(model), _) => model.clone(),
                (None, true) => return Err(no_such_model(name, &names)),
                (None, false) => {
                    let default = &config.default_model;
                    format!(
                        "{}/{name}",
                        default.split_once('/').map_or(default.as_str(), |(provider, _)| provider)
                    )
                }
            },
        };
        let mut fallback = self.settings().fallback(&primary);
        fallback.retain(|model| *model != primary);
        Ok(Route { primary, fallback })
    }

    /// Waits between the tries of a client's call.
    pub fn model_retry(&self) -> retry::Policy {
        self.config().model_retry
    }

    /// Every model that can be named: aliases, then those of each provider as `provider/model`, sorted. A provider that
    /// does not answer is left out.
    pub async fn models(&self) -> Vec<String> {
        let deadline = Instant::now() + LIST_WAIT;
        let names = self.gateway().names();
        let asked = names.iter().map(|provider| async move {
            let found = self.gateway().probe(provider, deadline).await.unwrap_or_default();
            found.into_iter().map(|model| format!("{provider}/{model}")).collect::<Vec<_>>()
        });
        let of_providers = futures_util::future::join_all(asked).await;
        let aliases = self.config().model_aliases.keys().filter(|name| *name != ANY).cloned();
        let mut models: Vec<String> = aliases.chain(of_providers.into_iter().flatten()).collect();
        models.sort_unstable();
        models.dedup();
        models
    }

    /// What to say of a model that its provider does not have, with the name that was probably meant.
    pub async fn model_not_found(&self, asked: &str, failure: Failure) -> Failure {
        let models = self.models().await;
        let known: Vec<&str> = models
            .iter()
            .flat_map(|full| [Some(full.as_str()), full.split_once('/').map(|(_, bare)| bare)])
            .flatten()
            .collect();
        let mut failure = failure;
        if let Some(near) = nearest(asked, known) {
            failure.message = format!("{}; did you mean {near}?", failure.message);
        }
        failure
    }
}

fn no_such_model(name: &str, providers: &[String]) -> Failure {
    let provider = name.split_once('/').map_or(name, |(provider, _)| provider);
    let near = nearest(provider, providers.iter().map(String::as_str));
    let meant = near.map(|near| format!("; did you mean the provider {near}?")).unwrap_or_default();
    let known = if providers.is_empty() { "none".to_owned() } else { providers.join(", ") };
    let message =
        format!("find model {name}: no provider {provider} is configured (there are: {known}){meant}");
    Failure::new(Code::E006, "llm.model_not_found", "gateway", message)
}
