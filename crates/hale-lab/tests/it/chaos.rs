//! Injected faults: they take effect, they say so, they end when told or when their time is over, and what they broke
//! is whole again.

use crate::diagnosis::World;
use hale_core::code::Code;
use hale_core::run::StateName;
use hale_core::time::Millis;
use hale_lab::chaos::{Lab, SimAt};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn with(params: &[(&str, &str)]) -> BTreeMap<String, String> {
    params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleared_fault_is_over_and_told_with_its_hits() {
    let world = World::new(2).await;
    let other = with(&[("model", "sim/other")]);
    let elsewhere = world.lab.inject("llm.key_refuse", None, other).await.unwrap();
    assert_eq!(elsewhere.target, "sim/other");
    let fault = world.lab.inject("llm.key_refuse", None, BTreeMap::new()).await.unwrap();
    assert_eq!((fault.hits, fault.target.as_str()), (0, "sim/small"), "it has done nothing yet");
    assert_eq!(world.run("asker").await.1, StateName::Failed);
    let hits: Vec<u64> = world.lab.list().iter().map(|fault| fault.hits).collect();
    assert_eq!(hits, [0, 1], "only the fault of the model that was asked took effect");
    let cleared = world.lab.clear(fault.id).await.unwrap();
    assert_eq!((cleared.id, cleared.hits), (fault.id, 1));
    assert_eq!(world.run("asker").await.1, StateName::Completed);
    assert_eq!(world.lab.list().len(), 1);
    assert_eq!(world.lab.clear(fault.id).await.unwrap_err().code, Code::E010);
    assert_eq!(world.lab.clear_all().await.unwrap().len(), 1);
    assert!(world.lab.list().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_ends_with_its_time_and_the_killed_worker_is_back() {
    let world = World::new(2).await;
    let span = Some(Millis(300));
    let killed = world.lab.inject("worker.kill_all", span, BTreeMap::new()).await.unwrap();
    assert_eq!((killed.hits, world.engine.embedded()), (1, None));
    let again = world.lab.inject("worker.kill_all", span, BTreeMap::new()).await.unwrap_err();
    assert_eq!(again.code, Code::E011, "nothing is left to kill");
    world.lab.sweep().await;
    assert_eq!(world.engine.embedded(), None, "its time is not over");
    let begun = Instant::now();
    while world.engine.embedded().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the worker never came back");
        // The lab's clock is the wall: a span of it must pass.
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.lab.sweep().await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(world.lab.list().is_empty());
    assert_eq!(world.run("asker").await.1, StateName::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_cannot_take_effect_is_refused_with_the_reason() {
    let world = World::new(2).await;
    let unknown = world.lab.inject("llm.rate_limt", None, BTreeMap::new()).await.unwrap_err();
    assert_eq!(unknown.code, Code::E010);
    assert!(unknown.message.contains("llm.rate_limit"), "{unknown}");
    let wait = world.lab.inject("llm.slow", None, with(&[("wait", "soon")])).await.unwrap_err();
    assert_eq!(wait.code, Code::E002);
    let real = Lab::new(world.engine.clone(), SimAt::Nowhere);
    let refused = real.inject("llm.slow", None, BTreeMap::new()).await.unwrap_err();
    assert_eq!(refused.code, Code::E011);
    assert!(real.list().is_empty() && world.lab.list().is_empty());
}
