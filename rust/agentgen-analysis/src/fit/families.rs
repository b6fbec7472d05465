//! Families of distributions: estimates from values, and densities to score them.

use std::f64::consts::{LN_2, TAU};

use serde_json::{Value, json};

use super::round::{four_digits, significant};

/// Smallest standard deviation of a component's logarithm: keeps the likelihood bounded.
const LEAST_SIGMA: f64 = 0.05;
/// Steps of expectation maximization.
const EM_STEPS: usize = 200;
/// Values that a mixture is estimated from; more are thinned out evenly.
const EM_VALUES: usize = 8_000;
/// Points of a table of quantiles.
const TABLE_POINTS: usize = 21;

/// A family with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Law {
    Lognormal {
        mu: f64,
        sigma: f64,
    },
    Gamma {
        shape: f64,
        scale: f64,
    },
    Weibull {
        shape: f64,
        scale: f64,
    },
    LogLogistic {
        median: f64,
        shape: f64,
    },
    Pareto {
        median: f64,
        shape: f64,
    },
    /// Weight, mean and standard deviation of the logarithm.
    Mixture(Vec<(f64, f64, f64)>),
    /// Shares and logarithms of values.
    Table(Vec<(f64, f64)>),
}

impl Law {
    /// Every family, estimated from ascending positive values.
    pub(super) fn all(values: &[f64]) -> Vec<Self> {
        let logs: Vec<f64> = values.iter().map(|x| x.ln()).collect();
        let mut laws = vec![lognormal(&logs), gamma(values, &logs), weibull(&logs), log_logistic(&logs), pareto(&logs)];
        laws.extend((2..=4).map(|components| mixture(&logs, components)));
        laws.push(Self::table(values));
        laws
    }

    /// A table of quantiles of ascending positive values.
    pub(super) fn table(values: &[f64]) -> Self {
        let share = |point: usize| point as f64 / (TABLE_POINTS - 1) as f64;
        let at = |share: f64| crate::distance::quantile(values, share).unwrap_or(1.0).max(1e-9).ln();
        Self::Table((0..TABLE_POINTS).map(|point| (share(point), at(share(point)))).collect())
    }

    /// The name in reports.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Lognormal { .. } => "lognormal".to_owned(),
            Self::Gamma { .. } => "gamma".to_owned(),
            Self::Weibull { .. } => "weibull".to_owned(),
            Self::LogLogistic { .. } => "log_logistic".to_owned(),
            Self::Pareto { .. } => "pareto".to_owned(),
            Self::Mixture(components) => format!("mixture of {}", components.len()),
            Self::Table(_) => "quantiles".to_owned(),
        }
    }

    /// Logarithm of the density at a positive value.
    pub(super) fn log_density(&self, x: f64) -> f64 {
        let log = x.ln();
        match self {
            Self::Lognormal { mu, sigma } => normal(log, *mu, *sigma) - log,
            Self::Gamma { shape, scale } => (shape - 1.0) * log - x / scale - shape * scale.ln() - libm::lgamma(*shape),
            Self::Weibull { shape, scale } => {
                let z = shape * (log - scale.ln());
                shape.ln() - log + z - z.exp()
            }
            Self::LogLogistic { median, shape } => {
                let z = shape * (log - median.ln());
                shape.ln() - log + z - 2.0 * z.exp().ln_1p()
            }
            Self::Pareto { median, shape } => {
                let scale = median / ((LN_2 / shape).exp_m1());
                shape.ln() - scale.ln() - (shape + 1.0) * (x / scale).ln_1p()
            }
            Self::Mixture(components) => {
                let sum: f64 = components.iter().map(|(w, mu, sigma)| w * normal(log, *mu, *sigma).exp()).sum();
                sum.max(1e-300).ln() - log
            }
            Self::Table(points) => {
                let above = points.partition_point(|(_, at)| *at < log).clamp(1, points.len() - 1);
                let ((p0, y0), (p1, y1)) = (points[above - 1], points[above]);
                let is_inside = (points[0].1..=points[points.len() - 1].1).contains(&log);
                let width = (y1 - y0).max(1e-3);
                (if is_inside { (p1 - p0) / width } else { 1e-6 }).ln() - log
            }
        }
    }

    /// As a configuration states it.
    pub(super) fn stated(&self) -> Value {
        match self {
            Self::Lognormal { mu, sigma } => {
                json!({"median": significant(mu.exp()), "sigma": four_digits(*sigma)})
            }
            Self::Gamma { shape, scale } => {
                json!({"family": "gamma", "median": significant(scale * gamma_median(*shape)), "shape": four_digits(*shape)})
            }
            Self::Weibull { shape, scale } => {
                let median = scale * LN_2.powf(1.0 / shape);
                json!({"family": "weibull", "median": significant(median), "shape": four_digits(*shape)})
            }
            Self::LogLogistic { median, shape } => {
                json!({"family": "log_logistic", "median": significant(*median), "shape": four_digits(*shape)})
            }
            Self::Pareto { median, shape } => {
                json!({"family": "pareto", "median": significant(*median), "shape": four_digits(*shape)})
            }
            Self::Mixture(components) => {
                let component = |(weight, mu, sigma): &(f64, f64, f64)| json!({"weight": four_digits(*weight), "median": significant(mu.exp()), "sigma": four_digits(*sigma)});
                json!({"mixture": components.iter().map(component).collect::<Vec<_>>()})
            }
            Self::Table(points) => {
                let point = |(share, log): &(f64, f64)| json!([four_digits(*share), significant(log.exp())]);
                json!({"quantiles": points.iter().map(point).collect::<Vec<_>>()})
            }
        }
    }
}

