//! Reading a CSV file of bars, and refusing one that cannot be right.
//!
//! Guarantees: a refusal names file, line, what is wrong and how to mend it; the fingerprint is of the very bytes that
//! were read. A row is one line, so the line of a message is the line that an editor shows; commas inside quotes are
//! understood, line breaks inside quotes are not, as no such file has them.
//! Read next: [`super::moment`].

use super::{BARS_MAX, Bar, Gaps, PRICE_MAX, Series, moment};
use crate::failure::Failure;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A row has six short fields; a line of this length is not one, and must not fill the memory.
const LINE_BYTES_MAX: u64 = 4_096;
const COLUMNS: [&str; 6] = ["timestamp", "open", "high", "low", "close", "volume"];

pub fn read(path: &Path, gaps: Gaps) -> Result<Series, Failure> {
    let shown = path.display().to_string();
    let cannot = |error: std::io::Error| {
        Failure::data(
            format!("read {shown}: {error}"),
            "give --data the path of a CSV file that you may read",
        )
    };
    let mut lines = Lines {
        file: BufReader::new(File::open(path).map_err(cannot)?),
        sha: Sha256::new(),
        place: Place { file: shown.clone(), line: 0 },
    };
    let mut rows = Rows { columns: header(&mut lines)?, bars: Vec::new(), lines: Vec::new() };
    while let Some(text) = lines.next()? {
        if !text.trim().is_empty() {
            rows.push(&text, &lines.place)?;
        }
    }
    if rows.bars.len() < 2 {
        let what = format!("insufficient data: {} bars below the header", rows.bars.len());
        return Err(lines.place.refuse(what, "give a file with at least two bars"));
    }
    let bar_seconds = usual_distance(&rows.bars);
    check_spacing(&rows, bar_seconds, gaps, &shown)?;
    let gaps_count = self::gaps(&rows.bars, bar_seconds).count();
    let file = path.file_name().map_or(shown, |name| name.to_string_lossy().into_owned());
    let sha256 = lines.sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Series { file, sha256, bars: rows.bars, bar_seconds, gaps_count })
}

#[derive(Clone)]
struct Place {
    file: String,
    line: u32,
}

impl Place {
    fn refuse(&self, what: impl AsRef<str>, fix: impl Into<String>) -> Failure {
        Failure::data(format!("{}:{}: {}", self.file, self.line.max(1), what.as_ref()), fix)
    }
}

struct Lines {
    file: BufReader<File>,
    sha: Sha256,
    place: Place,
}

impl Lines {
    fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        if let Err(error) = read {
            return Err(self
                .place
                .refuse(format!("read on: {error}"), "check that the path is a readable file"));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.place.line += 1;
        self.sha.update(&bytes);
        if bytes.len() as u64 == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
            let what = format!("the line is longer than {LINE_BYTES_MAX} bytes");
            return Err(self.place.refuse(what, "give a text file with one bar a line"));
        }
        let text = String::from_utf8(bytes);
        text.map(Some)
            .map_err(|_| self.place.refuse("the line is not UTF-8 text", "save the file as UTF-8 CSV"))
    }
}

/// Where each of [`COLUMNS`] stands, and how many fields a row has.
struct Columns {
    at: [usize; 6],
    count: usize,
}

