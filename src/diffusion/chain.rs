//! Noising in steps: chains, of which the processes are the limits.

use super::Stepwise;
use crate::{Error, Result, random::Generator};
use candle_core::Tensor;
use std::fmt::Debug;

/// A Markov chain that turns data into noise, `x_i = r_i x_{i-1} + s_i z` for `i = 1, …, N` with `z ~ N(0, I)`.
///
/// As four functions of time say all about a process, `N` pairs of numbers say all about a chain. From the step `i`,
/// with `m_i = r_i m_{i-1}` and `P_i = r_i² P_{i-1} + s_i²` (`m_0 = 1`, `P_0 = 0`), follow
/// - the kernel `x_i | x_0 ~ N(m_i x_0, P_i I)`,
/// - the posterior `x_{i-1} | x_i, x_0`, which is what a step back imitates, and
/// - the process whose kernel is that of the chain at its times.
///
/// [`DdpmChain`](super::DdpmChain) and [`SmldChain`](super::SmldChain) are the chains of the notes. A chain of one's
/// own takes one method; here Euler-Maruyama's steps along a process:
///
/// ```
/// use scorebook::diffusion::{NoisingChain, NoisingProcess, Step, SubVariancePreserving};
///
/// #[derive(Debug)]
/// struct EulerChain(Vec<Step>);
///
/// impl NoisingChain for EulerChain {
///     fn steps(&self) -> &[Step] {
///         &self.0
///     }
/// }
///
/// let (process, n) = (SubVariancePreserving::default(), 1000);
/// let dt = 1.0 / n as f64;
/// let step = |i| {
///     let t = i as f64 * dt;
///     Step { scale: 1.0 + process.rate(t) * dt, noise: process.dispersion(t) * dt.sqrt() }
/// };
/// let chain = EulerChain((0..n).map(step).collect());
/// assert!((chain.kernels()[500].std - process.std(0.5)).abs() < 1e-2);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait NoisingChain: Send + Sync + Debug {
    /// The steps `1, …, N`; that to `x_i` has the index `i - 1`.
    fn steps(&self) -> &[Step];

    /// The kernels of `x_i` given `x_0` for `i = 0, …, N`.
    ///
    /// ```
    /// use scorebook::diffusion::{DdpmChain, NoisingChain};
    ///
    /// let kernels = DdpmChain::linear(1000, 1e-4, 0.02)?.kernels();
    /// assert_eq!((kernels.len(), kernels[0].mean_scale, kernels[0].std), (1001, 1.0, 0.0));
    /// assert!((kernels[1000].mean_scale.powi(2) - 4.036e-5).abs() < 1e-8);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    fn kernels(&self) -> Vec<Kernel> {
        let (mut mean_scale, mut variance) = (1.0, 0.0);
        let mut kernels = vec![Kernel { mean_scale, std: 0.0 }];
        for Step { scale, noise } in self.steps() {
            mean_scale *= scale;
            // A sum of positive numbers, unlike 1 - ᾱ: nothing cancels where the noise is small.
            variance = scale * scale * variance + noise * noise;
            kernels.push(Kernel { mean_scale, std: variance.sqrt() });
        }
        kernels
    }

    /// The laws of `x_{i-1}` given `x_i` and `x_0` for `i = 1, …, N`; that of `x_{i-1}` has the index `i - 1`.
    ///
    /// `x_{i-1} | x_i, x_0 ~ N(m_{i-1} s_i²/P_i x_0 + r_i P_{i-1}/P_i x_i, P_{i-1} s_i²/P_i I)`. For DDPM's chain that is
    /// equation 7 of Ho et al. 2020, for SMLD's equation 46 of Song et al. 2021.
    ///
    /// ```
    /// use scorebook::diffusion::{DdpmChain, NoisingChain};
    ///
    /// let posteriors = DdpmChain::linear(1000, 1e-4, 0.02)?.posteriors();
    /// assert_eq!((posteriors[0].variance, posteriors[0].from_x0), (0.0, 1.0)); // x_0 is given.
    /// assert!((posteriors[999].from_next - 0.98995).abs() < 1e-5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    fn posteriors(&self) -> Vec<Posterior> {
        let kernels = self.kernels();
        let posterior = |(i, step): (usize, &Step)| {
            let (before, after) = (kernels[i], kernels[i + 1]);
            // Of the variance after the step: what was there before, and what the step added.
            let kept = (before.std / after.std).powi(2);
            let added = (step.noise / after.std).powi(2);
            Posterior {
                from_x0: before.mean_scale * added,
                from_next: step.scale * kept,
                variance: step.noise.powi(2) * kept,
                large_variance: step.noise.powi(2),
            }
        };
        self.steps().iter().enumerate().map(posterior).collect()
    }

    /// The process on `[0, horizon]` with constant coefficients between the times `i/N horizon`, where its kernel is
    /// the chain's.
    ///
    /// It is what lets a continuous sampler run on a score that was learned at the steps of a chain. When `N` grows,
    /// the processes of DDPM's chains with `c_i = c(t_i)/N` tend to `dx = -½ c(t) x dt + √c(t) dw`, and those of
    /// SMLD's with `σ_i = σ(t_i)` to `dx = √(dσ²/dt) dw`.
    ///
    /// ```
    /// use scorebook::diffusion::{DdpmChain, NoisingChain, NoisingProcess, VariancePreserving};
    ///
    /// let process = DdpmChain::linear(1000, 1e-4, 0.02)?.continuous(1.0)?;
    /// let limit = VariancePreserving::new(0.1, 20.0)?;
    /// assert!((process.std(0.3) - limit.std(0.3)).abs() < 2e-3);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `horizon` is not a positive time, or a step does not have a positive scale and a noise of at least 0.
    fn continuous(&self, horizon: f64) -> Result<Stepwise> {
        Stepwise::new(self.steps(), self.kernels(), horizon)
    }
}

