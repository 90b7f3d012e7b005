//! Holidays as event columns.  In: names and positions of days with windows. Out: one 0/1 column per name and offset.

/// One occurrence of a holiday; one that moves (Easter) is a row per year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday<'a> {
    /// Occurrences of the same name share an effect.
    pub name: &'a str,
    /// Steps after the first value of the series; negative before it.
    pub position: i64,
    /// First day that it touches, in steps from the day itself: 0, or -2 for two days before.
    pub lower_window: i64,
    /// Last day that it touches, in steps from the day itself: 0 or more.
    pub upper_window: i64,
}

/// An event column of one name and offset.
#[derive(Debug, Clone, PartialEq)]
pub struct HolidayColumn {
    /// `easter`, `easter-1`, `easter+2`.
    pub name: String,
    /// 0 or 1 per value of the series.
    pub history: Vec<f64>,
    /// 0 or 1 per step of the horizon.
    pub future: Vec<f64>,
}

/// One column per name and offset that touches the history or the horizon, ordered by first mention and offset.
///
/// A name that never occurs in `0..values + horizon` makes no column: it changes nothing.
pub fn holiday_columns(holidays: &[Holiday], values: usize, horizon: usize) -> Vec<HolidayColumn> {
    let mut columns: Vec<(&str, i64, HolidayColumn)> = Vec::new();
    let steps = i64::try_from(values + horizon).unwrap_or(i64::MAX);
    for holiday in holidays {
        // Offsets that touch the calendar, whatever the window says.
        let first = holiday.lower_window.max(0_i64.saturating_sub(holiday.position));
        let last = holiday.upper_window.min(steps.saturating_sub(1).saturating_sub(holiday.position));
        for offset in first..=last {
            let at = (holiday.position + offset) as usize;
            let known = columns.iter().position(|(name, o, _)| *name == holiday.name && *o == offset);
            let index = known.unwrap_or_else(|| {
                let name = if offset == 0 { holiday.name.into() } else { format!("{}{offset:+}", holiday.name) };
                let column = HolidayColumn { name, history: vec![0.0; values], future: vec![0.0; horizon] };
                columns.push((holiday.name, offset, column));
                columns.len() - 1
            });
            let column = &mut columns[index].2;
            if at < values { column.history[at] = 1.0 } else { column.future[at - values] = 1.0 }
        }
    }
    let mut order: Vec<&str> = Vec::new();
    for (name, ..) in &columns {
        if !order.contains(name) {
            order.push(name);
        }
    }
    columns.sort_by_key(|(name, offset, _)| (order.iter().position(|n| n == name), *offset));
    columns.into_iter().map(|(.., column)| column).collect()
}
