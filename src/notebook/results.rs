//! What the library computes, as a cell's value.

use candle_core::{D, DType, Tensor};

use super::bundle::escaped;
use super::tensor::{place, summary, under};
use super::{Bundle, Display, Table};
use crate::Result;
use crate::metrics::{ImageReport, Measure};
use crate::path::BrownianMotion;
use crate::plot::{self, Figure};
use crate::sample::Sample;
use crate::score::{Mlp, Model, Network, Unet};
use crate::sde::Solution;
use crate::train::{Report, Training};

/// Above this many values a path's components are not drawn.
const COMPONENTS: usize = 2;

/// The paths over time, or in the plane where they have two components; without a trajectory the last state.
impl Display for Solution {
    fn bundle(&self) -> Bundle {
        let text = format!("Solution at {}{}", span(&self.times), ending(self.interrupted));
        paths(text, &self.x, self.trajectory.as_deref(), &self.times)
    }
}

/// As a [`Solution`], and the number of score evaluations; images are shown as images.
impl Display for Sample {
    fn bundle(&self) -> Bundle {
        let text = format!(
            "Sample at {}, {} score evaluations{}",
            span(&self.times),
            self.score_evaluations,
            ending(self.interrupted)
        );
        paths(text, &self.x, self.trajectory.as_deref(), &self.times)
    }
}

/// The paths over time, or in the plane where they have two components.
impl Display for BrownianMotion {
    fn bundle(&self) -> Bundle {
        let text = format!("BrownianMotion at {}: {}", span(&self.times), summary(&self.values));
        drawn(figure(&self.times, &self.values), text)
    }
}

fn paths(text: String, x: &Tensor, trajectory: Option<&[Tensor]>, times: &[f64]) -> Bundle {
    let text = format!("{text}: {}", summary(x));
    match trajectory.map(|states| figure(times, &Tensor::stack(states, 0)?)) {
        Some(Ok(Some(figure))) => drawn(Ok(Some(figure)), text),
        _ => under(&text, x),
    }
}

fn ending(interrupted: bool) -> &'static str {
    if interrupted { ", interrupted" } else { "" }
}

/// `51 times from 1 to 0`.
fn span(times: &[f64]) -> String {
    match times {
        [] => "no time".into(),
        [t] => format!("t = {t}"),
        [first, .., last] => format!("{} times from {first} to {last}", times.len()),
    }
}

/// The figure of `[times, batch]`, `[times, batch, 1]` or `[times, batch, 2]`; none of other shapes.
fn figure(times: &[f64], values: &Tensor) -> Result<Option<Figure>> {
    let values = values.detach().to_dtype(DType::F64)?;
    Ok(match values.dims() {
        [_, _] => Some(plot::trajectories(times, &values)?.x_label("t")),
        [_, _, 1] => Some(plot::trajectories(times, &values.squeeze(D::Minus1)?)?.x_label("t")),
        [_, _, COMPONENTS] => Some(plot::phase_plane(&values)?.x_label("x₁").y_label("x₂")),
        _ => None,
    })
}

/// The figure with the text as its plain form; the text alone where there is nothing to draw.
fn drawn(figure: Result<Option<Figure>>, text: String) -> Bundle {
    match figure {
        Ok(Some(figure)) => figure.bundle().with("text/plain", text),
        _ => Bundle::text(text),
    }
}

/// The loss over the steps, and on held-out samples.
impl Display for Report {
    fn bundle(&self) -> Bundle {
        let last = self.losses.last().map(|loss| format!(", last loss {loss:.4}"));
        let text = format!(
            "Report of {} steps in {:.1} s{}{}",
            self.losses.len(),
            self.seconds,
            last.unwrap_or_default(),
            ending(self.interrupted)
        );
        let figure = match self.losses.len() {
            0 | 1 => Ok(None),
            _ => self.figure().map(Some),
        };
        drawn(figure, text)
    }
}

/// What it is, how many parameters it has and which.
impl Display for Mlp {
    fn bundle(&self) -> Bundle {
        headed("", self)
    }
}

/// What it is, how many parameters it has and which.
impl Display for Unet {
    fn bundle(&self) -> Bundle {
        headed("", self)
    }
}

/// The network, and what it was trained on.
impl Display for Model {
    fn bundle(&self) -> Bundle {
        let card = &self.card;
        headed(&format!("Model of {}, samples {:?}", card.data, card.shape), self.network())
    }
}

/// The network, and how far it is.
impl<N: Network + Clone> Display for Training<N> {
    fn bundle(&self) -> Bundle {
        headed(&format!("Training after {} steps", self.step()), self.network())
    }
}

