//! Laws with atoms and a rest.

use super::Inversion;
use crate::{Error, Result};
use std::sync::Arc;

/// A mixed law: atoms of given mass, and another law for the rest, `F(x) = Σ_k m_k 1{a_k ≤ x} + (1 - Σ m_k) G(x)`.
///
/// Waiting times that are 0 with some probability are of this kind, and so is rain.
///
/// ```
/// use scorebook::random::{ClosedForm, Inversion, Mixed};
///
/// let rain = Mixed::new(&[(0.0, 0.7)], ClosedForm::exponential(1.0)?)?;
/// assert_eq!(rain.quantile(0.5), 0.0);
/// assert!((rain.quantile(0.85) - 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The atoms' places, upward, with the mass of the atoms before each, and `F` at it.
    atoms: Vec<(f64, f64, f64)>,
    /// The mass of all atoms.
    mass: f64,
    rest: Arc<dyn Inversion>,
}

impl Mixed {
    /// The law with atoms `(place, mass)`, in any order, and `rest` with the mass that remains.
    ///
    /// # Errors
    /// If a place is not finite, a mass not positive, or nothing remains.
    pub fn new(atoms: &[(f64, f64)], rest: impl Inversion + 'static) -> Result<Self> {
        let mut sorted = atoms.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = 0.0;
        let mut atoms = Vec::with_capacity(sorted.len());
        for (place, mass) in sorted {
            if !(place.is_finite() && mass > 0.0 && mass.is_finite()) {
                let expected = "finite places and positive masses";
                return Err(Error::argument("atoms", format!("({place}, {mass})"), expected));
            }
            atoms.push((place, before, before + mass));
            before += mass;
        }
        if before >= 1.0 {
            let expected = "masses with a sum below 1 (`Discrete` is for atoms alone)";
            return Err(Error::argument("atoms", format!("of the mass {before}"), expected));
        }
        for (place, _, reached) in &mut atoms {
            *reached += (1.0 - before) * rest.cdf(*place);
        }
        Ok(Self { atoms, mass: before, rest: Arc::new(rest) })
    }
}

impl Inversion for Mixed {
    fn cdf(&self, x: f64) -> f64 {
        let below = self.atoms.partition_point(|(place, ..)| *place <= x);
        let mass = self.atoms.get(below).map_or(self.mass, |(_, before, _)| *before);
        mass + (1.0 - self.mass) * self.rest.cdf(x)
    }

    fn quantile(&self, u: f64) -> f64 {
        let share = |before: f64| (u - before) / (1.0 - self.mass);
        // Left of the first atom at which F reaches u, F grows by the rest alone.
        let first = self.atoms.partition_point(|(.., reached)| *reached < u);
        match self.atoms.get(first) {
            Some((place, before, _)) if share(*before) < 1.0 => {
                self.rest.quantile(share(*before)).min(*place)
            }
            Some((place, ..)) => *place,
            // Rounding may reach 1, where there is no quantile.
            None => self.rest.quantile(share(self.mass).min(1.0f64.next_down())),
        }
    }
}
