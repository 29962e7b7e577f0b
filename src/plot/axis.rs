//! From numbers to places on a line, and the numbers written beside it.

/// An axis from `low` to `high`, left to right or bottom to top; `low` may be the greater one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
}

/// The numbers beside an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    /// Values with what is written there.
    pub(super) major: Vec<(f64, String)>,
    /// Values marked without a number.
    pub(super) minor: Vec<f64>,
    /// What every number is to be multiplied by and added to: `×10⁻⁹ + 1`.
    pub(super) note: Option<String>,
}

impl Axis {
    /// Where `value` lies, 0 at `low` and 1 at `high`.
    pub(super) fn position(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The axis that shows the values between `low` and `high` with the share `margin` of the
    /// length left free at both ends; a single value gets a range around it.
    pub(super) fn around(low: f64, high: f64, log: bool, margin: (f64, f64)) -> Self {
        if log {
            let (low, high) =
                if high > low * (1.0 + 1e-9) { (low, high) } else { (low / 2.0, high * 2.0) };
            let ratio = (high / low).ln();
            let (low, high) = (low * (-margin.0 * ratio).exp(), high * (margin.1 * ratio).exp());
            return Self { low, high, log };
        }
        let size = low.abs().max(high.abs());
        let (low, high) = if high - low > 1e-12 * size {
            (low, high)
        } else {
            let half = if size == 0.0 { 1.0 } else { 0.1 * size };
            (low - half, high + half)
        };
        let length = high - low;
        Self { low: low - margin.0 * length, high: high + margin.1 * length, log }
    }

    /// At most `count` numbers to write beside the axis.
    pub(super) fn ticks(&self, count: usize) -> Ticks {
        let (low, high) = (self.low.min(self.high), self.low.max(self.high));
        if self.log && high / low > 4.0 {
            log_ticks(low, high, count)
        } else {
            linear_ticks(low, high, count)
        }
    }
}

/// The exponent of `x > 0`: the greatest `k` with `10ᵏ ≤ x`.
fn exponent(x: f64) -> i32 {
    let k = x.log10().floor() as i32;
    // `log10` may round up to a whole number just below it, and down just above.
    if power(k + 1) <= x {
        k + 1
    } else if power(k) > x {
        k - 1
    } else {
        k
    }
}

fn power(k: i32) -> f64 {
    10.0_f64.powi(k)
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Ticks {
    let rough = (high - low) / count.max(1) as f64;
    let k = exponent(rough);
    // 1, 2 or 5 times a power of ten, the least one that gives few enough.
    let (factor, k) = [(1.0, k), (2.0, k), (5.0, k), (1.0, k + 1), (2.0, k + 1)]
        .into_iter()
        .find(|&(factor, k)| {
            let step = factor * power(k);
            (high / step + 1e-9).floor() - (low / step - 1e-9).ceil() < count.max(1) as f64
        })
        .unwrap_or((5.0, k + 1));
    let step = factor * power(k);
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let values: Vec<f64> =
        (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect();

    // Numbers that differ only far behind the point are written as differences.
    let size = low.abs().max(high.abs());
    let offset = if high - low < 1e-4 * size { round_number_near(low, high) } else { 0.0 };
    let largest = values.iter().map(|v| (v - offset).abs()).fold(0.0, f64::max);
    let shared = match largest {
        l if l >= 999_999.5 => exponent(l),
        l if l > 0.0 && l < 0.999e-2 => exponent(l * (1.0 + 1e-9)),
        _ => 0,
    };
    let decimals = (shared - k).max(0) as usize;
    let major =
        values.iter().map(|&v| (v, number((v - offset) / power(shared), decimals))).collect();
    let mut note = String::new();
    if shared != 0 {
        note = format!("×10{}", superscript(shared));
    }
    if offset != 0.0 {
        let decimals = (-exponent(high - low)).max(0) as usize;
        let written = number(offset.abs(), decimals);
        let written = if written.contains('.') {
            written.trim_end_matches('0').trim_end_matches('.')
        } else {
            &written
        };
        note = format!("{note} {} {written}", if offset < 0.0 { '−' } else { '+' });
    }
    let note = note.trim().to_owned();
    Ticks { major, minor: Vec::new(), note: (!note.is_empty()).then_some(note) }
}

/// The roundest number within two lengths of the middle of a range.
fn round_number_near(low: f64, high: f64) -> f64 {
    let (middle, length) = (low + (high - low) / 2.0, high - low);
    let coarsest = exponent(middle.abs()) + 1;
    (exponent(length)..=coarsest)
        .rev()
        .map(|k| (middle / power(k)).round() * power(k))
        .find(|number| (number - middle).abs() <= 2.0 * length)
        .unwrap_or(low)
}

fn log_ticks(low: f64, high: f64, count: usize) -> Ticks {
    let below = exponent(low * (1.0 + 1e-9));
    let first = if power(below) < low * (1.0 - 1e-9) { below + 1 } else { below };
    let last = exponent(high * (1.0 + 1e-9));
    let inside = |v: f64| v >= low * (1.0 - 1e-9) && v <= high * (1.0 + 1e-9);
    let multiples = |factors: &[i32]| -> Vec<(i32, i32)> {
        (exponent(low)..=exponent(high) + 1)
            .flat_map(|k| factors.iter().map(move |&m| (m, k)))
            .filter(|&(m, k)| inside(m as f64 * power(k)))
            .collect()
    };
    let decades = (last - first + 1).max(0) as usize;
    let plain = low >= 0.999e-3 && high <= 1.001e4;
    let written = |(m, k): (i32, i32)| {
        let value = m as f64 * power(k);
        let text = match m {
            _ if plain => number(value, (-k).max(0) as usize),
            1 => format!("10{}", superscript(k)),
            m => format!("{m}·10{}", superscript(k)),
        };
        (value, text)
    };
    let labelled = if decades > count {
        let stride = decades.div_ceil(count.max(1)) as i32;
        (first..=last).filter(|k| k.rem_euclid(stride) == 0).map(|k| (1, k)).collect()
    } else if decades >= 3 || multiples(&[1, 2, 5]).len() > count {
        multiples(&[1])
    } else {
        multiples(&[1, 2, 5])
    };
    let minor = if decades <= 12 {
        multiples(&[1, 2, 3, 4, 5, 6, 7, 8, 9])
            .into_iter()
            .filter(|tick| !labelled.contains(tick))
            .map(|(m, k)| m as f64 * power(k))
            .collect()
    } else {
        Vec::new()
    };
    Ticks { major: labelled.into_iter().map(written).collect(), minor, note: None }
}

/// A number with a true minus sign and no negative zero.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if value < 0.0 && !zero { format!("−{text}") } else { text }
}

/// Three significant figures, for a legend.
pub(super) fn brief(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let k = exponent(value.abs());
    if (-3..5).contains(&k) {
        number(value, (2 - k).max(0) as usize)
    } else {
        format!("{}·10{}", number(value / power(k), 2), superscript(k))
    }
}

fn superscript(k: i32) -> String {
    k.to_string()
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
            None => '⁻',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, log: bool, count: usize) -> (Vec<String>, Option<String>) {
        let ticks = Axis { low, high, log }.ticks(count);
        assert!(ticks.major.len() <= count.max(1), "{ticks:?}");
        (ticks.major.into_iter().map(|(_, label)| label).collect(), ticks.note)
    }

    #[test]
    fn plain_numbers() {
        assert_eq!(labels(0.0, 1.0, false, 6).0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-3.0, 3.0, false, 7).0, ["−3", "−2", "−1", "0", "1", "2", "3"]);
        assert_eq!(labels(1.0, 0.0, false, 3).0, ["0.0", "0.5", "1.0"]);
    }

