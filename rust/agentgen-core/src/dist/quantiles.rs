//! Distributions of all families in one form: a quantile function of a standard normal score.

use super::lognormal::Lognormal;
use super::normal;
use crate::config::{Component, Distribution, Family};

/// Scores that are tabulated: probabilities beyond them are below 1e-15.
const REACH: f64 = 8.0;
/// Knots of a table for each unit of the score.
const KNOTS_PER_UNIT: f64 = 64.0;

/// A distribution: the value at each standard normal score, which does not decrease with the score.
///
/// The logarithm of a lognormal is linear in the score. The others are tabulated: between two knots the value is linear in
/// the score. [`Self::share_below`] inverts exactly this function, so it is the distribution of the draws.
#[derive(Debug, Clone)]
pub struct Quantiles {
    form: Form,
    min: f64,
    max: f64,
}

#[derive(Debug, Clone)]
enum Form {
    /// `exp(mu + sigma * score)`, not truncated.
    Lognormal { mu: f64, sigma: f64 },
    /// The same value always.
    Constant(f64),
    /// Values at scores from `-REACH` on.
    Table(Vec<f64>),
}

impl Quantiles {
    /// The distribution that a checked field states.
    pub fn new(stated: &Distribution) -> Result<Self, String> {
        let (min, max) = (stated.min.unwrap_or(0.0), stated.max.unwrap_or(f64::INFINITY));
        let form = if let Some((mu, sigma)) = stated.lognormal() {
            if sigma == 0.0 {
                let constant = Lognormal::new(mu, 0.0, min, max).map_or(libm::exp(mu), |dist| dist.median());
                Form::Constant(constant)
            } else if min > 0.0 || max < f64::INFINITY {
                let dist = Lognormal::new(mu, sigma, min, max).ok_or_else(no_probability)?;
                Form::Table(table(|u| dist.quantile(u)))
            } else {
                Form::Lognormal { mu, sigma }
            }
        } else {
            let law = Law::new(stated)?;
            let (below, above) = (law.cdf(min), law.cdf(max));
            if above - below <= 1e-12 {
                return Err(no_probability());
            }
            let low = if min > 0.0 { below } else { 0.0 };
            Form::Table(table(|u| law.quantile(low + u * (above - low)).clamp(min, max)))
        };
        Ok(Self { form, min, max })
    }

    /// The value at a standard normal score.
    #[inline]
    #[must_use]
    pub fn at(&self, score: f64) -> f64 {
        match &self.form {
            Form::Lognormal { mu, sigma } => libm::exp(mu + sigma * score),
            Form::Constant(value) => *value,
            Form::Table(knots) => {
                let place = ((score + REACH) * KNOTS_PER_UNIT).clamp(0.0, (knots.len() - 1) as f64);
                let below = (place as usize).min(knots.len() - 2);
                let (low, high) = (knots[below], knots[below + 1]);
                low + (high - low) * (place - below as f64)
            }
        }
    }

    /// Share of the draws below `x`.
    #[must_use]
    pub fn share_below(&self, x: f64) -> f64 {
        if x <= self.min {
            return 0.0;
        }
        if x > self.max {
            return 1.0;
        }
        match &self.form {
            Form::Lognormal { mu, sigma } => normal::cdf((libm::log(x) - mu) / sigma),
            Form::Constant(value) => f64::from(u8::from(*value < x)),
            Form::Table(knots) => {
                let above = knots.partition_point(|knot| *knot < x);
                if above == 0 {
                    return 0.0;
                }
                if above == knots.len() {
                    return 1.0;
                }
                let (low, high) = (knots[above - 1], knots[above]);
                let part = (x - low) / (high - low);
                normal::cdf(((above - 1) as f64 + part) / KNOTS_PER_UNIT - REACH)
            }
        }
    }

    /// Mean of the draws.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.form {
            Form::Lognormal { mu, sigma } => libm::exp(mu + 0.5 * sigma * sigma),
            Form::Constant(value) => *value,
            Form::Table(knots) => {
                let share = |knot: usize| normal::cdf(knot as f64 / KNOTS_PER_UNIT - REACH);
                let middle = |knot: usize| self.at((knot as f64 + 0.5) / KNOTS_PER_UNIT - REACH);
                (0..knots.len() - 1).map(|knot| middle(knot) * (share(knot + 1) - share(knot))).sum()
            }
        }
    }

    /// Median of the draws.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(0.0)
    }
}

fn no_probability() -> String {
    "no value lies between min and max: move them towards the median".to_owned()
}

