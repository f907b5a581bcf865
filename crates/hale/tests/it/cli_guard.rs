//! `hale guard check`: from a file, without a server, in every form.

use crate::cli_world::World;
use serde_json::Value;

#[test]
fn a_text_is_checked_without_a_server() {
    let world = World::new();
    world.write("mail.txt", "Dear all,\nwrite to ada@example.com, card 4111 1111 1111 1111.\n");
    world.write("plain.txt", "Nothing of the kind: order 4111111111111112.\n");
    let found = world.expect(11, &["guard", "check", "mail.txt"]);
    assert!(found.out.contains("email") && found.out.contains("card"), "{}", found.out);
    assert!(!found.out.contains("ada@") && !found.out.contains("4111"), "no value is shown: {}", found.out);
    let json: Value =
        serde_json::from_str(&world.expect(11, &["guard", "check", "mail.txt", "--json"]).out).unwrap();
    assert_eq!((json["count"].as_u64(), &json["found"][0]["kind"]), (Some(2), &Value::from("email")));
    assert_eq!((json["found"][0]["line"].as_u64(), json["found"][0]["column"].as_u64()), (Some(2), Some(10)));
    let clean = world.expect(11, &["guard", "check", "--redact", "mail.txt"]);
    assert_eq!(clean.out, "Dear all,\nwrite to [email], card [card].\n");
    assert!(world.expect(0, &["guard", "check", "plain.txt"]).out.contains("nothing found"));
    world.expect(3, &["guard", "check", "missing.txt"]);
}
