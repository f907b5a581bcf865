//! Arms in the engine: what routing logs, and that silence voids a registration. No arm answers here; those that do
//! are in the tests of the doors.

use crate::world::{World, caller, pack, state};
use hale_core::arm::{Health, Registration};
use hale_core::code::Code;
use hale_core::routing::{Constraint, Contract};
use hale_core::run::{Event, StateName};
use hale_engine::DryRun;
use hale_engine::facade::tasks::TaskOrder;
use std::time::Duration;

fn order(goal: &str) -> TaskOrder {
    TaskOrder { contract: Contract { goal: goal.to_owned(), ..Contract::default() }, ..TaskOrder::default() }
}

/// An address of this machine at which nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn registration(name: &str) -> Registration {
    Registration {
        name: name.to_owned(),
        url: nowhere(),
        keywords: vec!["mail".to_owned()],
        ttl_seconds: Some(60),
        ..Registration::default()
    }
}

// covers: OL-105, OL-113
#[tokio::test(start_paused = true)]
async fn a_routed_task_ends_as_a_run_and_its_scores_are_logged() {
    let world = World::new().await;
    world.deploy("planner", "kind: echo\ndomains: [planning]\nkeywords: [plan]").await;
    world.deploy("coder", "keywords: [python]").await;
    let (receipt, decision) = world.engine.start_task(order("Write it in Python"), &caller()).await.unwrap();
    assert_eq!(decision.arm, "coder");
    assert_eq!(state(&world.end(receipt.run.id).await.run), StateName::Completed);
    let request = world.model.calls.lock().unwrap()[0].clone();
    let asked = format!("{:?}", request.messages);
    assert!(
        asked.contains("Write it in Python") && asked.contains("constraints"),
        "the model is told: {asked}"
    );
    let events = world.events(receipt.run.id).await;
    assert!(matches!(&events[..2], [Event::Accepted { .. }, Event::Routed { .. }]));
    let lines = world.logs.lines().iter().map(|line| format!("{line:?}")).collect::<Vec<_>>().join("\n");
    assert!(lines.contains("goes to coder; scores: coder 10, planner 0"), "{lines}");
}

// covers: OL-128
#[tokio::test(start_paused = true)]
async fn relaxing_is_logged_with_the_guides_words() {
    let world = World::new().await;
    world.logs.expect(&["No good arm match, relaxing constraints"]);
    world.deploy("planner", "kind: echo\nkeywords: [plan]").await;
    let mut order = order("plan it");
    order.contract.constraints.push(Constraint::has("speed", "fast", false));
    let (receipt, _) = world.engine.start_task(order, &caller()).await.unwrap();
    world.end(receipt.run.id).await;
    let lines = world.logs.lines().iter().map(|line| format!("{line:?}")).collect::<Vec<_>>().join("\n");
    assert!(lines.contains("No good arm match, relaxing constraints: speed=fast"), "{lines}");
    assert_eq!(world.engine.meters().tasks_relaxed.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn silence_voids_a_registration_and_registering_again_renews_it() {
    let mut world = World::new().await;
    world.engine.register_arm(registration("mailer"), &caller()).await.unwrap();
    let health = |world: &World| world.engine.arm("mailer").unwrap().health;
    assert!(matches!(health(&world), Health::Unhealthy { .. }), "nobody answers there");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(matches!(health(&world), Health::Expired { .. }), "{:?}", health(&world));
    let probed = world.engine.arm("mailer").unwrap().asked_at;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.engine.arm("mailer").unwrap().asked_at, probed, "an expired arm is left alone");
    let kept = world.engine.arm("mailer").unwrap();
    let again = Registration { url: kept.manifest.endpoint.clone().unwrap(), ..registration("mailer") };
    world.engine.register_arm(again, &caller()).await.unwrap();
    assert!(matches!(health(&world), Health::Unhealthy { .. }), "{:?}", health(&world));
    // A restarted server has heard nothing yet, and gives everybody the whole time.
    world.restart().await;
    assert!(matches!(health(&world), Health::Unhealthy { .. }));
    assert!(world.engine.arm("mailer").unwrap().registered_at.is_some(), "the registration is durable");
    let refused = world.engine.start_task(order("mail it"), &caller()).await.unwrap_err();
    assert_eq!((refused.code, refused.cause.as_str()), (Code::E011, "task.no_arm"));
}

#[tokio::test(start_paused = true)]
async fn a_name_belongs_to_whoever_had_it_first() {
    let world = World::new().await;
    world.logs.expect(&["Failed to register with orchestrator"]);
    world.deploy("mailer", "keywords: [mail]").await;
    let taken = world.engine.register_arm(registration("mailer"), &caller()).await.unwrap_err();
    assert_eq!((taken.code, taken.cause.as_str()), (Code::E011, "arm.name_taken"));
    let by_hand = pack("poster", &format!("kind: arm\nendpoint: \"{}\"", nowhere()));
    world.engine.deploy("poster.md", by_hand.as_bytes(), DryRun::No, &caller()).await.unwrap();
    let moved = world.engine.register_arm(registration("poster"), &caller()).await.unwrap_err();
    assert!(moved.to_string().contains("deployed from a file"), "{moved}");
    let left = world.engine.deregister_arm("poster", &caller()).await.unwrap_err();
    assert_eq!(left.cause, "arm.not_registered");
}
