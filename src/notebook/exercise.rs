//! Exercises that say what is wrong with an answer.

use candle_core::Tensor;

use super::bundle::escaped;
use super::{Bundle, Display};
use crate::tensor::values;

/// An exercise of the book: the checks of a reader's answer, in the cell where it is written.
///
/// Nothing here fails or panics: an answer that is `None` or NaN is not given yet, and one that is wrong is told how far
/// off it is, how much is allowed and, by a [`hint`](Self::hint), which mistake gives it. What is expected is not told.
/// Tolerances are absolute. As the last expression of a cell the exercise shows what there is to say.
///
/// ```
/// use scorebook::notebook::{Display, Exercise};
///
/// let check = |mean: Option<f64>| {
///     Exercise::new(3)
///         .number("E[W²] at t = 2", mean, 2., 1e-9)
///         .hint(4., "that is t², but the variance of W at t is t")
/// };
/// assert!(check(Some(2.)).is_right());
/// assert!(!check(None).is_answered());
/// assert_eq!(
///     check(Some(4.)).bundle().get("text/plain"),
///     Some("Exercise 3: not right yet.\nE[W²] at t = 2: 4 is off by 2, and 1e-9 is allowed: that is t², but the variance of W at t is t.")
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Exercise {
    number: usize,
    checks: Vec<Check>,
}

#[derive(Clone, Debug)]
struct Check {
    name: String,
    /// What hints are compared with, and how close they must be; none of an answer that is not given.
    answer: Option<Answer>,
    tolerance: f64,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Unanswered,
    Right,
    Wrong(String),
}

/// An answer as [`Exercise::hint`] compares it: numbers (of one, of a list, of a tensor), a word, yes or no.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One number or several.
    Numbers(Vec<f64>),
    /// A word, whose case does not matter.
    Word(String),
    /// Whether a property holds.
    Holds(bool),
}

impl From<f64> for Answer {
    fn from(number: f64) -> Self {
        Self::Numbers(vec![number])
    }
}

impl From<Vec<f64>> for Answer {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Numbers(numbers)
    }
}

impl From<&str> for Answer {
    fn from(word: &str) -> Self {
        Self::Word(word.trim().to_lowercase())
    }
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        Self::Holds(holds)
    }
}

impl Answer {
    /// Whether it is `other`, numbers within `tolerance`.
    fn is(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
            }
            _ => self == other,
        }
    }
}

impl Exercise {
    /// The exercise of this number, without checks yet.
    pub fn new(number: usize) -> Self {
        Self { number, checks: vec![] }
    }

    /// A number, within `tolerance` of the one expected.
    ///
    /// ```
    /// use scorebook::notebook::Exercise;
    ///
    /// let half = Exercise::new(1).number("½", 0.5, 1. / 2., 0.);
    /// assert!(half.is_right());
    /// ```
    pub fn number(
        self,
        name: impl Into<String>,
        answer: impl Into<Option<f64>>,
        expected: f64,
        tolerance: f64,
    ) -> Self {
        let answer = answer.into().filter(|answer| !answer.is_nan());
        let verdict = match answer {
            None => Verdict::Unanswered,
            Some(answer) => match distance(answer, expected, tolerance) {
                None => Verdict::Right,
                Some(far) => Verdict::Wrong(far),
            },
        };
        self.with(name, answer.map(Answer::from), tolerance, verdict)
    }

    /// Numbers, as many as expected and each within `tolerance`; of wrong ones the worst is told.
    ///
    /// Where all are NaN, as the stub of a function gives them, none is answered.
    ///
    /// ```
    /// use scorebook::notebook::Exercise;
    ///
    /// fn square(x: f64) -> f64 {
    ///     x * x
    /// }
    /// let values = vec![square(0.), square(1.), square(2.)];
    /// assert!(Exercise::new(1).numbers("x² at 0, 1, 2", values, &[0., 1., 4.], 1e-12).is_right());
    /// ```
    pub fn numbers(
        self,
        name: impl Into<String>,
        answer: impl Into<Option<Vec<f64>>>,
        expected: &[f64],
        tolerance: f64,
    ) -> Self {
        let all_nan = |answer: &Vec<f64>| !answer.is_empty() && answer.iter().all(|x| x.is_nan());
        let answer = answer.into().filter(|answer| !all_nan(answer));
        let verdict = match &answer {
            None => Verdict::Unanswered,
            Some(answer) if answer.len() != expected.len() => Verdict::Wrong(format!(
                "there are {} numbers, and {} are asked for",
                answer.len(),
                expected.len()
            )),
            Some(answer) => compared(answer, expected, tolerance),
        };
        self.with(name, answer.map(Answer::from), tolerance, verdict)
    }

