//! Medians, over rounds.

/// Middle, least and greatest of a figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// `None` for no values.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values = values.into_iter().collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    let (&min, &max) = (values.first()?, values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    };
    Some(Spread { median, min, max })
}

/// The spread of `mine / other`, divided round by round: what disturbs the machine for a while
/// disturbs both halves of a pair.
pub(crate) fn pairwise_ratio(mine: &[(usize, f64)], other: &[(usize, f64)]) -> Option<Spread> {
    spread(mine.iter().filter_map(|&(round, value)| {
        let &(_, base) = other
            .iter()
            .find(|&&(other_round, _)| other_round == round)?;
        (base > 0.0).then(|| value / base)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(
            spread([3.0, 1.0, 2.0]),
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(spread([4.0, 1.0, 2.0, 3.0]).map(|s| s.median), Some(2.5));
        assert_eq!(spread([]), None);
    }

    #[test]
    fn ratio_pairs_by_round_and_skips_rounds_that_only_one_has() {
        // The machine was slow in round 2, for both: the ratio must not show it.
        let mine = [(1, 5.0), (2, 50.0), (3, 6.0)];
        let other = [(2, 100.0), (1, 10.0)];
        assert_eq!(
            pairwise_ratio(&mine, &other),
            Some(Spread {
                median: 0.5,
                min: 0.5,
                max: 0.5
            })
        );
        assert_eq!(pairwise_ratio(&mine, &[]), None);
    }
}
