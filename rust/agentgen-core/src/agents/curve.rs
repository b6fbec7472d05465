//! Functions through points, as configurations state them.

use crate::config::Curve;

/// A function through points: linear between them, constant outside; two points with the same `x` make a step.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    points: Vec<[f64; 2]>,
}

impl Function {
    /// Of a checked curve.
    pub(crate) fn new(curve: &Curve) -> Self {
        let points = match curve {
            Curve::Constant(value) => vec![[0.0, *value]],
            Curve::Points(points) => points.clone(),
        };
        Self { points }
    }

    /// The value at `x`; at a step, the value after it.
    #[inline]
    pub(crate) fn at(&self, x: f64) -> f64 {
        let mut below = self.points[0];
        for point in &self.points {
            if x < point[0] {
                let span = point[0] - below[0];
                return if span > 0.0 { below[1] + (point[1] - below[1]) * ((x - below[0]) / span) } else { point[1] };
            }
            below = *point;
        }
        below[1]
    }

    /// The largest value on `[low, high]`.
    pub(crate) fn largest_between(&self, low: f64, high: f64) -> f64 {
        let inside = self.points.iter().filter(|point| (low..=high).contains(&point[0])).map(|point| point[1]);
        inside.chain([self.at(low), self.at(high)]).fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_linear_between_points_and_steps_where_two_are_at_the_same_place() {
        let curve = Function::new(&Curve::Points(vec![[10.0, 1.0], [20.0, 3.0], [20.0, 7.0], [30.0, 7.0]]));
        for (x, value) in [(0.0, 1.0), (10.0, 1.0), (15.0, 2.0), (19.9999, 2.999_98), (20.0, 7.0), (99.0, 7.0)] {
            assert!((curve.at(x) - value).abs() < 1e-9, "{x}: {}", curve.at(x));
        }
        assert_eq!(curve.largest_between(0.0, 19.0), curve.at(19.0));
        assert_eq!(curve.largest_between(0.0, 20.0), 7.0);
        assert_eq!(Function::new(&Curve::Constant(0.5)).at(3.0), 0.5);
    }
}