fn header(lines: &mut Lines) -> Result<Columns, Failure> {
    let form = format!("begin the file with the line: {}", COLUMNS.join(","));
    let Some(text) = lines.next()? else {
        return Err(lines.place.refuse("no data: the file is empty", form));
    };
    let text = text.trim_start_matches('\u{feff}');
    let names: Vec<String> = fields(text).iter().map(|name| name.to_lowercase()).collect();
    if names.len() == 1 && [';', '\t', '|'].iter().any(|sign| text.contains(*sign)) {
        return Err(lines.place.refuse("the columns are not separated by commas", form));
    }
    let mut at = [0; 6];
    let mut missing = Vec::new();
    for (place, column) in at.iter_mut().zip(COLUMNS) {
        let found: Vec<usize> = (0..names.len()).filter(|index| names[*index] == column).collect();
        match found[..] {
            [only] => *place = only,
            [] => missing.push(column),
            _ => {
                let what = format!("the column `{column}` is there {} times", found.len());
                return Err(lines.place.refuse(what, "keep one of them"));
            }
        }
    }
    if !missing.is_empty() {
        let what = format!("the header lacks {}; it has: {}", missing.join(", "), names.join(","));
        return Err(lines.place.refuse(what, form));
    }
    Ok(Columns { at, count: names.len() })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for sign in line.trim_end_matches(['\r', '\n']).chars() {
        match sign {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().expect("there is always one field").push(sign),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

struct Rows {
    columns: Columns,
    bars: Vec<Bar>,
    /// The line of each bar.
    lines: Vec<u32>,
}

impl Rows {
    fn push(&mut self, text: &str, place: &Place) -> Result<(), Failure> {
        let fields = fields(text);
        if fields.len() != self.columns.count {
            let what = format!("the row has {} fields, the header {}", fields.len(), self.columns.count);
            return Err(place.refuse(what, "mend the row; write numbers without thousands separators"));
        }
        if self.bars.len() == BARS_MAX {
            let what = format!("the file has more than {BARS_MAX} bars");
            return Err(place.refuse(what, "cut the file into shorter spans, or use longer bars"));
        }
        let bar = bar(&self.columns.at.map(|at| fields[at].as_str()), place)?;
        if let (Some(before), Some(line)) = (self.bars.last(), self.lines.last()) {
            if bar.at == before.at {
                let what = format!("the time {} is already on line {line}", bar.at);
                return Err(place.refuse(what, "keep one bar for each time"));
            }
            if bar.at < before.at {
                let what = format!("the time {} is before {} on line {line}", bar.at, before.at);
                return Err(place.refuse(what, "sort the rows by time, oldest first"));
            }
        }
        self.bars.push(bar);
        self.lines.push(place.line);
        Ok(())
    }
}

fn bar(fields: &[&str; 6], place: &Place) -> Result<Bar, Failure> {
    let at = moment::parse(fields[0])
        .map_err(|what| place.refuse(format!("timestamp {what}"), "write a date, or a time with its zone"))?;
    let price = |index: usize| {
        let price = number(fields[index], COLUMNS[index], place)?;
        if price <= 0.0 || price > PRICE_MAX {
            let what = format!("{} is {price}, a price is above 0 and at most {PRICE_MAX:e}", COLUMNS[index]);
            return Err(place.refuse(what, "correct the price, or leave the bar out"));
        }
        Ok(price)
    };
    let bar = Bar {
        at,
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
        volume: number(fields[5], COLUMNS[5], place)?,
    };
    if bar.volume < 0.0 {
        let what = format!("volume is {}, it cannot be negative", bar.volume);
        return Err(place.refuse(what, "correct the volume, or write 0"));
    }
    if bar.high < bar.low {
        let what = format!("high {} is below low {}", bar.high, bar.low);
        return Err(place.refuse(what, "check whether the two columns are swapped"));
    }
    for (name, price) in [("open", bar.open), ("close", bar.close)] {
        if price > bar.high || price < bar.low {
            let what = format!("{name} {price} is outside low {} to high {}", bar.low, bar.high);
            return Err(place.refuse(what, "check the order of the columns, or correct the bar"));
        }
    }
    Ok(bar)
}

fn number(text: &str, column: &str, place: &Place) -> Result<f64, Failure> {
    let parsed: Option<f64> = text.parse().ok();
    match parsed {
        Some(number) if number.is_finite() => Ok(number),
        Some(_) => Err(place
            .refuse(format!("{column} is `{text}`, which is no number"), "correct it, or leave the bar out")),
        None if text.is_empty() => {
            Err(place.refuse(format!("{column} is empty"), "fill it in, or leave the bar out"))
        }
        None => Err(place.refuse(
            format!("{column} `{text}` is no number"),
            "write it with a point and without thousands separators, as 64000.50",
        )),
    }
}

/// The median: a few gaps do not move it.
fn usual_distance(bars: &[Bar]) -> i64 {
    let mut distances: Vec<i64> = bars.windows(2).map(seconds).collect();
    distances.sort_unstable();
    distances[(distances.len() - 1) / 2].max(1)
}

fn seconds(pair: &[Bar]) -> i64 {
    pair[1].at.duration_since(*pair[0].at).as_secs()
}

/// Indices of bars before which bars are missing. Half a bar of tolerance bears days of 25 hours and short months.
pub fn gaps(bars: &[Bar], bar_seconds: i64) -> impl Iterator<Item = usize> {
    let pairs = bars.windows(2).enumerate();
    pairs.filter(move |(_, pair)| seconds(pair) * 2 > bar_seconds * 3).map(|(index, _)| index + 1)
}

fn check_spacing(rows: &Rows, bar_seconds: i64, allowed: Gaps, file: &str) -> Result<(), Failure> {
    let place = |index: usize| Place { file: file.to_owned(), line: rows.lines[index] };
    let early = rows.bars.windows(2).position(|pair| seconds(pair) * 2 < bar_seconds);
    if let Some(index) = early {
        let what = format!(
            "this bar comes {} s after the one before, most come after {bar_seconds} s",
            seconds(&rows.bars[index..index + 2])
        );
        return Err(place(index + 1).refuse(what, "keep bars of one length in a file"));
    }
    if allowed == Gaps::Allow {
        return Ok(());
    }
    let mut gaps = gaps(&rows.bars, bar_seconds);
    let Some(first) = gaps.next() else { return Ok(()) };
    let missing = (seconds(&rows.bars[first - 1..=first]) as f64 / bar_seconds as f64).round() - 1.0;
    let (before, after) = (rows.bars[first - 1].at, rows.bars[first].at);
    let more = match gaps.count() {
        0 => String::new(),
        count => format!(" ({count} more gaps follow)"),
    };
    let what =
        format!("gap: {missing} bars of {bar_seconds} s are missing between {before} and {after}{more}");
    Err(place(first).refuse(what, "add the bars, or pass --gaps allow if the market was closed"))
}
