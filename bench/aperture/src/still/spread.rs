//! How uneven some loads are.

/// Figures of a set of loads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Relative standard deviation; 0 if all are equal.
    pub rsd: f64,
    /// The greatest, in means.
    pub max_to_mean: f64,
    /// How many have none.
    pub zeros: f64,
}

impl Spread {
    /// The figures of `loads`; those of no load at all are 0, and 1 for the greatest.
    pub fn of(loads: impl Iterator<Item = f64>) -> Spread {
        let loads: Vec<f64> = loads.collect();
        let count = loads.len() as f64;
        let mean = loads.iter().sum::<f64>() / count.max(1.0);
        if mean == 0.0 {
            return Spread { rsd: 0.0, max_to_mean: 1.0, zeros: count };
        }
        let squares = loads.iter().map(|load| (load - mean) * (load - mean)).sum::<f64>();
        Spread {
            rsd: (squares / count).sqrt() / mean,
            max_to_mean: loads.iter().copied().fold(0.0, f64::max) / mean,
            zeros: loads.iter().filter(|load| **load == 0.0).count() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_of_known_loads() {
        let check = |loads: &[f64], rsd, max_to_mean, zeros| {
            let want = Spread { rsd, max_to_mean, zeros };
            assert_eq!(Spread::of(loads.iter().copied()), want, "{loads:?}");
        };
        check(&[3.0, 3.0, 3.0], 0.0, 1.0, 0.0);
        check(&[0.0, 4.0], 1.0, 2.0, 1.0);
        check(&[0.0, 0.0], 0.0, 1.0, 2.0);
        check(&[], 0.0, 1.0, 0.0);
    }
}
