//! The random numbers of the marketplace: one stream per thing that is drawn, each a pure function of the seed.
//! In: seed, purpose, index. Out: uniform, exponential, normal, Poisson, gamma and negative binomial draws.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014: Fast Splittable Pseudorandom Number Generators). The state of a
//! stream starts at `mix(mix(mix(seed) + purpose) + index)`, so any SKU or basket can be drawn alone and in any order.
//! Logarithms and exponentials come from the `libm` crate, because those of the platform differ between hosts in the last
//! bit, and the same seed must give the same bytes everywhere.

/// What a stream is used for: two purposes never share numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Attributes of an item: class, price, life.
    Item = 1,
    /// Daily demand of an item.
    Demand = 2,
    /// Promotions of an item.
    Promotion = 3,
    /// Stock-outs of an item.
    Stock = 4,
    /// Planted rules.
    Rules = 5,
    /// One basket.
    Basket = 6,
    /// How popularity ranks are dealt to SKU numbers.
    Ranks = 7,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mean above which Poisson draws use rejection instead of a sequential search.
const POISSON_SEARCH_MAX: f64 = 12.0;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of one thing: the same three numbers always give the same draws.
    pub(super) fn of(seed: u64, purpose: Purpose, index: u64) -> Self {
        let keyed = mix(seed.wrapping_add(GOLDEN_GAMMA)).wrapping_add(purpose as u64);
        Self { state: mix(mix(keyed.wrapping_mul(GOLDEN_GAMMA)).wrapping_add(index)) }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// Uniform on [0, 1), 53 bits.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on (0, 1], for logarithms.
    fn uniform_above_zero(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in 0..n (n > 0), by multiplication; the bias is below n / 2^64.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Exponential with the given mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(self.uniform_above_zero())
    }

    /// Standard normal, by Marsaglia's polar method.
    pub(super) fn normal(&mut self) -> f64 {
        loop {
            let x = self.between(-1.0, 1.0);
            let y = self.between(-1.0, 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * libm::sqrt(-2.0 * libm::log(square) / square);
            }
        }
    }

    /// Gamma with the given shape and mean (Marsaglia and Tsang 2000; shapes below 1 by their boost).
    pub(super) fn gamma(&mut self, shape: f64, mean: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(self.uniform_above_zero(), 1.0 / shape);
            return boost * self.gamma(shape + 1.0, mean * (shape + 1.0) / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let root = 1.0 + c * x;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            let u = self.uniform_above_zero();
            let square = x * x;
            if u < 1.0 - 0.0331 * square * square || libm::log(u) < 0.5 * square + d * (1.0 - v + libm::log(v)) {
                return d * v * mean / shape;
            }
        }
    }

    /// Poisson: sequential search for small means, Hörmann's PTRS (1993) for the others.
    pub(super) fn poisson(&mut self, mean: f64) -> i32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean < POISSON_SEARCH_MAX {
            return self.poisson_by_search(mean);
        }
        let (log_mean, root) = (libm::log(mean), libm::sqrt(mean));
        let b = 0.931 + 2.53 * root;
        let a = -0.059 + 0.024_83 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform_above_zero();
            let us = 0.5 - u.abs();
            let k = libm::floor((2.0 * a / us + b) * u + mean + 0.43);
            if us >= 0.07 && v <= v_r {
                return k as i32;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = libm::log(v) + libm::log(inverse_alpha) - libm::log(a / (us * us) + b);
            if left <= -mean + k * log_mean - libm::lgamma(k + 1.0) {
                return k as i32;
            }
        }
    }

    fn poisson_by_search(&mut self, mean: f64) -> i32 {
        let mut left = self.uniform();
        let mut term = libm::exp(-mean);
        let mut k = 0;
        // The terms vanish long before this bound, so rounding cannot make the search endless.
        while left >= term && k < 200 {
            left -= term;
            k += 1;
            term *= mean / f64::from(k);
        }
        k
    }

    /// Negative binomial as a Poisson with gamma mean: variance = mean + mean^2 / shape.
    pub(super) fn negative_binomial(&mut self, mean: f64, shape: f64) -> i32 {
        let rate = self.gamma(shape, mean);
        self.poisson(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut(&mut Stream) -> f64) -> (f64, f64) {
        let mut stream = Stream::of(7, Purpose::Demand, 3);
        let n = 200_000;
        let values: Vec<f64> = (0..n).map(|_| draw(&mut stream)).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / f64::from(n);
        (mean, variance)
    }

    fn near(got: f64, want: f64, relative: f64) {
        assert!((got - want).abs() <= relative * want.abs().max(0.05), "got={got}, want={want}");
    }

    #[test]
    fn split_mix_64_gives_the_published_sequence() {
        // Reference: splitmix64.c of S. Vigna, state 1234567.
        let mut stream = Stream { state: 1_234_567 };
        let got: Vec<u64> = (0..3).map(|_| stream.bits()).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        for lambda in [0.3, 4.0, 11.9, 12.1, 90.0] {
            let (mean, variance) = moments(|s| f64::from(s.poisson(lambda)));
            near(mean, lambda, 0.01);
            near(variance, lambda, 0.02);
        }
        for shape in [0.6, 1.0, 15.0] {
            let (mean, variance) = moments(|s| s.gamma(shape, 8.0));
            near(mean, 8.0, 0.01);
            near(variance, 64.0 / shape, 0.04);
        }
        let (mean, variance) = moments(|s| f64::from(s.negative_binomial(20.0, 1.0)));
        near(mean, 20.0, 0.01);
        near(variance, 420.0, 0.04);
        let (mean, variance) = moments(Stream::normal);
        near(mean, 0.0, 0.2);
        near(variance, 1.0, 0.02);
        let (mean, variance) = moments(|s| s.exponential(3.0));
        near(mean, 3.0, 0.02);
        near(variance, 9.0, 0.04);
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let first = |seed, purpose, index| Stream::of(seed, purpose, index).bits();
        let base = first(1, Purpose::Item, 0);
        assert_eq!(base, first(1, Purpose::Item, 0));
        assert_ne!(base, first(2, Purpose::Item, 0));
        assert_ne!(base, first(1, Purpose::Demand, 0));
        assert_ne!(base, first(1, Purpose::Item, 1));
    }
}
