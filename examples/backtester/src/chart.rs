//! `equity.svg`: the equity curve, what holding would have given, and how deep it was under water.
//!
//! Guarantees: one file without scripts, fonts or links, readable on light and dark ground and by screen readers; colour
//! never carries meaning alone (dashes, shapes and words do); its size is bounded however long the data is.
//! Leaves to others: where ticks stand ([`ticks`]).
//! Read next: [`panel`].

pub mod panel;
pub mod ticks;

use crate::analysis::Metrics;
use crate::bars::Series;
use crate::bars::moment::Moment;
use crate::result::Report;
use crate::simulate::Trade;
use panel::{Panel, path, thin};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 580.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 936.0;
/// More markers than this hide the curve.
const MARKED_TRADES_MAX: usize = 60;

/// Colours stand in both sets, as not every viewer knows variables. Contrast is at least 4.5 to 1 for words, 3 for lines.
const STYLE: &str = "\
svg{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
.ground{fill:#ffffff}.title{fill:#1b1f24;font-size:20px;font-weight:600}.text{fill:#3d444d;font-size:13px}
.tick{fill:#57606a;font-size:12px}.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#8c959f;stroke-width:1}
.equity{fill:none;stroke:#0b62c4;stroke-width:2;stroke-linejoin:round}
.hold{fill:none;stroke:#6e7781;stroke-width:1.3;stroke-dasharray:5 4;stroke-linejoin:round}
.fall{fill:#c2410c;fill-opacity:.12}.water{fill:#c2410c;fill-opacity:.28}.depth{fill:none;stroke:#c2410c;stroke-width:1.3}
.buy{fill:#1a7f37;stroke:#ffffff;stroke-width:.8}.sell{fill:#a32020;stroke:#ffffff;stroke-width:.8}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.title{fill:#f0f3f6}.text{fill:#c9d1d9}.tick{fill:#9aa5b1}.grid{stroke:#2a313a}.axis{stroke:#6e7681}
.equity{stroke:#58a6ff}.hold{stroke:#9aa5b1}
.fall{fill:#ff8c5a;fill-opacity:.14}.water{fill:#ff8c5a;fill-opacity:.3}.depth{stroke:#ff8c5a}
.buy{fill:#4ac26b;stroke:#0d1117}.sell{fill:#ff7b72;stroke:#0d1117}}";

pub fn svg(series: &Series, report: &Report) -> String {
    let span = (report.data.first_at.as_second() as f64, report.data.last_at.as_second() as f64);
    let equity: Vec<(f64, f64)> =
        report.equity.iter().map(|point| (point.at.as_second() as f64, point.equity_amount)).collect();
    let first_close = series.bars.first().map_or(1.0, |bar| bar.close);
    let shares = report.params.initial_capital / first_close;
    let hold: Vec<(f64, f64)> =
        series.bars.iter().map(|bar| (bar.at.as_second() as f64, bar.close * shares)).collect();
    let depth: Vec<(f64, f64)> =
        report.equity.iter().map(|point| (point.at.as_second() as f64, -point.drawdown_fraction)).collect();
    let amounts = equity.iter().chain(&hold).map(|point| point.1);
    let money = ticks::amounts(amounts.clone().fold(f64::MAX, f64::min), amounts.fold(f64::MIN, f64::max));
    let deepest = depth.iter().map(|point| point.1).fold(0.0, f64::min);
    let water = ticks::depths(deepest);
    let upper = Panel { x: (LEFT, RIGHT), y: (118.0, 390.0), time: span, value: (money.low, money.high) };
    let lower = Panel { x: (LEFT, RIGHT), y: (428.0, 508.0), time: span, value: (water.low, water.high) };

    let mut out = String::new();
    opening(&mut out, report);
    fall(&mut out, &upper, report);
    grid(&mut out, &upper, &money);
    grid(&mut out, &lower, &water);
    dates(&mut out, [&upper, &lower]);
    let draw = |class: &str, d: String| format!("<path class=\"{class}\" d=\"{d}\"/>\n");
    out += &draw("hold", path(&upper, &thin(&hold)));
    out += &draw("equity", path(&upper, &thin(&equity)));
    let under = thin(&depth);
    out += &draw("water", panel::area(&lower, &under));
    out += &draw("depth", path(&lower, &under));
    markers(&mut out, &upper, report);
    out += "</svg>\n";
    out
}

fn opening(out: &mut String, report: &Report) {
    let data = &report.data;
    let title = format!("Equity: {}", report.params.strategy);
    let figures = figures(&report.metrics);
    let (from, to) = (ticks::day(data.first_at), ticks::day(data.last_at));
    let described = format!(
        "Equity from {from} to {to}, from {} to {}. {figures}.",
        ticks::amount(report.params.initial_capital, 0),
        ticks::amount(report.metrics.final_equity_amount, 0)
    );
    let mut add = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    add(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"title about\">"
    ));
    add(format!("<title id=\"title\">{}</title>", escape(&title)));
    add(format!("<desc id=\"about\">{}</desc>", escape(&described)));
    add(format!("<style>\n{STYLE}\n</style>"));
    add(format!("<rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"));
    add(format!("<text class=\"title\" x=\"24\" y=\"36\">{}</text>", escape(&title)));
    add(format!("<text class=\"text\" x=\"24\" y=\"58\">{}</text>", escape(&figures)));
    legend(&mut add, report);
    let source = format!(
        "{}, {} bars, {from} to {to}. Amounts in the currency of the prices; times in UTC; fees {} bps, slippage {} bps.",
        data.file, data.bars_count, report.params.fee_bps, report.params.slippage_bps
    );
    add(format!("<text class=\"tick\" x=\"24\" y=\"562\">{}</text>", escape(&source)));
}

fn figures(metrics: &Metrics) -> String {
    let mut parts = vec![format!("{} in all", ticks::signed_percent(metrics.total_return_fraction))];
    parts.push(format!("buy and hold {}", ticks::signed_percent(metrics.buy_and_hold_return_fraction)));
    if let Some(drawdown) = &metrics.max_drawdown {
        parts.push(format!("deepest drawdown {}", ticks::signed_percent(-drawdown.depth_fraction)));
    }
    if let Some(ratio) = metrics.sharpe.ratio {
        parts.push(format!("Sharpe ratio {}", ticks::minus(&format!("{ratio:.2}"))));
    }
    parts.push(match metrics.trades_count {
        0 => "no trades".to_owned(),
        1 => "1 trade".to_owned(),
        count => format!("{count} trades"),
    });
    parts.join(" · ")
}

fn legend(add: &mut impl FnMut(String), report: &Report) {
    let y = 84.0;
    let mut x = 24.0;
    let mut entry = |shape: String, words: &str| {
        add(shape.replace("{x}", &format!("{x}")));
        add(format!("<text class=\"text\" x=\"{}\" y=\"{}\">{words}</text>", x + 34.0, y + 4.5));
        // Letters are about 6.6 wide; fonts differ, so a little more.
        x += 34.0 + words.len() as f64 * 7.0 + 26.0;
    };
    let line =
        |class: &str| format!("<path class=\"{class}\" transform=\"translate({{x}} {y})\" d=\"M0 0H26\"/>");
    entry(line("equity"), "equity");
    entry(line("hold"), "buy and hold");
    if report.metrics.max_drawdown.is_some() {
        let swatch = format!(
            "<rect class=\"water\" transform=\"translate({{x}} {})\" width=\"26\" height=\"13\"/>",
            y - 6.5
        );
        entry(swatch, "drawdown (deepest shaded above)");
    }
    if (1..=MARKED_TRADES_MAX).contains(&report.trades.len()) {
        let mark = |class: &str, shape: &str| {
            format!("<path class=\"{class}\" transform=\"translate({{x}} {y})\" d=\"M13 0{shape}\"/>")
        };
        entry(mark("buy", BUY), "buy");
        entry(mark("sell", SELL), "sell");
    }
}

/// From peak to trough of the deepest drawdown.
fn fall(out: &mut String, panel: &Panel, report: &Report) {
    let Some(drawdown) = &report.metrics.max_drawdown else { return };
    let (from, to) =
        (panel.x_at(drawdown.peak_at.as_second() as f64), panel.x_at(drawdown.trough_at.as_second() as f64));
    let (top, bottom) = panel.y;
    let width = (to - from).max(1.0);
    writeln!(
        out,
        "<rect class=\"fall\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
        bottom - top,
        escape(&format!(
            "deepest drawdown: {}, {} to {}",
            ticks::signed_percent(-drawdown.depth_fraction),
            ticks::day(drawdown.peak_at),
            ticks::day(drawdown.trough_at)
        ))
    )
    .expect("writing to a string does not fail");
}

fn grid(out: &mut String, panel: &Panel, scale: &ticks::Scale) {
    for (value, words) in &scale.ticks {
        let y = panel.y_at(*value);
        let (left, right) = panel.x;
        out.push_str(&format!("<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>"));
        out.push_str(&format!(
            "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>\n",
            left - 8.0,
            y + 4.0
        ));
    }
    let (left, right) = panel.x;
    let caption = panel.y.0 - 9.0;
    out.push_str(&format!("<path class=\"axis\" d=\"M{left} {}H{right}\"/>", panel.y.1));
    out.push_str(&format!("<text class=\"tick\" x=\"{left}\" y=\"{caption}\">{}</text>\n", scale.name));
}

fn dates(out: &mut String, panels: [&Panel; 2]) {
    for (second, words) in ticks::times(panels[0].time) {
        let x = panels[0].x_at(second);
        for panel in panels {
            out.push_str(&format!("<path class=\"grid\" d=\"M{x:.1} {}V{}\"/>", panel.y.0, panel.y.1));
        }
        // A word at the very edge would be cut.
        let anchor = if x > panels[0].x.1 - 8.0 { "end" } else { "middle" };
        let y = panels[1].y.1 + 20.0;
        out.push_str(&format!(
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>\n"
        ));
    }
}

const BUY: &str = "m0 -6l5.5 9.5h-11z";
const SELL: &str = "m0 6l5.5 -9.5h-11z";

fn markers(out: &mut String, panel: &Panel, report: &Report) {
    if report.trades.len() > MARKED_TRADES_MAX {
        return;
    }
    let equity_at = |at| {
        let index = report.equity.partition_point(|point| point.at < at);
        report.equity.get(index).map_or(0.0, |point| point.equity_amount)
    };
    let mut mark = |class: &str, shape: &str, (at, words): (Moment, String)| {
        let (x, y) = (panel.x_at(at.as_second() as f64), panel.y_at(equity_at(at)));
        out.push_str(&format!(
            "<path class=\"{class}\" d=\"M{x:.1} {y:.1}{shape}\"><title>{}</title></path>\n",
            escape(&words)
        ));
    };
    for trade in &report.trades {
        let Trade { number, entry_at, entry_price, exit_at, exit_price, return_fraction, .. } = trade;
        let bought =
            format!("trade {number}: bought {} at {}", ticks::day(*entry_at), ticks::amount(*entry_price, 2));
        let sold = format!(
            "trade {number}: sold {} at {}, {}",
            ticks::day(*exit_at),
            ticks::amount(*exit_price, 2),
            ticks::signed_percent(*return_fraction)
        );
        mark("buy", BUY, (*entry_at, bought));
        mark("sell", SELL, (*exit_at, sold));
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::new();
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // Not allowed in XML at all; a file may still be named so.
            sign if sign.is_control() => safe.push('\u{fffd}'),
            sign => safe.push(sign),
        }
    }
    safe
}
