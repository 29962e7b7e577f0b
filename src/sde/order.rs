//! The orders of a solver, measured.

use super::{Sde, Solver, derivative::is_additive};
use crate::{
    Error, Result,
    notebook::{Bundle, Display},
    path::BrownianMotion,
};
use candle_core::{DType, Device, Tensor};
use std::fmt;

/// The errors of a solver for several lengths of steps, and the slope of the line through them.
///
/// In a notebook it is shown as a table; [`plot::orders`](crate::plot::orders) draws it.
#[derive(Clone, Debug)]
pub struct OrderReport {
    /// The solver's name.
    pub solver: String,
    /// `strong` or `weak`.
    pub kind: &'static str,
    /// The order that the solver declares for this noise.
    pub declared: f64,
    /// The errors, from the shortest step to the longest.
    pub points: Vec<OrderPoint>,
    /// The slope of `ln error` over `ln Δt`, by least squares: the measured order.
    pub slope: f64,
    /// The standard error of the slope, from ten parts of the batch.
    pub slope_error: f64,
}

/// The error for one length of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderPoint {
    /// The longest step `Δt` of the grid.
    pub dt: f64,
    /// The error at the end.
    pub error: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// The strong order of a solver: how `E ‖x(T) - x_h(T)‖` shrinks with the step, on the same Brownian paths.
///
/// `path` holds the finest grid; each of the `strides` (ascending) solves along `path.coarsen(stride)`. `exact` is
/// the solution at its end, `[batch, ...]`; without it the solver's own solution along `path` stands for it, which
/// must then be finer by far than the first stride.
///
/// ```
/// use scorebook::{prelude::*, sde::{OrderReport, strong_order}};
///
/// let sde = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
/// let times = time_grid(0.0, 1.0, 256)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (2000, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((2000, 1), DType::F64, &Device::Cpu)?;
/// let exact = sde.along(&x0, &w)?.get(256)?;
/// let report: OrderReport = strong_order(&Milstein::default(), &sde, &x0, &w, &[1, 2, 4, 8, 16], Some(&exact))?;
/// println!("{report}");
/// assert!((report.slope - 1.0).abs() < 0.1);
/// assert_eq!((report.declared, report.errors().len()), (1.0, 5));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If there are fewer than two strides, one does not divide the path's number of steps, the solver fails, or an
/// error is 0.
pub fn strong_order(
    solver: &dyn Solver,
    sde: &dyn Sde,
    x0: &Tensor,
    path: &BrownianMotion,
    strides: &[usize],
    exact: Option<&Tensor>,
) -> Result<OrderReport> {
    let errors = |x: &Tensor, exact: &Tensor| {
        let difference = (x - exact)?.to_dtype(DType::F64)?;
        Ok(difference.reshape((x.dims()[0], ()))?.sqr()?.sum(1)?.sqrt()?)
    };
    path.steps()?;
    let declared = if is_additive(sde, x0, path.times[0])? {
        solver.strong_order_for_additive_noise()
    } else {
        solver.strong_order()
    };
    report(solver, sde, x0, path, strides, exact, "strong", declared, errors)
}