    /// A tensor of the shape and type of the one expected, all of its values within `tolerance`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use scorebook::notebook::{Display, Exercise};
    ///
    /// let expected = Tensor::zeros((3, 2), DType::F64, &Device::Cpu)?;
    /// let answer = Tensor::zeros((2, 3), DType::F64, &Device::Cpu)?;
    /// let exercise = Exercise::new(1).tensor("the drift", &answer, &expected, 1e-9);
    /// assert_eq!(
    ///     exercise.bundle().get("text/plain"),
    ///     Some("Exercise 1: not right yet.\nthe drift: the shape is [2, 3], and [3, 2] is asked for.")
    /// );
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn tensor<'a>(
        self,
        name: impl Into<String>,
        answer: impl Into<Option<&'a Tensor>>,
        expected: &Tensor,
        tolerance: f64,
    ) -> Self {
        let Some(answer) = answer.into() else {
            return self.with(name, None, tolerance, Verdict::Unanswered);
        };
        let (shape, kind) = (answer.dims(), answer.dtype());
        let wrong = if shape != expected.dims() {
            let dims = expected.dims();
            format!("the shape is {shape:?}, and {dims:?} is asked for")
        } else if kind != expected.dtype() {
            format!("the type is {kind:?}, and {:?} is asked for", expected.dtype())
        } else {
            match (values(answer), values(expected)) {
                (Ok(answer), Ok(expected)) => {
                    let verdict = compared(&answer, &expected, tolerance);
                    return self.with(name, Some(answer.into()), tolerance, verdict);
                }
                (Err(error), _) | (_, Err(error)) => format!("cannot be read: {error}"),
            }
        };
        self.with(name, None, tolerance, Verdict::Wrong(wrong))
    }

    /// A tensor of this shape whose values are all finite; what they must be else, say [`holds`](Self::holds).
    ///
    /// ```
    /// use candle_core::Device;
    /// use scorebook::notebook::Exercise;
    /// use scorebook::random::Generator;
    ///
    /// let sample = Generator::new(1).normal((100, 2), &Device::Cpu)?;
    /// assert!(Exercise::new(1).shape("the sample", &sample, &[100, 2]).is_right());
    /// assert!(!Exercise::new(1).shape("the sample", &sample, &[100]).is_right());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn shape<'a>(
        self,
        name: impl Into<String>,
        answer: impl Into<Option<&'a Tensor>>,
        shape: &[usize],
    ) -> Self {
        let verdict = match answer.into() {
            None => Verdict::Unanswered,
            Some(answer) if answer.dims() != shape => Verdict::Wrong(format!(
                "the shape is {:?}, and {shape:?} is asked for",
                answer.dims()
            )),
            Some(answer) => match values(answer) {
                Err(error) => Verdict::Wrong(format!("cannot be read: {error}")),
                Ok(values) => match values.iter().filter(|x| !x.is_finite()).count() {
                    0 => Verdict::Right,
                    odd => {
                        Verdict::Wrong(format!("{odd} of {} values are not finite", values.len()))
                    }
                },
            },
        };
        self.with(name, None, 0.0, verdict)
    }

    /// A property that an answer must have, whose name says what it is: `"the energy drifts by less than 1 %"`.
    ///
    /// ```
    /// use scorebook::notebook::{Display, Exercise};
    ///
    /// let drift: Option<f64> = Some(0.2);
    /// let exercise =
    ///     Exercise::new(1).holds("the energy drifts by less than 1 %", drift.map(|d| d < 0.01));
    /// assert_eq!(
    ///     exercise.bundle().get("text/plain"),
    ///     Some("Exercise 1: not right yet.\nthe energy drifts by less than 1 %: this does not hold.")
    /// );
    /// ```
    pub fn holds(self, name: impl Into<String>, answer: impl Into<Option<bool>>) -> Self {
        let answer = answer.into();
        let verdict = match answer {
            None => Verdict::Unanswered,
            Some(true) => Verdict::Right,
            Some(false) => Verdict::Wrong("this does not hold".into()),
        };
        self.with(name, answer.map(Answer::from), 0.0, verdict)
    }

    /// A word, whose case does not matter.
    ///
    /// ```
    /// use scorebook::notebook::Exercise;
    ///
    /// let sign: Option<&str> = Some("Minus");
    /// assert!(Exercise::new(1).choice("the sign: plus or minus", sign, "minus").is_right());
    /// ```
    pub fn choice<'a>(
        self,
        name: impl Into<String>,
        answer: impl Into<Option<&'a str>>,
        expected: &str,
    ) -> Self {
        let answer = answer.into();
        let verdict = match answer {
            None => Verdict::Unanswered,
            Some(word) if Answer::from(word) == Answer::from(expected) => Verdict::Right,
            Some(word) => Verdict::Wrong(format!("it is not {word:?}")),
        };
        self.with(name, answer.map(Answer::from), 0.0, verdict)
    }

    /// What to say if the answer of the check before is wrong in this way: equal to `wrong`, numbers within the check's
    /// tolerance. The first hint that fits is told.
    pub fn hint(mut self, wrong: impl Into<Answer>, words: &str) -> Self {
        if let Some(check) = self.checks.last_mut()
            && let Some(answer) = &check.answer
            && let Verdict::Wrong(said) = &mut check.verdict
            && answer.is(&wrong.into(), check.tolerance)
        {
            *said = format!("{said}: {words}");
            // One hint is enough.
            check.answer = None;
        }
        self
    }

    /// Whether every check is passed.
    pub fn is_right(&self) -> bool {
        self.checks.iter().all(|check| check.verdict == Verdict::Right)
    }

    /// Whether there is an answer to every check, right or wrong.
    pub fn is_answered(&self) -> bool {
        self.checks.iter().all(|check| check.verdict != Verdict::Unanswered)
    }

    fn with(
        mut self,
        name: impl Into<String>,
        answer: Option<Answer>,
        tolerance: f64,
        verdict: Verdict,
    ) -> Self {
        self.checks.push(Check { name: name.into(), answer, tolerance, verdict });
        self
    }

    /// `right`, or what there is to say, a line each.
    fn lines(&self) -> Vec<String> {
        let names = |kind: Verdict| {
            let of_kind = self.checks.iter().filter(|check| check.verdict == kind);
            of_kind.map(|check| check.name.as_str()).collect::<Vec<_>>().join("; ")
        };
        let (right, open) = (names(Verdict::Right), names(Verdict::Unanswered));
        let wrong: Vec<String> = self
            .checks
            .iter()
            .filter_map(|check| match &check.verdict {
                Verdict::Wrong(said) => Some(format!("{}: {said}.", check.name)),
                _ => None,
            })
            .collect();
        let state = match (wrong.is_empty(), open.is_empty()) {
            (true, true) => "right.".into(),
            (true, false) => format!("not answered yet: {open}."),
            (false, _) => "not right yet.".into(),
        };
        let mut lines = vec![format!("Exercise {}: {state}", self.number)];
        if !wrong.is_empty() && !open.is_empty() {
            lines.push(format!("Not answered yet: {open}."));
        }
        if !self.is_right() && !right.is_empty() {
            lines.push(format!("Right: {right}."));
        }
        lines.splice(1..1, wrong);
        lines
    }
}

