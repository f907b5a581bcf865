//! Aligned columns.
//!
//! Guarantees: columns stand two spaces apart and are as wide as their widest cell; only a column marked as text is
//! ever cut, and only to fit a terminal; no line ends in spaces.
//! Leaves to others: what stands in the cells.

use super::paint::{Look, Tone};
use unicode_width::UnicodeWidthStr;

/// Where a column's cells stand, and whether they may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Left,
    Right,
    /// Cut with an ellipsis where the terminal ends; at most one, the last.
    Text,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        // A cell is one line, whatever a message brought along.
        Self { text: crate::logs::line::escaped(&text.into()), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows under a head.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Column)>,
    rows: Vec<Vec<Cell>>,
}

const GAP: &str = "  ";

impl Table {
    pub fn new(columns: &[(&'static str, Column)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// A row; cells beyond the columns are dropped.
    pub fn row(&mut self, mut cells: Vec<Cell>) {
        cells.truncate(self.columns.len());
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines. Columns without any content are left out.
    pub fn render(&self, look: &Look) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|place| self.width(place)).collect();
        let mut text = String::new();
        let head = self.columns.iter().map(|(name, _)| Cell::new(name.to_uppercase(), Tone::Dim)).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            text.push_str(&self.line(row, &widths, look));
            text.push('\n');
        }
        text
    }

    /// Zero for a column in which nothing stands.
    fn width(&self, place: usize) -> usize {
        let widest = self.rows.iter().filter_map(|row| row.get(place)).map(|cell| cell.text.width()).max();
        match widest {
            None | Some(0) if !self.rows.is_empty() => 0,
            widest => widest.unwrap_or(0).max(self.columns[place].0.width()),
        }
    }

    fn line(&self, row: &[Cell], widths: &[usize], look: &Look) -> String {
        let shown: Vec<usize> = (0..self.columns.len()).filter(|place| widths[*place] > 0).collect();
        let mut line = String::new();
        let mut used = 0;
        for (nth, place) in shown.iter().copied().enumerate() {
            let (column, last) = (self.columns[place].1, nth + 1 == shown.len());
            let empty = Cell::from("");
            let cell = row.get(place).unwrap_or(&empty);
            let mut text = cell.text.clone();
            if let (Column::Text, Some(width)) = (column, look.width) {
                text = cut(&text, width.saturating_sub(used).max(8));
            }
            let space = " ".repeat(widths[place].saturating_sub(text.width()));
            let painted = cell.tone.paint(&text);
            match (column, last) {
                (Column::Right, _) => line.push_str(&format!("{space}{painted}")),
                (_, true) => line.push_str(&painted),
                (_, false) => line.push_str(&format!("{painted}{space}")),
            }
            if !last {
                line.push_str(GAP);
            }
            used += widths[place] + GAP.len();
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

/// The text in at most `width` columns, with an ellipsis if something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for letter in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0);
        if used + wide > width {
            break;
        }
        kept.push(letter);
        used += wide;
    }
    kept.push('…');
    kept
}

/// Pairs of name and value, the values in one column: the head of a detail view.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let rows: Vec<&(&str, String)> = rows.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let space = " ".repeat(width - name.width());
        let indent = format!("\n{}", " ".repeat(width + 4));
        let value = value.lines().collect::<Vec<_>>().join(&indent);
        text.push_str(&format!("  {}{space}  {value}\n", Tone::Dim.paint(name)));
    }
    text
}
