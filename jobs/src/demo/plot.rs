//! A series and its forecast as a terminal plot.
//! In: history, forecast, interval. Out: lines of block characters.

/// Bars of one to eight eighths of a line.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of the scale on the left, with its axis.
const SCALE: usize = 9;

/// The smallest width and height of a plot: below them there is no room for scale, history and forecast.
const SIZE_MIN: (usize, usize) = (16, 2);

/// One column: the mean of its steps and, in the forecast, the hull of their intervals.
#[derive(Debug, Clone, Copy)]
struct Column {
    value: f64,
    lower: f64,
    upper: f64,
}

/// Draws the last part of a history as bars, a divider at the cutoff, and the forecast as `●` in its interval `░`.
///
/// `width` (at least 16) and `height` (at least 2) are characters, the line of captions below not counted; smaller values
/// are an error of the caller and give the message as text. One column is one step, or several when the forecast would
/// fill more than half of the width: then the line below says how many. `lower` and `upper` may be empty (no interval);
/// values that are not finite are left blank. Trailing blanks are cut. Without any finite value the text says so.
pub fn plot(history: &[f64], forecast: &[f64], lower: &[f64], upper: &[f64], width: usize, height: usize) -> String {
    if width < SIZE_MIN.0 || height < SIZE_MIN.1 {
        return format!("(plot too small: width={width}, height={height}, least={}x{})\n", SIZE_MIN.0, SIZE_MIN.1);
    }
    let room = width - SCALE - 1;
    let steps = forecast.len().div_ceil((room / 2).max(1)).max(1);
    let future: Vec<Column> =
        (0..forecast.len()).step_by(steps).map(|at| column(forecast, lower, upper, at, steps)).collect();
    let past_columns = (room - future.len()).min(history.len() / steps);
    let first = history.len() - past_columns * steps;
    let past: Vec<Column> =
        (first..history.len()).step_by(steps).map(|at| column(history, &[], &[], at, steps)).collect();
    let finite = |value: &f64| value.is_finite();
    let values = || past.iter().chain(&future).flat_map(|c| [c.value, c.lower, c.upper]).filter(finite);
    if values().next().is_none() {
        return "(no finite value to plot)\n".to_owned();
    }
    // Bars stand on zero unless something is negative; a flat series at zero still needs a scale.
    let low = values().fold(0.0, f64::min);
    let high = values().fold(low, f64::max);
    let high = if high > low { high } else { low + 1.0 };
    let place = |value: f64| position(value, low, high) * height as f64;
    let mut text = String::new();
    for line in (0..height).rev() {
        let label = match line {
            0 => scale_label(low),
            _ if line + 1 == height => scale_label(high),
            _ => String::new(),
        };
        let mut row = format!("{label:>7} ┤");
        row.extend(past.iter().map(|column| bar(place(column.value) - line as f64)));
        row.push('│');
        row.extend(future.iter().map(|column| mark(column, line, height, &place)));
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text.push_str(&caption(past.len() * steps, forecast.len(), steps, !upper.is_empty()));
    text
}

/// The steps `at..at + steps` as one column. Missing intervals are not a number.
fn column(values: &[f64], lower: &[f64], upper: &[f64], at: usize, steps: usize) -> Column {
    let part = |values: &[f64]| -> Vec<f64> {
        values.iter().skip(at).take(steps).copied().filter(|value| value.is_finite()).collect()
    };
    let of_values = part(values);
    let count = of_values.len() as f64;
    Column {
        // Dividing first keeps the mean of huge values finite; of none it is 0, and stays blank as not a number.
        value: if of_values.is_empty() { f64::NAN } else { of_values.iter().map(|value| value / count).sum() },
        lower: part(lower).into_iter().fold(f64::NAN, f64::min),
        upper: part(upper).into_iter().fold(f64::NAN, f64::max),
    }
}

/// Where a value stands between low and high, 0 to 1, also when their difference overflows.
fn position(value: f64, low: f64, high: f64) -> f64 {
    (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
}

/// The part of a bar that falls in a line: `filled` lines of it are at or above the line's bottom.
fn bar(filled: f64) -> char {
    let eighths = (filled * 8.0).round();
    match eighths {
        e if e.is_nan() || e < 1.0 => ' ',
        e => EIGHTHS[(e as usize).min(8) - 1],
    }
}

/// What the forecast shows in a line, counted from the bottom.
fn mark(column: &Column, line: usize, height: usize, place: &impl Fn(f64) -> f64) -> char {
    let line_of = |value: f64| value.is_finite().then(|| (place(value) as usize).min(height - 1));
    // An upper limit on the border of two lines does not reach into the upper one.
    let line_below = |value: f64| value.is_finite().then(|| (place(value).ceil() as usize).saturating_sub(1));
    match (line_of(column.value), line_of(column.lower), line_below(column.upper)) {
        (Some(value), ..) if value == line => '●',
        (_, Some(lower), Some(upper)) if (lower..=upper).contains(&line) => '░',
        _ => ' ',
    }
}

/// A number in at most seven characters.
fn scale_label(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(0.01..100_000.0).contains(&size) {
        return format!("{value:.0e}");
    }
    let decimals = if size >= 100.0 || value == value.trunc() { 0 } else { 2 };
    format!("{value:.decimals$}")
}

fn caption(past: usize, future: usize, steps: usize, with_interval: bool) -> String {
    let interval = if with_interval { ", ░ interval" } else { "" };
    let per_column = if steps == 1 { String::new() } else { format!(", {steps} steps a column") };
    format!("{:SCALE$}█ last {past} steps │ ● forecast of {future}{interval}{per_column}\n", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_series_gives_exactly_this() {
        let text = plot(&[0.0, 1.0, 2.0, 4.0], &[2.0, 3.0], &[1.0, 1.0], &[3.0, 4.0], 20, 4);
        let want = [
            "      4 ┤   █│ ●",
            "        ┤   █│●░",
            "        ┤  ██│░░",
            "      0 ┤ ███│",
            "         █ last 4 steps │ ● forecast of 2, ░ interval",
            "",
        ];
        // The second forecast is on the border of the upper two lines, and belongs to the one that begins with it.
        assert_eq!(text, want.join("\n"));
    }

    #[test]
    fn bars_grow_by_eighths() {
        let history: Vec<f64> = (0..=8).map(f64::from).collect();
        let text = plot(&history, &[16.0], &[], &[], 30, 2);
        let want = ["     16 ┤         │●", "      0 ┤ ▁▂▃▄▅▆▇█│", "         █ last 9 steps │ ● forecast of 1", ""];
        assert_eq!(text, want.join("\n"));
    }

    #[test]
    fn long_series_keep_within_the_width() {
        let history: Vec<f64> = (0..730).map(|day| f64::from(day % 7)).collect();
        for (steps, width) in [(28, 80), (200, 80), (28, 16), (0, 40)] {
            let forecast = vec![3.0; steps];
            let text = plot(&history, &forecast, &vec![1.0; steps], &vec![5.0; steps], width, 6);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 7);
            assert!(lines[..6].iter().all(|line| line.chars().count() <= width), "{text}");
        }
        assert!(plot(&history, &vec![3.0; 200], &[], &[], 80, 6).contains("● forecast of 200, 6 steps a column"));
    }

    #[test]
    fn odd_values_do_not_break_it() {
        assert_eq!(plot(&[], &[], &[], &[], 80, 6), "(no finite value to plot)\n");
        assert_eq!(plot(&[f64::NAN], &[f64::INFINITY], &[], &[], 80, 6), "(no finite value to plot)\n");
        assert_eq!(plot(&[1.0], &[1.0], &[], &[], 8, 6), "(plot too small: width=8, height=6, least=16x2)\n");
        assert!(plot(&[0.0, 0.0], &[0.0], &[0.0], &[0.0], 20, 2).contains("      0 ┤  │●"));
        let huge = plot(&[-1e308, 1e308], &[1e308], &[-1e308], &[1e308], 20, 3);
        assert!(huge.starts_with("  1e308 ┤ █│●\n"), "{huge}");
        let negative = plot(&[-4.0, 4.0], &[0.0], &[], &[], 20, 2);
        assert!(negative.starts_with("      4 ┤ █│●\n     -4 ┤ █│\n"), "{negative}");
        assert!(plot(&[1.0, f64::NAN, 1.0], &[1.0], &[], &[], 20, 2).starts_with("      1 ┤█ █│●\n"));
    }
}