/// A line that says right, or what is wrong and what is not answered yet.
impl Display for Exercise {
    fn bundle(&self) -> Bundle {
        let lines = self.lines();
        let colour = match (self.is_right(), self.is_answered()) {
            (true, _) => "#2a9d5c",
            (_, true) => "#d1495b",
            _ => "#9aa0a6",
        };
        let lines_of_html: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let html = format!(
            r#"<div style="border-left: 3px solid {colour}; padding-left: 0.7em">{}</div>"#,
            lines_of_html.join("<br>")
        );
        Bundle::html(html).with("text/plain", lines.join("\n"))
    }
}

/// The verdict on as many numbers as are expected.
fn compared(answer: &[f64], expected: &[f64], tolerance: f64) -> Verdict {
    let wrong = |k: &usize| distance(answer[*k], expected[*k], tolerance).is_some();
    let all: Vec<usize> = (0..answer.len()).filter(wrong).collect();
    // In the order of `total_cmp` a distance that is no number is the largest.
    let far = |k: usize| (answer[k] - expected[k]).abs();
    let Some(&worst) = all.iter().max_by(|&&a, &&b| far(a).total_cmp(&far(b))) else {
        return Verdict::Right;
    };
    let said = distance(answer[worst], expected[worst], tolerance).unwrap_or_default();
    Verdict::Wrong(format!(
        "{} of {} are wrong, the worst at place {worst}, counted from 0, where {said}",
        all.len(),
        answer.len()
    ))
}