/// Logarithm of the normal density.
fn normal(x: f64, mu: f64, sigma: f64) -> f64 {
    let z = (x - mu) / sigma;
    -0.5 * z * z - sigma.ln() - 0.5 * TAU.ln()
}

fn moments(logs: &[f64]) -> (f64, f64) {
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / count;
    (mean, variance.sqrt().max(LEAST_SIGMA))
}

fn lognormal(logs: &[f64]) -> Law {
    let (mu, sigma) = moments(logs);
    Law::Lognormal { mu, sigma }
}

/// Minka's approximation of the maximum likelihood estimate (relative error below 1.5 %).
fn gamma(values: &[f64], logs: &[f64]) -> Law {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let s = (mean.ln() - logs.iter().sum::<f64>() / count).max(1e-6);
    let shape = ((3.0 - s + ((s - 3.0) * (s - 3.0) + 24.0 * s).sqrt()) / (12.0 * s)).clamp(0.05, 100.0);
    Law::Gamma { shape, scale: mean / shape }
}

/// Maximum likelihood: the shape is the root of a monotone function.
fn weibull(logs: &[f64]) -> Law {
    let (mean, _) = moments(logs);
    let excess = |shape: f64| {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for y in logs {
            let power = (shape * (y - mean)).min(600.0).exp();
            sum += power;
            weighted += power * (y - mean);
        }
        (weighted / sum - 1.0 / shape, (sum / logs.len() as f64).ln() / shape)
    };
    let (mut low, mut high) = (0.05_f64, 20.0_f64);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if excess(middle).0 < 0.0 { low = middle } else { high = middle }
    }
    let shape = 0.5 * (low + high);
    Law::Weibull { shape, scale: (mean + excess(shape).1).exp() }
}

fn log_logistic(logs: &[f64]) -> Law {
    let median = middle(logs).exp();
    best_shape(logs, |shape| Law::LogLogistic { median, shape })
}

fn pareto(logs: &[f64]) -> Law {
    let median = middle(logs).exp();
    best_shape(logs, |shape| Law::Pareto { median, shape })
}

fn middle(logs: &[f64]) -> f64 {
    crate::distance::quantile(logs, 0.5).unwrap_or(0.0)
}

/// The shape of highest likelihood, by golden section of its logarithm.
fn best_shape(logs: &[f64], law: impl Fn(f64) -> Law) -> Law {
    let likelihood = |log_shape: f64| {
        let law = law(log_shape.exp());
        logs.iter().map(|y| law.log_density(y.exp())).sum::<f64>()
    };
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut low, mut high) = (0.05_f64.ln(), 100.0_f64.ln());
    for _ in 0..30 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if likelihood(a) < likelihood(b) { low = a } else { high = b }
    }
    law((0.5 * (low + high)).exp())
}

/// Expectation maximization on the logarithms, from components that hold equal shares of the values.
fn mixture(logs: &[f64], count: usize) -> Law {
    let step = logs.len().div_ceil(EM_VALUES).max(1);
    let logs: Vec<f64> = logs.iter().copied().step_by(step).collect();
    let mut components: Vec<(f64, f64, f64)> = (0..count)
        .map(|i| {
            let part = &logs[i * logs.len() / count..((i + 1) * logs.len() / count).max(i * logs.len() / count + 1)];
            let (mu, sigma) = moments(part);
            (1.0 / count as f64, mu, sigma.max(0.2))
        })
        .collect();
    let mut densities = vec![0.0; count];
    for _ in 0..EM_STEPS {
        let mut sums = vec![(0.0, 0.0, 0.0); count];
        for y in &logs {
            let mut total = 1e-300;
            for (density, (weight, mu, sigma)) in densities.iter_mut().zip(&components) {
                *density = weight * normal(*y, *mu, *sigma).exp();
                total += *density;
            }
            for (sum, density) in sums.iter_mut().zip(&densities) {
                let share = density / total;
                *sum = (sum.0 + share, sum.1 + share * y, sum.2 + share * y * y);
            }
        }
        for (component, (share, first, second)) in components.iter_mut().zip(sums) {
            if share > 1e-9 {
                let mu = first / share;
                let sigma = (second / share - mu * mu).max(0.0).sqrt().max(LEAST_SIGMA);
                *component = (share / logs.len() as f64, mu, sigma);
            }
        }
    }
    components.retain(|(weight, ..)| *weight > 1e-4);
    components.sort_by(|a, b| a.1.total_cmp(&b.1));
    Law::Mixture(components)
}

