//! Rules and statuses as text tables.
//! In: mined and planted rules, counts by status. Out: lines for a terminal of 80 columns.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::generate::PlantedRule;

/// Characters of a rule before it is cut.
const RULE_WIDTH: usize = 44;
/// Characters of the longest bar of a status.
const BAR_WIDTH: usize = 30;

/// A rule as it was mined.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRule {
    /// Items on the left, in any order.
    pub antecedent: Vec<String>,
    /// Items on the right, in any order.
    pub consequent: Vec<String>,
    /// Share of baskets with both sides.
    pub support: f64,
    /// Share of baskets with the left side that have the right side.
    pub confidence: f64,
    /// Confidence over the share of baskets with the right side.
    pub lift: f64,
}

/// Sides of a rule, for comparison: order and doubles do not count.
type Sides<'a> = (BTreeSet<&'a str>, BTreeSet<&'a str>);

fn sides<'a>(antecedent: &'a [String], consequent: &'a [String]) -> Sides<'a> {
    (antecedent.iter().map(String::as_str).collect(), consequent.iter().map(String::as_str).collect())
}

/// The `top` strongest found rules (by lift, then support, then names) beside what was planted, then the planted rules
/// that were not found at all, then how many of them were recovered.
///
/// A planted rule is recovered when a found rule has the same items on both sides; its row shows `✓` and the confidence
/// and lift that were planted. Recovery looks at all of `found`, not only at the rows shown.
pub fn rules_table(found: &[FoundRule], planted: &[PlantedRule], top: usize) -> String {
    let mut order: Vec<&FoundRule> = found.iter().collect();
    order.sort_by(|a, b| {
        let by_size = b.lift.total_cmp(&a.lift).then(b.support.total_cmp(&a.support));
        by_size.then_with(|| (&a.antecedent, &a.consequent).cmp(&(&b.antecedent, &b.consequent)))
    });
    let truth = |rule: &FoundRule| {
        let found = sides(&rule.antecedent, &rule.consequent);
        planted.iter().find(|planted| sides(&planted.antecedent, &planted.consequent) == found)
    };
    let mut text = format!("{:RULE_WIDTH$} {:>15}   {:>15}\n", "", "found", "planted");
    let _ = writeln!(text, "{:RULE_WIDTH$} {:>8} {:>6}   {:>8} {:>6}", "rule", "conf", "lift", "conf", "lift");
    for rule in order.iter().take(top) {
        let name = rule_name(&rule.antecedent, &rule.consequent);
        let row = format!("{name:RULE_WIDTH$} {:>8.3} {:>6.1}", rule.confidence, rule.lift);
        let row = match truth(rule) {
            Some(planted) => format!("{row} ✓ {:>8.3} {:>6.1}", planted.expected_confidence, planted.expected_lift),
            None => row,
        };
        let _ = writeln!(text, "{row}");
    }
    let all: BTreeSet<Sides<'_>> = found.iter().map(|rule| sides(&rule.antecedent, &rule.consequent)).collect();
    let missed: Vec<&PlantedRule> =
        planted.iter().filter(|rule| !all.contains(&sides(&rule.antecedent, &rule.consequent))).collect();
    for rule in &missed {
        let name = rule_name(&rule.antecedent, &rule.consequent);
        let (confidence, lift) = (rule.expected_confidence, rule.expected_lift);
        let _ = writeln!(text, "{name:RULE_WIDTH$} {:>15} ✗ {confidence:>8.3} {lift:>6.1}", "not found");
    }
    let _ = writeln!(text, "recovered {} of {} planted rules", planted.len() - missed.len(), planted.len());
    text
}

/// `a, b → c`, cut with an ellipsis when it is too long.
fn rule_name(antecedent: &[String], consequent: &[String]) -> String {
    let name = format!("{} → {}", antecedent.join(", "), consequent.join(", "));
    if name.chars().count() <= RULE_WIDTH {
        return name;
    }
    name.chars().take(RULE_WIDTH - 1).chain(['…']).collect()
}

