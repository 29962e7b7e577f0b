//! Grids of time, upward or downward.

use crate::{Error, Result};

/// The `steps + 1` times that cut the way from `start` to `end` into equal steps.
///
/// A grid may descend: reverse time is the same solver on a grid from `T` to 0.
///
/// ```
/// use scorebook::path::time_grid;
///
/// assert_eq!(time_grid(0.0, 1.0, 4)?, [0.0, 0.25, 0.5, 0.75, 1.0]);
/// assert_eq!(time_grid(1.0, 0.0, 2)?, [1.0, 0.5, 0.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `steps` is 0, or `start` and `end` are not two different finite times.
pub fn time_grid(start: f64, end: f64, steps: usize) -> Result<Vec<f64>> {
    if steps == 0 {
        return Err(Error::argument("steps", steps, "at least 1"));
    }
    // The ends are exact, whatever the rounding between them.
    let times: Vec<f64> = (0..=steps)
        .map(|i| {
            let share = i as f64 / steps as f64;
            (1.0 - share) * start + share * end
        })
        .collect();
    check_times(&times)?;
    Ok(times)
}

/// That `times` are finite and strictly upward or strictly downward.
pub(crate) fn check_times(times: &[f64]) -> Result<()> {
    let [first, second, ..] = times else {
        return Err(Error::argument("times", format!("{times:?}"), "at least two times"));
    };
    let upward = first < second;
    for pair in times.windows(2) {
        if !(pair[0].is_finite() && pair[1].is_finite())
            || pair[0] == pair[1]
            || (pair[0] < pair[1]) != upward
        {
            return Err(Error::argument(
                "times",
                format!("{} followed by {}", pair[0], pair[1]),
                "finite times, either strictly upward or strictly downward",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_grids_are_errors() {
        assert!(check_times(&[0.0, 0.5, 0.7]).is_ok() && check_times(&[1.0, 0.5]).is_ok());
        for times in [&[][..], &[1.0], &[0.0, 0.0], &[0.0, 1.0, 0.5], &[0.0, f64::NAN]] {
            let error = check_times(times).unwrap_err().to_string();
            assert!(error.starts_with("`times` is "), "{error}");
        }
        assert_eq!(
            time_grid(0.0, 1.0, 0).unwrap_err().to_string(),
            "`steps` is 0; expected at least 1"
        );
        assert!(time_grid(1.0, 1.0, 3).is_err() && time_grid(0.0, f64::INFINITY, 3).is_err());
    }
}
