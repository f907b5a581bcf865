//! Artifacts across runs, in the plain model.
//!
//! Read next: `sqlite/artifacts.rs`, which must answer the same.

use super::{Kept, Memory};
use crate::blobs::Blobs;
use crate::{ArtifactCursor, ArtifactPage, ArtifactRow, Error, Hash, Pruned};
use hale_core::filter::artifacts::Filter;
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;

impl Kept {
    /// Whether a run, or an operator who put it, names a content.
    pub(super) fn names(&self, hash: &str) -> bool {
        self.settings.contains_key(&format!("{}{hash}", crate::blobs::INPUTS))
            || self.runs.values().any(|kept| {
                kept.artifacts
                    .values()
                    .any(|artifact| artifact.hash == hash && !kept.gone.contains(&artifact.name))
            })
    }

    pub(super) fn artifacts(
        &self,
        (filter, after): (&Filter, Option<&ArtifactCursor>),
        limit: u32,
    ) -> ArtifactPage {
        let mut rows: Vec<(u64, ArtifactRow)> = Vec::new();
        for kept in self.runs.values() {
            let row = |artifact: &Artifact| ArtifactRow {
                run: kept.run.id,
                pack: kept.run.pack.name.clone(),
                artifact: artifact.clone(),
                expired: kept.gone.contains(&artifact.name),
            };
            rows.extend(kept.artifacts.values().map(|artifact| (kept.place, row(artifact))));
        }
        rows.sort_by(|(a, one), (b, other)| (b, &other.artifact.name).cmp(&(a, &one.artifact.name)));
        let place = after.map(|after| {
            let known = self.runs.range(..=after.run).next_back().map_or(0, |(_, kept)| kept.place);
            (known, after.name.clone())
        });
        let behind = |(n, row): &(u64, ArtifactRow)| {
            place.as_ref().is_none_or(|(last, name)| (*n, &row.artifact.name) < (*last, name))
        };
        let fits = |row: &ArtifactRow| filter.takes(row.run, &row.pack, &row.artifact);
        let mut rows: Vec<ArtifactRow> =
            rows.into_iter().filter(behind).map(|(_, row)| row).filter(fits).collect();
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last();
        let next = last.map(|row| ArtifactCursor { run: row.run, name: row.artifact.name.clone() });
        ArtifactPage { next: next.filter(|_| more), rows }
    }
}

impl Memory {
    /// Artifacts past their retention, of the run that ended first.
    pub(super) fn expired(&self, before: Timestamp) -> Vec<(RunId, Artifact)> {
        let due = self.prunable(before);
        let kept = self.kept();
        let mut all = Vec::new();
        for kept in due.iter().filter_map(|(.., run)| kept.runs.get(run)) {
            let here = kept.artifacts.values().filter(|artifact| !kept.gone.contains(&artifact.name));
            all.extend(here.map(|artifact| (kept.run.id, artifact.clone())));
        }
        all
    }

    pub(super) fn expire_in_turn(&self, before: Timestamp, artifacts_max: u64) -> Result<Pruned, Error> {
        let most = usize::try_from(artifacts_max).unwrap_or(usize::MAX);
        let due: Vec<_> = self.expired(before).into_iter().take(most).collect();
        let mut kept = self.kept();
        let mut pruned = Pruned::default();
        for (run, artifact) in due {
            if let Some(run) = kept.runs.get_mut(&run) {
                run.gone.insert(artifact.name.clone());
            }
            pruned.artifacts += 1;
            if let (false, Ok(hash)) = (kept.names(&artifact.hash), artifact.hash.parse::<Hash>()) {
                self.blobs.remove(hash)?;
                pruned.artifact_bytes += artifact.bytes;
            }
        }
        pruned.bytes = pruned.artifact_bytes;
        Ok(pruned)
    }
}
