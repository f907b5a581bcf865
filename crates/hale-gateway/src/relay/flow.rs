//! An answer on its way: as it came, where client and provider speak one dialect, else translated.
//!
//! Read next: [`super::frames`], [`super::translated`].

use super::frames::Frames;
use super::translated::Translated;
use crate::dialect::Dialect;
use crate::dialect::trouble::Trouble;
use crate::openai::assembly::Flaw;
use crate::provider::Usage;
use bytes::Bytes;

pub(crate) enum Flow {
    Same(Frames),
    Other(Box<Translated>),
}

impl Flow {
    pub(crate) fn began(&self) -> bool {
        match self {
            Self::Same(frames) => frames.began,
            Self::Other(translated) => translated.began,
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Same(frames) => frames.is_whole,
            Self::Other(translated) => translated.is_whole(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Same(frames) => frames.is_done,
            Self::Other(translated) => translated.is_done(),
        }
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Same(frames) => frames.usage,
            Self::Other(translated) => translated.usage,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> (Bytes, Option<Flaw>) {
        match self {
            Self::Same(frames) => frames.push(bytes),
            Self::Other(translated) => translated.push(bytes),
        }
    }

    /// # Errors
    /// The stream did not come to its end.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Flaw> {
        match self {
            Self::Same(frames) => frames.finish(),
            Self::Other(translated) => translated.finish(),
        }
    }

    /// The last event: what went wrong, in the client's dialect.
    pub(crate) fn fail(&mut self, dialect: Dialect, trouble: &Trouble<'_>) -> Bytes {
        match self {
            Self::Same(_) => dialect.error_event(trouble).into(),
            Self::Other(translated) => translated.fail(trouble),
        }
    }
}