/// Counts by status in the order given, each with its share and a bar; the last line is the sum.
///
/// A status that occurs shows at least a sliver of a bar.
pub fn status_table(counts: &[(String, u64)]) -> String {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let name_width = counts.iter().map(|(name, _)| name.chars().count()).chain(["status".len()]).max().unwrap_or(0);
    let count_width = total.to_string().len().max("series".len());
    let mut text = format!("{:name_width$} {:>count_width$}\n", "status", "series");
    for (name, count) in counts {
        let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
        let eighths = (share * (BAR_WIDTH * 8) as f64).round() as usize;
        let bar = match eighths {
            0 if *count == 0 => String::new(),
            0..=7 => "▏".to_owned(),
            _ => "█".repeat(eighths / 8),
        };
        let row = format!("{name:name_width$} {count:>count_width$} {:>6.2} % {bar}", share * 100.0);
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let _ = writeln!(text, "{:name_width$} {total:>count_width$}", "all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn found(antecedent: &[&str], consequent: &[&str], support: f64, confidence: f64, lift: f64) -> FoundRule {
        FoundRule { antecedent: names(antecedent), consequent: names(consequent), support, confidence, lift }
    }

    fn planted(antecedent: &[&str], consequent: &[&str], confidence: f64, lift: f64) -> PlantedRule {
        PlantedRule {
            antecedent: names(antecedent),
            consequent: names(consequent),
            probability: 0.5,
            expected_support: 0.01,
            expected_confidence: confidence,
            expected_lift: lift,
            expected_antecedent_support: 0.02,
            expected_consequent_support: 0.02,
        }
    }

    #[test]
    fn rules_stand_beside_the_planted_ones() {
        let mined = [
            found(&["B"], &["A"], 0.01, 0.4, 9.0),
            found(&["A"], &["B"], 0.01, 0.52, 9.0),
            found(&["C", "D"], &["E"], 0.004, 0.3, 20.04),
            found(&["weak"], &["rule"], 0.004, 0.3, 1.5),
        ];
        let truth = [
            planted(&["D", "C"], &["E"], 0.31, 21.0),
            planted(&["A"], &["B"], 0.5, 8.5),
            planted(&["X"], &["Y"], 0.45, 7.0),
        ];
        let blank = " ".repeat(RULE_WIDTH);
        let pad = |name: &str| format!("{name:RULE_WIDTH$}");
        let want = [
            format!("{blank}           found           planted"),
            format!("{}     conf   lift       conf   lift", pad("rule")),
            format!("{}    0.300   20.0 ✓    0.310   21.0", pad("C, D → E")),
            format!("{}    0.520    9.0 ✓    0.500    8.5", pad("A → B")),
            format!("{}    0.400    9.0", pad("B → A")),
            format!("{}       not found ✗    0.450    7.0", pad("X → Y")),
            "recovered 2 of 3 planted rules".to_owned(),
            String::new(),
        ];
        assert_eq!(rules_table(&mined, &truth, 3), want.join("\n"));
    }

    #[test]
    fn recovery_counts_rules_that_are_not_shown() {
        let text = rules_table(&[found(&["A"], &["B"], 0.1, 0.5, 2.0)], &[planted(&["A"], &["B"], 0.5, 2.0)], 0);
        assert!(text.ends_with("recovered 1 of 1 planted rules\n") && !text.contains('✗'), "{text}");
    }

    #[test]
    fn long_rules_keep_within_eighty_columns() {
        let long =
            found(&["SKU-0000001", "SKU-0000002", "SKU-0000003"], &["SKU-0000004", "SKU-0000005"], 0.1, 0.5, 2.0);
        let truth =
            planted(&["SKU-0000003", "SKU-0000002", "SKU-0000001"], &["SKU-0000005", "SKU-0000004"], 0.5, 12_345.6);
        let text = rules_table(&[long], &[truth], 5);
        assert!(text.contains('…') && text.contains('✓'), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn statuses_have_counts_shares_and_a_sum() {
        let counts = [("ok".to_owned(), 999), ("gap".to_owned(), 1), ("overflow".to_owned(), 0)];
        let bar = "█".repeat(29);
        let want = [
            "status   series".to_owned(),
            format!("ok          999  99.90 % {bar}█"),
            "gap           1   0.10 % ▏".to_owned(),
            "overflow      0   0.00 %".to_owned(),
            "all        1000".to_owned(),
            String::new(),
        ];
        assert_eq!(status_table(&counts), want.join("\n"));
        assert_eq!(status_table(&[]), "status series\nall         0\n");
    }
}
