//! Packs as tools of packs, seen from the shelf: what is missing, and what goes round in a circle.
//!
//! Both are warnings: a child may be deployed later, and a circle may have an end; the bound on generations holds.
//! Read next: `hale-engine/src/adopt.rs`.

use super::Shelf;
use hale_core::limits;
use hale_core::pack::{Pack, Warning, child_of};
use std::collections::BTreeSet;

/// Says at every deploy what a child lacks now.
pub(super) fn warn(pack: &mut Pack, shelf: &Shelf) {
    let mut warnings = Vec::new();
    for tool in &pack.manifest.tools {
        let Some((name, version)) = child_of(tool) else { continue };
        if let Some(message) = missing(shelf, (tool, name, version)) {
            let help = format!("until then a call is answered with an error; see `hale packs show {name}`");
            warnings.push(Warning { line: 1, column: 1, message, help });
        } else if let Some(way) = way_back(shelf, name, &pack.manifest.name) {
            let message = format!("{tool} comes back to this pack: {way}");
            let help = format!("after {} generations a call is refused", limits::CHILD_DEPTH_MAX);
            warnings.push(Warning { line: 1, column: 1, message, help });
        }
    }
    pack.warnings.extend(warnings);
}

fn missing(shelf: &Shelf, (tool, name, version): (&str, &str, Option<&str>)) -> Option<String> {
    let Some(entry) = shelf.get(name) else { return Some(format!("{tool}: there is no pack {name}")) };
    if !entry.enabled {
        return Some(format!("{tool}: the pack {name} is disabled"));
    }
    let version = version?;
    let known = entry.versions.iter().any(|known| known.row.version.as_ref() == version);
    (!known).then(|| format!("{tool}: the pack {name} has no version {version}"))
}

/// `a -> b -> a`: how the child leads back to the pack, if it does.
fn way_back(shelf: &Shelf, from: &str, to: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![vec![from.to_owned()]];
    while let Some(way) = open.pop() {
        let Some(at) = way.last().filter(|at| seen.insert((*at).clone())) else { continue };
        for next in children(shelf, at) {
            if next == to {
                return Some(format!("{to} -> {} -> {to}", way.join(" -> ")));
            }
            let mut longer = way.clone();
            longer.push(next);
            open.push(longer);
        }
    }
    None
}

/// The packs that the current version of a pack may call.
fn children(shelf: &Shelf, name: &str) -> Vec<String> {
    let Some(entry) = shelf.get(name) else { return Vec::new() };
    let current = entry.versions.iter().find(|version| Some(&version.row.version) == entry.current.as_ref());
    let tools = current.map(|version| version.manifest.tools.as_slice()).unwrap_or_default();
    tools.iter().filter_map(|tool| child_of(tool)).map(|(name, _)| name.to_owned()).collect()
}
