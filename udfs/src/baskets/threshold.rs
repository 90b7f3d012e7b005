//! Exact comparison with a decimal threshold.  In: a number as the user wrote it, whole numbers. Out: yes or no.
//!
//! 0.3 is no binary fraction, and a rule at exactly 30 of 100 must pass a confidence of 0.3. So the number is taken as the
//! shortest decimal text that means it, which is what the user wrote, and compared as a fraction of whole numbers.

/// A threshold as an exact fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    numerator: u128,
    denominator: u128,
}

/// No product of two counts below 2^63 reaches ten to this power, nor does the inverse of one fall below its inverse.
const POWER_MAX: i32 = 38;

impl Threshold {
    /// From a finite number that is not negative.
    ///
    /// Numbers from 10^38 become a threshold that no ratio of products of two counts reaches, and those below 10^-38 one
    /// that every positive ratio reaches: such ratios lie strictly between these ends.
    pub fn new(number: f64) -> Self {
        let text = format!("{number:e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let power: i32 = power.parse().unwrap_or(0);
        let numerator: u128 = format!("{whole}{fraction}").parse().unwrap_or(0);
        let power = power - fraction.len() as i32;
        let top = power + (whole.len() + fraction.len()) as i32;
        if numerator == 0 || top <= -POWER_MAX {
            Self { numerator: 0, denominator: 1 }
        } else if top > POWER_MAX {
            Self { numerator: u128::MAX, denominator: 1 }
        } else if power >= 0 {
            Self { numerator: numerator * 10u128.pow(power as u32), denominator: 1 }
        } else if power >= -POWER_MAX {
            Self { numerator, denominator: 10u128.pow(-power as u32) }
        } else {
            // Digits beyond 10^-38 would not fit; the value stays below 10^-20 and below every ratio of two counts.
            Self { numerator: 0, denominator: 1 }
        }
    }

    /// Whether `part / whole` reaches the threshold, in whole numbers.
    pub fn reached(&self, part: u128, whole: u128) -> bool {
        match (part.checked_mul(self.denominator), whole.checked_mul(self.numerator)) {
            (Some(left), Some(right)) => left >= right,
            _ => wide(part, self.denominator) >= wide(whole, self.numerator),
        }
    }
}

/// A product of two 128-bit numbers as (high, low).
fn wide(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a0 * b0;
    let mid = a1 * b0 + (low >> 64);
    let mid2 = a0 * b1 + (mid & LOW);
    (a1 * b1 + (mid >> 64) + (mid2 >> 64), (mid2 << 64) | (low & LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rule_at_exactly_the_threshold_passes() {
        for (number, part, whole) in
            [(0.3, 30, 100), (0.1, 1, 10), (0.7, 7, 10), (0.07, 7, 100), (1.0, 9, 9), (1.5, 3, 2)]
        {
            assert!(Threshold::new(number).reached(part, whole), "{number}");
            assert!(
                !Threshold::new(number).reached(part * 1_000_000_000_000 - 1, whole * 1_000_000_000_000),
                "{number}"
            );
        }
    }

    #[test]
    fn the_ends_hold() {
        assert!(Threshold::new(0.0).reached(0, 5));
        assert!(Threshold::new(1e-300).reached(1, 1 << 100));
        assert!(Threshold::new(5e-324).reached(1, 1 << 100));
        assert!(!Threshold::new(1e300).reached(1 << 125, 1));
        assert!(!Threshold::new(f64::MAX).reached(1 << 125, 1));
        assert!(Threshold::new(1e20).reached(10u128.pow(20), 1));
        assert!(!Threshold::new(1e20).reached(10u128.pow(20) - 1, 1));
    }

    proptest! {
        #[test]
        fn decimals_compare_as_fractions(num in 0u64..=1_000_000, part in 0u64..1 << 40, whole in 1u64..1 << 40) {
            let threshold = Threshold::new(num as f64 / 1e6);
            let expected = u128::from(part) * 1_000_000 >= u128::from(num) * u128::from(whole);
            prop_assert_eq!(threshold.reached(part.into(), whole.into()), expected);
        }

        #[test]
        fn wide_products_compare_like_narrow_ones(a in 0u128..1 << 63, b in 0u128..1 << 63) {
            prop_assert_eq!(wide(a, b), (0, a * b));
            prop_assert_eq!(wide(a << 64, b << 64), (a * b, 0));
        }
    }
}