/// A quantile function at the knots.
fn table(quantile: impl Fn(f64) -> f64) -> Vec<f64> {
    let knots = (2.0 * REACH * KNOTS_PER_UNIT) as usize + 1;
    let mut highest = 0.0_f64;
    let value = |knot: usize| {
        let u = normal::cdf(knot as f64 / KNOTS_PER_UNIT - REACH).clamp(1e-15, 1.0 - 1e-15);
        highest = highest.max(quantile(u));
        highest
    };
    (0..knots).map(value).collect()
}

/// A distribution before truncation.
enum Law<'a> {
    Family(Family, f64, f64),
    Mixture(&'a [Component], f64),
    Points(&'a [[f64; 2]]),
}

impl<'a> Law<'a> {
    fn new(stated: &'a Distribution) -> Result<Self, String> {
        if let (Some(family), Some(median), Some(shape)) = (stated.family, stated.median, stated.shape) {
            return Ok(Self::Family(family, family.scale(median, shape), shape));
        }
        if let Some(points) = &stated.quantiles {
            return Ok(Self::Points(points));
        }
        let components = stated.mixture.as_deref().ok_or("found no form of a distribution")?;
        Ok(Self::Mixture(components, components.iter().map(|component| component.weight).sum()))
    }

    /// P(X <= x).
    fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return match self {
                Self::Points(points) => {
                    points.iter().take_while(|point| point[1] <= 0.0).map(|p| p[0]).fold(0.0, f64::max)
                }
                _ => 0.0,
            };
        }
        if x == f64::INFINITY {
            return 1.0;
        }
        match self {
            Self::Family(family, scale, shape) => family.cdf(x / scale, *shape),
            Self::Mixture(components, total) => {
                let share = |c: &Component| match c.sigma {
                    sigma if sigma > 0.0 => normal::cdf((libm::log(x) - libm::log(c.median)) / sigma),
                    _ => f64::from(u8::from(c.median <= x)),
                };
                components.iter().map(|c| c.weight / total * share(c)).sum()
            }
            Self::Points(points) => {
                let above = points.partition_point(|point| point[1] <= x);
                if above == 0 {
                    return 0.0;
                }
                let Some([high_p, high]) = points.get(above) else { return 1.0 };
                let [low_p, low] = points[above - 1];
                low_p
                    + (high_p - low_p)
                        * if low > 0.0 { libm::log(x / low) / libm::log(high / low) } else { (x - low) / (high - low) }
            }
        }
    }

    /// The smallest x with P(X <= x) >= u.
    fn quantile(&self, u: f64) -> f64 {
        if let Self::Points(points) = self {
            let above = points.partition_point(|point| point[0] < u).clamp(1, points.len() - 1);
            let ([low_p, low], [high_p, high]) = (points[above - 1], points[above]);
            let part = if high_p > low_p { ((u - low_p) / (high_p - low_p)).clamp(0.0, 1.0) } else { 1.0 };
            return if low > 0.0 { low * libm::pow(high / low, part) } else { low + (high - low) * part };
        }
        // Bisection of the logarithm: 100 halvings of 1e-20 ..= 1e20.
        let (mut low, mut high) = (-46.0, 46.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if self.cdf(libm::exp(middle)) < u { low = middle } else { high = middle }
        }
        libm::exp(high)
    }
}

impl Family {
    /// The scale at which the distribution with this shape has the median.
    fn scale(self, median: f64, shape: f64) -> f64 {
        let (mut low, mut high) = (-46.0, 46.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if self.cdf(libm::exp(middle), shape) < 0.5 { low = middle } else { high = middle }
        }
        median / libm::exp(high)
    }

    /// P(X <= x) at scale 1.
    fn cdf(self, x: f64, shape: f64) -> f64 {
        match self {
            Self::Gamma => lower_incomplete_gamma(shape, x),
            Self::Weibull => 1.0 - libm::exp(-libm::pow(x, shape)),
            Self::LogLogistic => 1.0 / (1.0 + libm::pow(x, -shape)),
            // Lomax: a Pareto tail that begins at 0.
            Self::Pareto => 1.0 - libm::pow(1.0 + x, -shape),
        }
    }
}

/// The regularized lower incomplete gamma function: a series below `shape + 1`, Lentz's continued fraction above.
fn lower_incomplete_gamma(shape: f64, x: f64) -> f64 {
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / shape, 1.0 / shape, shape);
        for _ in 0..1_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return (front * sum).clamp(0.0, 1.0);
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - shape;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut fraction = d;
    for i in 1..1_000 {
        let a = -f64::from(i) * (f64::from(i) - shape);
        b += 2.0;
        d = 1.0 / nonzero(a * d + b, tiny);
        c = nonzero(b + a / c, tiny);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (1.0 - front * fraction).clamp(0.0, 1.0)
}

fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, RandomStreams};

    type Closed<'a> = Box<dyn Fn(f64) -> f64 + 'a>;

    fn law(json: &str) -> Quantiles {
        Quantiles::new(&serde_json::from_str(json).expect("a distribution")).expect("has values")
    }

    #[test]
    fn draws_have_the_closed_form_of_each_family() {
        let exponential = |x: f64| 1.0 - (-x / 100.0 * std::f64::consts::LN_2).exp();
        let normal = |x: f64, median: f64, sigma: f64| normal::cdf((x / median).ln() / sigma);
        let cases: [(&str, Closed<'_>); 7] = [
            (r#"{"median": 100, "sigma": 0.7}"#, Box::new(|x| normal(x, 100.0, 0.7))),
            (r#"{"family": "gamma", "median": 100, "shape": 1}"#, Box::new(exponential)),
            (r#"{"family": "weibull", "median": 100, "shape": 1}"#, Box::new(exponential)),
            (r#"{"family": "log_logistic", "median": 100, "shape": 2}"#, Box::new(|x| x * x / (x * x + 1e4))),
            (r#"{"family": "pareto", "median": 100, "shape": 1}"#, Box::new(|x| 1.0 - 1.0 / (1.0 + x / 100.0))),
            (
                r#"{"mixture": [{"weight": 1, "median": 10, "sigma": 0.5}, {"weight": 3, "median": 500, "sigma": 1}]}"#,
                Box::new(|x| 0.25 * normal(x, 10.0, 0.5) + 0.75 * normal(x, 500.0, 1.0)),
            ),
            (
                r#"{"quantiles": [[0, 10], [0.5, 100], [1, 1000]]}"#,
                Box::new(|x| (x.log10() - 1.0).clamp(0.0, 2.0) / 2.0),
            ),
        ];
        for (json, closed) in cases {
            let dist = law(json);
            for x in [3.0, 11.0, 50.0, 100.0, 230.0, 700.0] {
                assert!(
                    (dist.share_below(x) - closed(x)).abs() < 2e-4,
                    "{json} {x}: {} {}",
                    dist.share_below(x),
                    closed(x)
                );
            }
            let mut stream = RandomStreams::new(3).stream(Purpose::Content, 0);
            let mut draws: Vec<f64> = (0..50_000).map(|_| dist.at(normal::score(&mut stream))).collect();
            draws.sort_by(f64::total_cmp);
            let distance = draws.iter().enumerate().map(|(i, x)| ((i as f64 + 0.5) / 50_000.0 - closed(*x)).abs());
            assert!(distance.fold(0.0, f64::max) < 0.01, "{json}");
        }
    }

    #[test]
    fn draws_and_shares_are_inverse() {
        for json in [
            r#"{"median": 100, "sigma": 2, "min": 5, "max": 300}"#,
            r#"{"family": "gamma", "median": 20, "shape": 0.4, "max": 100}"#,
            r#"{"quantiles": [[0, 0], [0.3, 0], [0.6, 10], [1, 20]]}"#,
            r#"{"mixture": [{"weight": 1, "median": 10, "sigma": 0}, {"weight": 1, "median": 30, "sigma": 0.1}]}"#,
        ] {
            let dist = law(json);
            let mut before = 0.0;
            for i in -300..300 {
                let score = f64::from(i) / 100.0;
                let value = dist.at(score);
                assert!(value >= before, "{json}");
                before = value;
                let (below, above) =
                    (dist.share_below(value * (1.0 - 1e-9)), dist.share_below(value * (1.0 + 1e-9) + 1e-9));
                let u = normal::cdf(score);
                assert!(below <= u + 1e-6 && above >= u - 1e-6, "{json} {score}: {below} {u} {above}");
            }
        }
    }

    #[test]
    fn means_equal_those_of_many_draws() {
        for json in [
            r#"{"median": 100, "sigma": 1, "max": 1000}"#,
            r#"{"mixture": [{"weight": 1, "median": 10, "sigma": 0.5}, {"weight": 3, "median": 500, "sigma": 1}]}"#,
            r#"{"quantiles": [[0, 0], [0.3, 0], [0.6, 10], [1, 20]]}"#,
        ] {
            let dist = law(json);
            let draws = 200_000;
            let sum: f64 = (0..draws).map(|i| dist.at(normal::quantile((f64::from(i) + 0.5) / f64::from(draws)))).sum();
            assert!((dist.mean() / (sum / f64::from(draws)) - 1.0).abs() < 2e-3, "{json}: {}", dist.mean());
        }
    }

    #[test]
    fn an_interval_without_probability_is_refused() {
        let stated = serde_json::from_str(r#"{"quantiles": [[0, 1], [1, 2]], "min": 5}"#).expect("a distribution");
        assert!(Quantiles::new(&stated).is_err());
    }
}
