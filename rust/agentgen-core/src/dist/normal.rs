//! The standard normal distribution, computed with the pinned `libm` for equal results on all platforms.

use std::f64::consts::FRAC_1_SQRT_2;

use crate::rng::RandomStream;

/// P(Z <= z).
#[must_use]
pub fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// A draw of a standard normal.
#[inline]
pub(crate) fn score(stream: &mut RandomStream) -> f64 {
    quantile(stream.uniform())
}

/// The z with P(Z <= z) = p, for p in (0, 1): Wichura's algorithm AS 241 (Applied Statistics 37, 1988), relative
/// error about 1e-16.
#[inline]
#[must_use]
pub fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRE);
    }
    tail(p, q)
}

/// The quantile beyond 1.44 standard deviations, for 15 % of the draws.
fn tail(p: f64, q: f64) -> f64 {
    let r = (-libm::log(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let z = if r <= 5.0 { ratio(r - 1.6, &MIDDLE) } else { ratio(r - 5.0, &FAR) };
    if q < 0.0 { -z } else { z }
}

/// Coefficients of a rational approximation, constant terms first.
struct Ratio {
    numerator: [f64; 8],
    denominator: [f64; 8],
}

#[inline]
fn ratio(r: f64, c: &Ratio) -> f64 {
    horner(r, &c.numerator) / horner(r, &c.denominator)
}

#[inline]
fn horner(r: f64, c: &[f64; 8]) -> f64 {
    ((((((c[7] * r + c[6]) * r + c[5]) * r + c[4]) * r + c[3]) * r + c[2]) * r + c[1]) * r + c[0]
}

// The published coefficients, digit for digit.
#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
const CENTRE: Ratio = Ratio {
    numerator: [
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ],
    denominator: [
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ],
};
#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
const MIDDLE: Ratio = Ratio {
    numerator: [
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ],
    denominator: [
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ],
};
#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
const FAR: Ratio = Ratio {
    numerator: [
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ],
    denominator: [
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_the_cdf() {
        for i in -370..=80 {
            let z = f64::from(i) / 10.0;
            let p = cdf(z);
            // p near 1 has lost digits: half an ulp of p moves z by eps / density.
            let density = (-0.5 * z * z).exp() / 2.507;
            let tolerance = 1e-13 * z.abs().max(1.0) + if z > 0.0 { 2e-16 / density } else { 0.0 };
            assert!((quantile(p) - z).abs() <= tolerance, "z {z} p {p} back {}", quantile(p));
        }
    }

    #[test]
    fn published_values() {
        assert!((quantile(0.25) - -0.674_489_750_196_081_7).abs() < 1e-15);
        assert!((quantile(0.001) - -3.090_232_306_167_814).abs() < 1e-14);
        assert!((quantile(1e-20) - -9.262_340_089_798_408).abs() < 1e-13);
        assert!((cdf(1.96) - 0.975_002_104_851_779_6).abs() < 1e-15);
    }
}