    #[test]
    fn small_large_and_distant_numbers() {
        let (numbers, note) = labels(0.0, 3e-9, false, 4);
        assert_eq!((numbers.join(" "), note.as_deref()), ("0 1 2 3".into(), Some("×10⁻⁹")));
        let (numbers, note) = labels(0.0, 2e6, false, 5);
        assert_eq!(
            (numbers.join(" "), note.as_deref()),
            ("0.0 0.5 1.0 1.5 2.0".into(), Some("×10⁶"))
        );
        let (numbers, note) = labels(1.0 + 1e-9, 1.0 + 4e-9, false, 4);
        assert_eq!((numbers.join(" "), note.as_deref()), ("1 2 3 4".into(), Some("×10⁻⁹ + 1")));
        let (_, note) = labels(-1e6 - 2.0, -1e6, false, 4);
        assert!(note.is_some_and(|note| note.contains('−')));
    }

    #[test]
    fn powers_of_ten() {
        assert_eq!(labels(1e-4, 1e2, true, 8).0.len(), 7);
        assert_eq!(labels(1e-4, 1e-1, true, 8).0, ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]);
        assert_eq!(labels(1.0, 50.0, true, 8).0, ["1", "2", "5", "10", "20", "50"]);
        assert!(labels(1e-40, 1e40, true, 6).0.len() >= 3);
        assert!(!labels(2.0, 3.0, true, 5).0.is_empty());
    }

    #[test]
    fn every_range_gets_numbers() {
        for &(low, high) in
            &[(0.0, 0.0), (5.0, 5.0), (-2e-300, 3e-300), (-1e300, 1e300), (7.0, 7.0 + 1e-13)]
        {
            let axis = Axis::around(low, high, false, (0.03, 0.03));
            assert!(axis.low < axis.high);
            for count in 1..10 {
                let ticks = axis.ticks(count);
                assert!(ticks.major.len() <= count, "{low} {high} {count}: {ticks:?}");
                assert!(count < 3 || ticks.major.len() >= 2, "{low} {high} {count}: {ticks:?}");
            }
        }
    }

    #[test]
    fn positions() {
        let axis = Axis { low: 1e-2, high: 1e2, log: true };
        assert!((axis.position(1.0) - 0.5).abs() < 1e-12);
        let reverse = Axis { low: 1.0, high: 0.0, log: false };
        assert_eq!(reverse.position(0.25), 0.75);
    }

    #[test]
    fn brief_numbers() {
        assert_eq!(brief(1.23456), "1.23");
        assert_eq!(brief(1234.0), "1234");
        assert_eq!(brief(-2.5e-7), "−2.50·10⁻⁷");
    }
}
