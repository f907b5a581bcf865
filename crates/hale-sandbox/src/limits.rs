//! Every bound of the file tools, each with its reason.
//!
//! A tool that reaches one says so in `limits_reached`; none is passed silently.
//! Read next: [`crate::tools`].

/// Bytes of one result as JSON: what a step keeps inline in the journal, and about 16,000 tokens of a model's window.
pub const RESULT_BYTES: usize = hale_core::limits::STEP_BYTES;
/// Part of a result left for its other fields: the path (at most [`SHOWN_BYTES`], escaped), counts and notes.
pub const ENVELOPE_BYTES: usize = 8 << 10;
/// Bytes of file text in one result, as JSON writes them.
pub const TEXT_BYTES: usize = RESULT_BYTES - ENVELOPE_BYTES;
/// Bytes of a path or pattern that results and errors repeat; control characters grow sixfold when escaped.
pub const SHOWN_BYTES: usize = 512;

/// Bytes of a path: Linux's `PATH_MAX`; a longer one cannot be opened.
pub const PATH_BYTES: usize = 4096;
/// Times that a path is resolved anew when the kernel sees a rename in its middle (`EAGAIN`). Each try is
/// independent; a path that loses this often is being changed on purpose.
pub const RESOLVE_TRIES: u32 = 64;

/// Bytes looked at to tell text from binary: the habit of grep and git.
pub const BINARY_PROBE_BYTES: usize = 8 << 10;

/// Depth of `files.list`: deeper trees are asked for by their subfolders, which keeps answers readable.
pub const LIST_DEPTH_MOST: u64 = 5;
/// Entries of `files.list` unless asked otherwise: about 4,000 tokens.
pub const LIST_ENTRIES: u64 = 200;
/// The most entries that a caller may ask for.
pub const LIST_ENTRIES_MOST: u64 = 1000;
/// Entries that `files.list` walks to count them: 0.1 s on a local disk.
pub const LIST_SEEN_MOST: u64 = 20_000;

/// Lines of `head` and `tail`: more never fit into [`TEXT_BYTES`], at one byte and its newline each.
pub const READ_LINES_MOST: u64 = 32_768;

/// Bytes of a pattern: nobody types more; compile time grows with it.
pub const PATTERN_BYTES: usize = 1024;
/// A compiled pattern: `(a{1000}){1000}` is refused here, and one byte of text costs at most some ten
/// thousand states.
pub const PATTERN_PROGRAM_BYTES: usize = 256 << 10;
/// The lazy automaton's cache; a pattern that overflows it is searched more slowly, not with more memory.
pub const PATTERN_CACHE_BYTES: usize = 2 << 20;
/// Nesting of a pattern; the parser recurses.
pub const PATTERN_NESTING: u32 = 64;
/// Bytes handed to a pattern at a time, and the part of a longer line that is searched, by the size of the compiled
/// pattern with its Unicode classes left out. That size counts the states that can be alive at once, which is what a
/// byte of text costs at worst: the costliest patterns found took 0.2 s a piece on a loaded machine, well under the
/// second within which a cancellation must stop. Patterns that people write are in the first row.
pub const SEARCH_PIECES: [(usize, usize); 3] =
    [(16 << 10, SEARCH_PIECE_BYTES), (64 << 10, 4 << 10), (PATTERN_PROGRAM_BYTES, 2 << 10)];
/// The piece of an ordinary pattern.
pub const SEARCH_PIECE_BYTES: usize = 8 << 10;
/// A line held in memory; a file with a longer one is left at that point.
pub const SEARCH_LINE_BYTES: usize = 1 << 20;
/// Bytes searched in one file: a day of a busy log.
pub const SEARCH_FILE_BYTES: u64 = 64 << 20;
/// Bytes searched in one call: about a second on a warm cache.
pub const SEARCH_BYTES: u64 = 256 << 20;
/// Files searched in one call: about a second of opening.
pub const SEARCH_FILES: u64 = 10_000;
/// Entries walked in one search; their names are held one folder at a time.
pub const SEARCH_ENTRIES: u64 = 50_000;
/// Depth of a search; bounds the open folders and the length of paths.
pub const SEARCH_DEPTH: u64 = 16;
/// Matches unless asked otherwise.
pub const SEARCH_MATCHES: u64 = 100;
/// The most matches that a caller may ask for.
pub const SEARCH_MATCHES_MOST: u64 = 1000;
/// Lines of context before and after a match.
pub const SEARCH_CONTEXT_MOST: u64 = 10;
/// Bytes of a line that a match shows, around the match.
pub const MATCH_TEXT_BYTES: usize = 512;
/// Of these, the part before the match.
pub const MATCH_LEAD_BYTES: usize = 128;

/// Entries of a folder read between two looks at the deadline and the cancel flag: a few microseconds each.
pub const CHECK_EVERY: u64 = 64;