/// One step of a chain, `x_i = r x_{i-1} + s z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The scale `r`.
    pub scale: f64,
    /// The standard deviation `s` of the noise that is added.
    pub noise: f64,
}

impl Step {
    /// A draw of `x_i` given `x_{i-1}`, of any shape.
    ///
    /// ```
    /// use scorebook::{prelude::*, diffusion::{DdpmChain, NoisingChain}};
    ///
    /// let (chain, generator) = (DdpmChain::linear(1000, 1e-4, 0.02)?, &mut Generator::new(1));
    /// let mut x = Tensor::full(2f32, (64, 1), &Device::Cpu)?;
    /// for step in &chain.steps()[..100] {
    ///     x = step.draw(&x, generator)?;
    /// }
    /// // x_100 ~ N(2 √ᾱ_100, 1 - ᾱ_100), here the mean of 64.
    /// let kernel = chain.kernels()[100];
    /// let mean = f64::from(x.mean_all()?.to_scalar::<f32>()?);
    /// assert!((mean - 2.0 * kernel.mean_scale).abs() < 6.0 * kernel.std / 8.0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    pub fn draw(&self, x: &Tensor, generator: &mut Generator) -> Result<Tensor> {
        Ok(((x * self.scale)? + (generator.normal_like(x)? * self.noise)?)?)
    }
}

/// The law of a state given the first one, `x_i | x_0 ~ N(m x_0, std² I)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    /// The mean scale `m`; for DDPM's chain `√ᾱ_i`.
    pub mean_scale: f64,
    /// The standard deviation; for DDPM's chain `√(1 - ᾱ_i)`.
    pub std: f64,
}

impl Kernel {
    /// The signal-to-noise ratio `m²/std²`, infinite before the first step.
    ///
    /// ```
    /// use scorebook::diffusion::Kernel;
    ///
    /// assert_eq!(Kernel { mean_scale: 0.5, std: 2.0 }.snr(), 1.0 / 16.0);
    /// ```
    pub fn snr(&self) -> f64 {
        (self.mean_scale / self.std).powi(2)
    }

    /// The noise level `std/m`, which `diffusers` calls sigma.
    ///
    /// ```
    /// use scorebook::diffusion::Kernel;
    ///
    /// let kernel = Kernel { mean_scale: 0.5, std: 2.0 };
    /// assert_eq!((kernel.noise_level(), kernel.snr()), (4.0, 1.0 / 4f64.powi(2)));
    /// ```
    pub fn noise_level(&self) -> f64 {
        self.std / self.mean_scale
    }

    /// A draw `x_i = m x_0 + std z`, with the `z ~ N(0, I)` that made it.
    ///
    /// ```
    /// use scorebook::{prelude::*, diffusion::{NoisingChain, SmldChain}};
    ///
    /// let chain = SmldChain::geometric(10, 0.01, 1.0)?;
    /// let x0 = Tensor::zeros((64, 2), DType::F32, &Device::Cpu)?;
    /// let (x, z) = chain.kernels()[7].perturb(&x0, &mut Generator::new(1))?;
    /// assert_eq!((x.dims(), z.dims()), (&[64, 2][..], &[64, 2][..]));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    pub fn perturb(&self, x0: &Tensor, generator: &mut Generator) -> Result<(Tensor, Tensor)> {
        let z = generator.normal_like(x0)?;
        Ok((((x0 * self.mean_scale)? + (&z * self.std)?)?, z))
    }
}

/// The law of the state before a step, given the state after it and the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// The coefficient of `x_0` in the mean.
    pub from_x0: f64,
    /// The coefficient of `x_i` in the mean.
    pub from_next: f64,
    /// The variance, DDPM's `β̃_i` (`diffusers`' `fixed_small`): right for a step back if `x_0` is a point.
    pub variance: f64,
    /// The variance `s_i²` that the step added, DDPM's `β_i` (`fixed_large`): for DDPM right if `x_0 ~ N(0, I)`.
    pub large_variance: f64,
}

impl Posterior {
    /// The mean of `x_{i-1}` given `x_0` and `x_i`, tensors of one shape.
    ///
    /// ```
    /// use scorebook::{prelude::*, diffusion::{DdpmChain, NoisingChain}};
    ///
    /// let posterior = DdpmChain::linear(1000, 1e-4, 0.02)?.posteriors()[499];
    /// let one = Tensor::ones((1, 1), DType::F64, &Device::Cpu)?;
    /// let mean = posterior.mean(&one, &one)?.to_vec2::<f64>()?[0][0];
    /// assert!((mean - posterior.from_x0 - posterior.from_next).abs() < 1e-15);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn mean(&self, x0: &Tensor, next: &Tensor) -> Result<Tensor> {
        if x0.dims() != next.dims() {
            let expected = format!("that of `x0`, {:?}", x0.dims());
            return Err(Error::shape("next", next.dims(), expected));
        }
        Ok(((x0 * self.from_x0)? + (next * self.from_next)?)?)
    }
}