/// How far `answer` is from what is expected, unless it is within the tolerance.
fn distance(answer: f64, expected: f64, tolerance: f64) -> Option<String> {
    let far = (answer - expected).abs();
    if far <= tolerance {
        return None;
    }
    Some(match far.is_finite() {
        true => format!(
            "{} is off by {}, and {} is allowed",
            short(answer),
            short(far),
            short(tolerance)
        ),
        false => format!("{} is no finite number", short(answer)),
    })
}

/// At most six digits that count: `4`, `0.5`, `1e-9`.
fn short(x: f64) -> String {
    if !x.is_finite() || x == 0.0 {
        return x.to_string();
    }
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    if (1e-4..1e6).contains(&x.abs()) { rounded.to_string() } else { format!("{rounded:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn plain(exercise: &Exercise) -> String {
        exercise.bundle().get("text/plain").unwrap().to_owned()
    }

    #[test]
    fn a_number_is_right_wrong_or_missing() {
        let check = |answer: Option<f64>| Exercise::new(7).number("a", answer, 0.5, 1e-3);
        for (answer, right, answered) in [
            (Some(0.5), true, true),
            (Some(0.5009), true, true),
            (Some(0.5011), false, true),
            (Some(-0.5), false, true),
            (Some(f64::INFINITY), false, true),
            (Some(f64::NAN), false, false),
            (None, false, false),
        ] {
            let exercise = check(answer);
            assert_eq!(exercise.is_right(), right, "{answer:?}");
            assert_eq!(exercise.is_answered(), answered, "{answer:?}");
        }
        assert_eq!(plain(&check(Some(0.5))), "Exercise 7: right.");
        assert_eq!(plain(&check(None)), "Exercise 7: not answered yet: a.");
        let wrong = plain(&check(Some(1. / 3.)));
        assert!(
            wrong.ends_with("a: 0.333333 is off by 0.166667, and 0.001 is allowed."),
            "{wrong}"
        );
        let infinite = plain(&check(Some(f64::INFINITY)));
        assert!(infinite.ends_with("a: inf is no finite number."), "{infinite}");
    }

    #[test]
    fn of_many_numbers_the_length_and_the_worst_are_told() {
        let check = |answer: Vec<f64>| Exercise::new(1).numbers("f", answer, &[1., 2., 3.], 0.1);
        assert!(check(vec![1.05, 2., 2.95]).is_right());
        let short = plain(&check(vec![1.]));
        assert!(short.ends_with("f: there are 1 numbers, and 3 are asked for."), "{short}");
        let worst = plain(&check(vec![1.2, 2., 5.]));
        let said = "2 of 3 are wrong, the worst at place 2, counted from 0, where 5 is off by 2, and 0.1 is allowed.";
        assert!(worst.ends_with(said), "{worst}");
        // One that is no number is wrong, all of them are no answer.
        let odd = plain(&check(vec![1., f64::NAN, 9.]));
        assert!(odd.contains("place 1") && odd.contains("NaN is no finite number"), "{odd}");
        assert!(!check(vec![f64::NAN; 3]).is_answered());
        assert!(check(vec![]).is_answered(), "an empty list is an answer, of the wrong length");
        assert!(!Exercise::new(1).numbers("f", None, &[1.], 0.1).is_answered());
    }

    #[test]
    fn a_tensor_is_told_its_shape_its_type_and_its_worst_value() {
        let expected = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu).unwrap();
        let check = |answer: &Tensor| Exercise::new(1).tensor("x", answer, &expected, 1e-6);
        assert!(check(&expected).is_right());
        let shape = plain(&check(&expected.flatten_all().unwrap()));
        assert!(shape.contains("the shape is [4], and [2, 2] is asked for"), "{shape}");
        let kind = plain(&check(&expected.to_dtype(DType::F64).unwrap()));
        assert!(kind.contains("the type is F64, and F32 is asked for"), "{kind}");
        let turned = plain(&check(&expected.t().unwrap()));
        assert!(turned.contains("2 of 4 are wrong, the worst at place"), "{turned}");
        assert!(!Exercise::new(1).tensor("x", None, &expected, 1e-6).is_answered());
    }

    #[test]
    fn a_shape_is_told_and_what_is_not_finite() {
        let x = Tensor::new(&[[1f32, f32::NAN, f32::INFINITY]], &Device::Cpu).unwrap();
        let odd = plain(&Exercise::new(1).shape("x", &x, &[1, 3]));
        assert!(odd.contains("2 of 3 values are not finite"), "{odd}");
        let shape = plain(&Exercise::new(1).shape("x", &x, &[3]));
        assert!(shape.contains("the shape is [1, 3], and [3] is asked for"), "{shape}");
        assert!(Exercise::new(1).shape("x", &x.narrow(1, 0, 1).unwrap(), &[1, 1]).is_right());
        assert!(!Exercise::new(1).shape("x", None, &[1]).is_answered());
    }

    #[test]
    fn a_hint_is_told_for_its_mistake_alone() {
        let check = |answer: f64| {
            Exercise::new(1)
                .number("a", answer, 2., 0.01)
                .hint(4., "the square")
                .hint(4., "a second hint")
                .hint(-2., "the sign")
        };
        assert!(plain(&check(4.005)).ends_with("and 0.01 is allowed: the square."));
        assert!(plain(&check(-2.)).ends_with(": the sign."));
        assert!(plain(&check(3.)).ends_with("and 0.01 is allowed."));
        // A hint that is right after all is not told.
        assert_eq!(
            plain(&Exercise::new(1).number("a", 2., 2., 0.1).hint(2., "?")),
            "Exercise 1: right."
        );
        let many =
            Exercise::new(1).numbers("f", vec![2., 1.], &[1., 2.], 0.).hint(vec![2., 1.], "turned");
        assert!(plain(&many).ends_with(": turned."), "{}", plain(&many));
        let short =
            Exercise::new(1).numbers("f", vec![2.], &[1., 2.], 0.).hint(vec![2., 1.], "turned");
        assert!(plain(&short).ends_with("2 are asked for."), "{}", plain(&short));
        let word =
            Exercise::new(1).choice("sign", "Plus ", "minus").hint("plus", "as in the notes");
        assert!(
            plain(&word).ends_with("it is not \"Plus \": as in the notes."),
            "{}",
            plain(&word)
        );
        let holds = Exercise::new(1).holds("small", false).hint(false, "take more steps");
        assert!(
            plain(&holds).ends_with("this does not hold: take more steps."),
            "{}",
            plain(&holds)
        );
        assert!(Exercise::new(1).hint(1., "of nothing").is_right());
    }

    #[test]
    fn several_answers_are_told_apart() {
        let exercise = Exercise::new(2)
            .number("a", 1., 1., 0.)
            .number("b", 3., 2., 0.5)
            .choice("c", None, "minus")
            .holds("d", None);
        assert_eq!(
            plain(&exercise),
            "Exercise 2: not right yet.\nb: 3 is off by 1, and 0.5 is allowed.\nNot answered yet: c; d.\nRight: a."
        );
        let half = Exercise::new(2).number("a", 1., 1., 0.).number("b", None, 2., 0.);
        assert_eq!(plain(&half), "Exercise 2: not answered yet: b.\nRight: a.");
        let html = Exercise::new(2).holds("x < y & z", true).holds("x > 1", None).bundle();
        let html = html.get("text/html").unwrap();
        assert!(html.contains("x &gt; 1") && html.contains("x &lt; y &amp; z"), "{html}");
    }
}
