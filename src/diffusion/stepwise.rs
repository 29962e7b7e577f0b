//! The process through the kernels of a chain.

use super::{
    Kernel, NoisingProcess, Step,
    noising::{checked, relative_decay},
};
use crate::{Error, Result};
use std::{fmt, sync::Arc};

/// `dx = a x dt + g dw` with constant `a` and `g` on each of the `N` equal parts of `[0, T]`: what a chain is in
/// continuous time.
///
/// At the time `i/N T` its kernel is that of the chain's `x_i`. With the step `x_i = r x_{i-1} + s z` of length `h`:
/// `a = ln r/h`, `g² = 2a s²/(r² - 1)`, which is `s²/h` for `r = 1`. It is made by
/// [`NoisingChain::continuous`](super::NoisingChain::continuous).
///
/// At the times of the chain `a` and `g` jump, and there have the values of the part that begins.
///
/// ```
/// use scorebook::diffusion::{DdpmChain, NoisingChain, NoisingProcess};
///
/// let chain = DdpmChain::cosine(100)?;
/// let process = chain.continuous(1.0)?;
/// assert!((process.mean_scale(0.4) - chain.kernels()[40].mean_scale).abs() < 1e-14);
/// assert!((process.std(0.4) - chain.kernels()[40].std).abs() < 1e-14);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Stepwise {
    parts: Arc<[Part]>,
    horizon: f64,
}

struct Part {
    start: Kernel,
    rate: f64,
    dispersion: f64,
}

impl Stepwise {
    pub(super) fn new(steps: &[Step], kernels: Vec<Kernel>, horizon: f64) -> Result<Self> {
        checked("horizon", horizon, horizon > 0.0, "a positive time")?;
        if steps.is_empty() {
            return Err(Error::argument("steps", "empty", "at least one step"));
        }
        let width = horizon / steps.len() as f64;
        let part = |(Step { scale, noise }, start): (&Step, Kernel)| {
            checked("scale", *scale, *scale > 0.0, "a positive scale of each step")?;
            checked("noise", *noise, *noise >= 0.0, "a noise of each step of at least 0")?;
            let rate = scale.ln() / width;
            let growth = width * relative_decay(-2.0 * rate * width);
            Ok(Part { start, rate, dispersion: noise / growth.sqrt() })
        };
        let parts = steps.iter().zip(kernels).map(part).collect::<Result<_>>()?;
        Ok(Self { parts, horizon })
    }

    /// The part of time that `t` is in, and the time since its beginning.
    fn part(&self, t: f64) -> (&Part, f64) {
        let parts = self.parts.len();
        let index = ((t / self.horizon * parts as f64) as usize).min(parts - 1);
        (&self.parts[index], t - self.horizon * index as f64 / parts as f64)
    }
}

impl fmt::Debug for Stepwise {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { parts, horizon } = self;
        f.debug_struct("Stepwise").field("parts", &parts.len()).field("horizon", horizon).finish()
    }
}

impl NoisingProcess for Stepwise {
    fn rate(&self, t: f64) -> f64 {
        self.part(t).0.rate
    }

    fn dispersion(&self, t: f64) -> f64 {
        self.part(t).0.dispersion
    }

    fn mean_scale(&self, t: f64) -> f64 {
        let (part, since) = self.part(t);
        part.start.mean_scale * (part.rate * since).exp()
    }

    fn std(&self, t: f64) -> f64 {
        let (Part { start, rate, dispersion }, since) = self.part(t);
        let grown = dispersion * (since * relative_decay(-2.0 * rate * since)).max(0.0).sqrt();
        (start.std * (rate * since).exp()).hypot(grown)
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn prior_std(&self) -> f64 {
        self.std(self.horizon)
    }
}
