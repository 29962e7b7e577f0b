//! Errors of solvers over the length of their steps.

use super::{
    figure::Figure,
    line::{line, reference},
};
use crate::{Error, Result, sde::OrderReport};

/// The errors of order reports over `Δt`, on logarithmic axes, each with a dashed line of the order that its solver
/// declares through the error of the longest step.
///
/// # Errors
/// No report.
///
/// ```
/// use scorebook::{prelude::*, sde::strong_order};
///
/// let sde = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
/// let times = time_grid(0.0, 1.0, 64)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (500, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((500, 1), DType::F64, &Device::Cpu)?;
/// let exact = sde.along(&x0, &w)?.get(64)?;
/// let euler = strong_order(&EulerMaruyama::default(), &sde, &x0, &w, &[1, 2, 4], Some(&exact))?;
/// let milstein = strong_order(&Milstein::default(), &sde, &x0, &w, &[1, 2, 4], Some(&exact))?;
/// assert!(plot::orders(&[&euler, &milstein])?.svg()?.contains("Milstein"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn orders(reports: &[&OrderReport]) -> Result<Figure> {
    let Some(kind) = reports.first().map(|report| report.kind) else {
        return Err(Error::argument("reports", "[]", "at least one"));
    };
    let measured: Vec<_> = reports
        .iter()
        .map(|report| (format!("{}: {:.2}", report.solver, report.slope), report.errors()))
        .collect();
    let declared: Vec<_> = reports
        .iter()
        .filter_map(|report| {
            let (first, last) = (report.points.first()?, report.points.last()?);
            let share = (first.dt / last.dt).powf(report.declared);
            Some(("", vec![(first.dt, last.error * share), (last.dt, last.error)]))
        })
        .collect();
    line(&measured)?
        .overlay(reference(&declared)?)?
        .markers()
        .log_x()?
        .log_y()
        .map(|figure| figure.x_label("Δt").y_label(format!("{kind} error")))
}