/// The weak order of a solver: how `|E φ(x_h(T)) - E φ(x(T))|` shrinks with the step.
///
/// `function` gives `φ(x)`, one number a sample, `[batch]`. Both expectations are taken over the same Brownian
/// paths, where their difference has by far less noise than each of them; the standard error says what remains. The
/// other arguments are those of [`strong_order`].
///
/// ```
/// use scorebook::{prelude::*, sde::weak_order};
///
/// let sde = GeometricBrownianMotion { mu: 1.0, sigma: 0.5 };
/// let times = time_grid(0.0, 1.0, 32)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (20_000, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((20_000, 1), DType::F64, &Device::Cpu)?;
/// let exact = sde.along(&x0, &w)?.get(32)?;
/// let solver = EulerMaruyama::default();
/// let report = weak_order(&solver, &sde, &x0, &w, &[1, 2, 4, 8], Some(&exact), |x| x.squeeze(1))?;
/// assert!((report.slope - 1.0).abs() < 0.2);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`strong_order`], and if `function` does not give one number a sample.
pub fn weak_order(
    solver: &dyn Solver,
    sde: &dyn Sde,
    x0: &Tensor,
    path: &BrownianMotion,
    strides: &[usize],
    exact: Option<&Tensor>,
    function: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<OrderReport> {
    let errors = |x: &Tensor, exact: &Tensor| {
        let (value, expected) = (function(x)?, function(exact)?);
        if value.dims() != [x.dims()[0]] {
            let expected = format!("[{}], one number a sample", x.dims()[0]);
            return Err(Error::shape("function", value.dims(), expected));
        }
        Ok((value - expected)?.to_dtype(DType::F64)?)
    };
    report(solver, sde, x0, path, strides, exact, "weak", solver.weak_order(), errors)
}

/// Parts of the batch that tell the standard error of a slope.
const PARTS: usize = 10;

#[allow(clippy::too_many_arguments)] // Six of them are those of the public functions.
fn report(
    solver: &dyn Solver,
    sde: &dyn Sde,
    x0: &Tensor,
    path: &BrownianMotion,
    strides: &[usize],
    exact: Option<&Tensor>,
    kind: &'static str,
    declared: f64,
    errors: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<OrderReport> {
    if strides.len() < 2 || strides.windows(2).any(|pair| pair[0] >= pair[1]) {
        let expected = "at least two, ascending";
        return Err(Error::argument("strides", format!("{strides:?}"), expected));
    }
    let reference = match exact {
        Some(exact) => exact.clone(),
        None => solver.solve_along(sde, x0, path)?.x,
    };
    let (mut points, mut parts) = (vec![], vec![vec![]; PARTS]);
    for stride in strides {
        let coarse = path.coarsen(*stride)?;
        let x = solver.solve_along(sde, x0, &coarse)?.x;
        let each = errors(&x, &reference)?.to_device(&Device::Cpu)?.to_vec1::<f64>()?;
        let dt = coarse.times.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        let (error, standard_error) = mean(&each);
        if error == 0.0 {
            let expected = "a problem on which the solver makes an error";
            return Err(Error::argument("sde", format!("solved exactly at Δt = {dt}"), expected));
        }
        points.push(OrderPoint { dt, error: error.abs(), standard_error });
        for (part, errors) in parts.iter_mut().zip(each.chunks(each.len().div_ceil(PARTS))) {
            part.push((dt.ln(), mean(errors).0.abs().ln()));
        }
    }
    let all: Vec<(f64, f64)> =
        points.iter().map(|point| (point.dt.ln(), point.error.ln())).collect();
    let slopes: Vec<f64> =
        parts.iter().filter(|part| part.len() == points.len()).map(|part| slope(part)).collect();
    Ok(OrderReport {
        solver: solver.name().into(),
        kind,
        declared,
        points,
        slope: slope(&all),
        slope_error: mean(&slopes).1,
    })
}

/// The mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// The slope of the line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (x, y) = (x / n, y / n);
    let product: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    product / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

impl OrderReport {
    /// `(Δt, error)`, to draw.
    pub fn errors(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|point| (point.dt, point.error)).collect()
    }

    fn headline(&self) -> String {
        format!(
            "{}: {} order {:.2} ± {:.2} (declared {})",
            self.solver, self.kind, self.slope, self.slope_error, self.declared
        )
    }

    /// Shows the report as the value of the cell; notebooks call it on a cell's last expression.
    pub fn evcxr_display(&self) {
        self.bundle().evcxr_display();
    }
}

impl fmt::Display for OrderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        write!(f, "{:>12}  {:>12}  {:>12}", "Δt", "error", "± std. err.")?;
        for OrderPoint { dt, error, standard_error } in &self.points {
            write!(f, "\n{dt:>12.3e}  {error:>12.3e}  {standard_error:>12.1e}")?;
        }
        Ok(())
    }
}

impl Display for OrderReport {
    fn bundle(&self) -> Bundle {
        let rows: String = self
            .points
            .iter()
            .map(|point| {
                let OrderPoint { dt, error, standard_error } = point;
                format!(
                    "<tr><td>{dt:.3e}</td><td>{error:.3e}</td><td>{standard_error:.1e}</td></tr>"
                )
            })
            .collect();
        let html = format!(
            "<table><caption>{}</caption><thead><tr><th>Δt</th><th>error</th><th>standard error</th></tr></thead>\
             <tbody>{rows}</tbody></table>",
            self.headline()
        );
        Bundle::html(html).with("text/plain", self.to_string())
    }
}