/// What the network is, under a line of text, and a table of its parameters.
fn headed(line: &str, network: &dyn Network) -> Bundle {
    let parameters = network.parameters();
    let what = format!(
        "{}, {} parameters on {}, for {:?}",
        network.architecture().summary(),
        parameters.count(),
        place(&parameters.device()),
        network.process()
    );
    let rows = parameters.iter().map(|(name, variable)| {
        [name.to_owned(), format!("{:?}", variable.dims()), variable.elem_count().to_string()]
    });
    let table = Table::new(["parameter", "shape", "numbers"], rows).bundle();
    let heading: String =
        [line, &what].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
    let html = table.get("text/html").unwrap_or_default();
    Bundle::html(format!("<details><summary>{}</summary>{html}</details>", escaped(&heading)))
        .with("text/plain", heading)
}

/// A table of the numbers beside their floor.
impl Display for ImageReport {
    fn bundle(&self) -> Bundle {
        let number = |value: f64, error: Option<f64>| {
            let digits = |x: f64| {
                if x.abs() < 0.01 && x != 0.0 { format!("{x:.2e}") } else { format!("{x:.4}") }
            };
            error.map_or(digits(value), |error| format!("{} ± {}", digits(value), digits(error)))
        };
        let row = |measure: &Measure| {
            let floor = measure.floor.map(|floor| number(floor, measure.floor_standard_error));
            [
                measure.name.clone(),
                number(measure.value, measure.standard_error),
                floor.unwrap_or_default(),
            ]
        };
        let header = [
            format!("by {}", self.net),
            format!("{} images", self.images),
            format!("floor: {} real images", self.floor_images),
        ];
        Table::new(header, self.measures.iter().map(row)).bundle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::VariancePreserving;
    use crate::path::time_grid;
    use crate::random::Generator;
    use crate::score::MlpSettings;
    use crate::train::LossByTime;
    use candle_core::Device;

    fn plain(bundle: &Bundle) -> &str {
        bundle.get("text/plain").unwrap()
    }

    #[test]
    fn paths_are_drawn_where_they_can_be() {
        let times = time_grid(0.0, 1.0, 4).unwrap();
        let draw = |shape: &[usize]| {
            let mut generator = Generator::new(1);
            BrownianMotion::sample(&times, shape, DType::F32, &mut generator, &Device::Cpu).unwrap()
        };
        for (shape, is_drawn) in
            [(&[3][..], true), (&[3, 1], true), (&[3, 2], true), (&[3, 5], false)]
        {
            let bundle = draw(shape).bundle();
            assert_eq!(bundle.get("image/svg+xml").is_some(), is_drawn, "{shape:?}");
            let text = plain(&bundle);
            assert!(
                text.starts_with("BrownianMotion at 5 times from 0 to 1: Tensor [5, 3"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_solution_without_a_trajectory_is_its_state() {
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let mut solution = Solution {
            x: x.clone(),
            trajectory: None,
            times: vec![0.5],
            interrupted: true,
            cost: Default::default(),
        };
        let bundle = solution.bundle();
        let text = plain(&bundle);
        assert!(text.starts_with("Solution at t = 0.5, interrupted: Tensor [2, 3]"), "{text}");
        // What does not fit together is no panic.
        solution.trajectory =
            Some(vec![x.clone(), Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap()]);
        assert!(plain(&solution.bundle()).contains("Solution"));
    }

    #[test]
    fn a_network_is_its_size_and_not_its_weights() {
        let process = VariancePreserving::default().into();
        let settings = MlpSettings { hidden: 8, layers: 1, ..Default::default() };
        let network = Mlp::new(settings, process, &mut Generator::new(1), &Device::Cpu).unwrap();
        let bundle = network.bundle();
        let count = network.parameters().count();
        assert!(plain(&bundle).contains(&format!("{count} parameters on cpu")), "{bundle:?}");
        assert!(bundle.get("text/html").unwrap().contains("<td>out.weight</td><td>[2, 8]</td>"));
    }

    #[test]
    fn a_report_tells_its_last_loss() {
        let report = Report { losses: vec![2.0, 1.0], seconds: 3.0, ..Default::default() };
        let bundle = report.bundle();
        assert_eq!(plain(&bundle), "Report of 2 steps in 3.0 s, last loss 1.0000");
        assert!(bundle.get("image/svg+xml").is_some());
        // Many steps are few points, and what held-out samples say is a second curve.
        let losses: Vec<f64> = (0..5000).map(|i| 1.0 / (1.0 + i as f64 / 100.0)).collect();
        let validations = (1..=10)
            .map(|k| (500 * k, LossByTime { loss: 0.9 / k as f64, ..Default::default() }))
            .collect();
        let report = Report { losses, validations, ..Default::default() };
        let svg = report.figure().unwrap().svg().unwrap();
        assert!(svg.contains("means of 25 steps") && svg.contains("held-out samples"));
        assert_eq!(plain(&Report::default().bundle()), "Report of 0 steps in 0.0 s");
    }
}
