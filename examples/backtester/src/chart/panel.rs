//! A panel of the chart: values to places on the page, and lines through them.
//!
//! Guarantees: a line has at most [`COLUMNS`] times four points; thinning keeps the lowest and highest of each column, so
//! that no peak and no fall disappears.

/// As many as the drawing is wide: finer than this nobody sees.
pub const COLUMNS: usize = 850;

pub struct Panel {
    /// Left and right.
    pub x: (f64, f64),
    /// Top and bottom.
    pub y: (f64, f64),
    /// First and last second.
    pub time: (f64, f64),
    /// Lowest and highest value.
    pub value: (f64, f64),
}

impl Panel {
    pub fn x_at(&self, second: f64) -> f64 {
        let part = (second - self.time.0) / (self.time.1 - self.time.0).max(1.0);
        self.x.0 + part * (self.x.1 - self.x.0)
    }

    pub fn y_at(&self, value: f64) -> f64 {
        let height = self.value.1 - self.value.0;
        let part = if height > 0.0 { (value - self.value.0) / height } else { 0.5 };
        self.y.1 - part * (self.y.1 - self.y.0)
    }
}

pub fn path(panel: &Panel, points: &[(f64, f64)]) -> String {
    let place =
        |(second, value): &(f64, f64)| format!("{:.1} {:.1}", panel.x_at(*second), panel.y_at(*value));
    let places: Vec<String> = points.iter().map(place).collect();
    format!("M{}", places.join("L"))
}

/// Between a line and zero.
pub fn area(panel: &Panel, points: &[(f64, f64)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return "M0 0".to_owned() };
    let zero = panel.y_at(0.0);
    format!(
        "{}L{:.1} {zero:.1}L{:.1} {zero:.1}Z",
        path(panel, points),
        panel.x_at(last.0),
        panel.x_at(first.0)
    )
}

/// First, lowest, highest and last of each column, in order of time.
pub fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= COLUMNS * 2 {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(COLUMNS * 4);
    for column in points.chunks(points.len().div_ceil(COLUMNS)) {
        let by_value = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let lowest = (0..column.len()).min_by(by_value).unwrap_or(0);
        let highest = (0..column.len()).max_by(by_value).unwrap_or(0);
        let mut of_column = vec![0, lowest, highest, column.len() - 1];
        of_column.sort_unstable();
        of_column.dedup();
        kept.extend(of_column.into_iter().map(|index| column[index]));
    }
    kept
}
