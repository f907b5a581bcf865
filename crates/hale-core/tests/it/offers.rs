//! Capabilities that several packs offer.

use hale_core::pack::offers::{Choice, Offer, Standing, offered};

fn offer(pack: &str, standing: Standing) -> Offer {
    Offer { pack: pack.to_owned(), version: "1.0.0".to_owned(), standing }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

// covers: CX-65
#[test]
fn what_two_enabled_packs_offer_is_ambiguous_and_disabled_ones_do_not_count() {
    let (notes, research, old) =
        (words("summarise write"), words("research summarise summarise"), words("write"));
    let packs = [
        (offer("research", Standing::Enabled), &*research),
        (offer("notes", Standing::Enabled), &*notes),
        (offer("old-notes", Standing::Disabled), &*old),
    ];
    let all = offered(packs);
    let names: Vec<&str> = all.iter().map(|offered| offered.capability.as_str()).collect();
    assert_eq!(names, ["research", "summarise", "write"]);
    assert_eq!(all[0].choice(), Choice::One("research".to_owned()));
    assert_eq!(all[1].choice(), Choice::Ambiguous(vec!["notes".to_owned(), "research".to_owned()]));
    assert_eq!(all[1].offers.len(), 2, "named twice by one pack");
    assert!(all[1].because().starts_with("notes and research offer it alike"), "{}", all[1].because());
    assert_eq!(all[2].choice(), Choice::One("notes".to_owned()));
    assert_eq!(all[2].offers.len(), 2, "the disabled one is shown");
    let alone = offered([(offer("old-notes", Standing::Disabled), &*old)]);
    assert_eq!(alone[0].choice(), Choice::Nobody);
}