/// Median of the gamma distribution with scale 1, from the series of the incomplete gamma function.
fn gamma_median(shape: f64) -> f64 {
    let share_below = |x: f64| {
        let (mut term, mut sum, mut n) = (1.0 / shape, 1.0 / shape, shape);
        while term > sum * 1e-12 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        (shape * x.ln() - x - libm::lgamma(shape)).exp() * sum
    };
    let (mut low, mut high) = (-700.0_f64, shape.ln());
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if share_below(middle.exp()) < 0.5 { low = middle } else { high = middle }
    }
    (0.5 * (low + high)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of a law by its inverse, as values.
    fn values(inverse: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..4_000).map(|i| inverse((f64::from(i) + 0.5) / 4_000.0)).collect()
    }

    fn best(values: &[f64]) -> Law {
        let score = |law: &Law| values.iter().map(|x| law.log_density(*x)).sum::<f64>();
        let singles = Law::all(values).into_iter().filter(|law| !matches!(law, Law::Mixture(_) | Law::Table(_)));
        singles.max_by(|a, b| score(a).total_cmp(&score(b))).expect("families")
    }

    #[test]
    fn parameters_of_single_families_are_found_again() {
        let Law::Weibull { shape, scale } = best(&values(|u| 300.0 * (-(1.0 - u).ln()).powf(1.0 / 0.6))) else {
            panic!("another family")
        };
        assert!((shape / 0.6 - 1.0).abs() < 0.01 && (scale / 300.0 - 1.0).abs() < 0.01, "{shape} {scale}");
        let Law::LogLogistic { median, shape } = best(&values(|u| 50.0 * (u / (1.0 - u)).powf(0.5))) else {
            panic!("another family")
        };
        assert!((shape / 2.0 - 1.0).abs() < 0.01 && (median / 50.0 - 1.0).abs() < 0.01, "{shape} {median}");
        let Law::Pareto { median, shape } = best(&values(|u| 80.0 * ((1.0 - u).powf(-1.0 / 1.5) - 1.0))) else {
            panic!("another family")
        };
        let stated = 80.0 * (2.0_f64.powf(1.0 / 1.5) - 1.0);
        assert!((shape / 1.5 - 1.0).abs() < 0.02 && (median / stated - 1.0).abs() < 0.01, "{shape} {median}");
    }

    #[test]
    fn a_gamma_with_shape_one_is_exponential() {
        assert!((gamma_median(1.0) - LN_2).abs() < 1e-9);
        let stated = gamma(&values(|u| -20.0 * (1.0 - u).ln()), &values(|u| (-20.0 * (1.0 - u).ln()).ln())).stated();
        assert!((stated["median"].as_f64().expect("a number") / (20.0 * LN_2) - 1.0).abs() < 0.03, "{stated}");
    }

    #[test]
    fn components_of_a_mixture_are_found_again() {
        let mut logs: Vec<f64> = (0..3_000)
            .map(|i| f64::from(i) * 0.618_034 % 1.0)
            .zip((0..3_000).map(|i| f64::from(i) * 0.754_877 % 1.0))
            .map(|(u, v)| {
                let z = (-2.0 * (1.0 - u).max(1e-9).ln()).sqrt() * (TAU * v).cos();
                z * 0.3
            })
            .enumerate()
            .map(|(i, z)| if i % 3 == 0 { 3.0 + z } else { 7.0 + 2.0 * z })
            .collect();
        logs.sort_by(f64::total_cmp);
        let Law::Mixture(components) = mixture(&logs, 2) else { panic!("a mixture") };
        let [(w0, m0, s0), (_, m1, s1)] = components[..] else { panic!("two components") };
        assert!((w0 - 1.0 / 3.0).abs() < 0.01, "{w0}");
        assert!((m0 - 3.0).abs() < 0.05 && (m1 - 7.0).abs() < 0.1, "{m0} {m1}");
        assert!((s0 - 0.3).abs() < 0.05 && (s1 - 0.6).abs() < 0.1, "{s0} {s1}");
    }
}
