//! Pearson's chi-square test: the statistic, and how likely it is that chance makes it that large or larger.
//!
//! The probability is the regularised upper incomplete gamma function Q(freedom/2, chi_square/2), by its series or its
//! continued fraction (Abramowitz and Stegun, 6.5.29 and 6.5.31).

/// Terms at most; both expansions need some dozens.
const TERMS_MAX: u32 = 10_000;
const PRECISION: f64 = 1e-14;

/// Sum of (counted - expected)² / expected. No expectation may be 0.
pub(super) fn chi_square(counted_and_expected: impl Iterator<Item = (f64, f64)>) -> f64 {
    counted_and_expected.map(|(counted, expected)| (counted - expected).powi(2) / expected).sum()
}

/// Probability of a chi-square of at least that much with `freedom` degrees, at least 1.
pub(super) fn p_value(chi_square: f64, freedom: u32) -> f64 {
    let (a, x) = (f64::from(freedom) / 2.0, chi_square / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - ln_gamma_of_half(freedom)).exp();
    if x < a + 1.0 { 1.0 - scale * lower_series(a, x) } else { scale * upper_fraction(a, x) }
}

/// ln Γ(n/2), up from Γ(1/2) = √π or Γ(1) = 1.
fn ln_gamma_of_half(n: u32) -> f64 {
    let (first, base) = if n.is_multiple_of(2) { (2, 0.0) } else { (1, std::f64::consts::PI.ln() / 2.0) };
    (first..n).step_by(2).fold(base, |sum, k| sum + (f64::from(k) / 2.0).ln())
}

fn lower_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    for n in 1..TERMS_MAX {
        term *= x / (a + f64::from(n));
        sum += term;
        if term < sum * PRECISION {
            break;
        }
    }
    sum
}

/// 1/(x+1-a- 1·(1-a)/(x+3-a- 2·(2-a)/(x+5-a- …))), by Lentz's method.
fn upper_fraction(a: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut value = d;
    for n in 1..TERMS_MAX {
        let numerator = -f64::from(n) * (f64::from(n) - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b, TINY);
        c = away_from_zero(b + numerator / c, TINY);
        value *= d * c;
        if (d * c - 1.0).abs() < PRECISION {
            break;
        }
    }
    value
}

fn away_from_zero(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_of_the_tables() {
        // Percentage points of the chi-square distribution, as printed everywhere (NIST e-Handbook, 1.3.6.7.4).
        for (freedom, value, p) in [
            (1, 3.841, 0.05),
            (1, 6.635, 0.01),
            (2, 9.210, 0.01),
            (9, 4.168, 0.90),
            (9, 16.919, 0.05),
            (9, 21.666, 0.01),
            (9, 27.877, 0.001),
            (63, 92.010, 0.01),
            (100, 135.807, 0.01),
            (100, 82.358, 0.90),
        ] {
            let found = p_value(value, freedom);
            assert!((found - p).abs() < p * 2e-3, "{freedom} degrees, {value}: {found}, not {p}");
        }
        // Of two degrees it is e^(-x/2) exactly.
        for x in [0.1, 1.0, 3.9, 4.1, 20.0, 200.0] {
            let (found, exact) = (p_value(x, 2), (-x / 2.0_f64).exp());
            assert!((found - exact).abs() <= exact * 1e-12, "{x}: {found}, not {exact}");
        }
        assert!((p_value(0.0, 9) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_statistic_by_hand() {
        let found = chi_square([(44.0, 50.0), (56.0, 50.0)].into_iter());
        assert!((found - 1.44).abs() < 1e-12, "{found}");
    }
}
