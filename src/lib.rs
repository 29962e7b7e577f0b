//! From one random number to generated images: stochastic calculus and score-based diffusion.
//!
//! The rooms of this library follow the lecture notes, in their order; each uses only what stands before it:
//!
//! | the notes | the room |
//! |---|---|
//! | drawing random numbers | [`random`] |
//! | laws with a density and a score | [`distribution`] |
//! | Markov chains whose stationary law is the target | [`markov`] |
//! | white noise and Brownian motion | [`path`] |
//! | Itô diffusions, and how to simulate them | [`sde`] |
//! | the density of an Itô diffusion: the Fokker-Planck equation | [`fokker_planck`] |
//! | VE, VP, sub-VP, Ornstein-Uhlenbeck, SMLD, DDPM: noise with a closed kernel | [`diffusion`] |
//! | the score, exact or learned | [`score`] |
//! | the reverse SDE and the probability flow | [`reverse`] |
//! | score matching: explicit, implicit, denoising | [`train`] |
//! | from noise to data: the samplers | [`sample`] |
//! | how likely data are | [`likelihood`] |
//! | what was it, if this was measured? | [`inverse`] |
//! | data sets, and distances between samples and laws | [`data`], [`metrics`] |
//!
//! Beside them stand the base rooms, which everyone may use ([`tensor`], [`device`], [`interrupt`], [`progress`],
//! [`error`](mod@error)), and what shows results: [`plot`] and [`notebook`].
//!
//! ```
//! use scorebook::prelude::*;
//!
//! // Eight Gaussians, drawn by running noise backward through the exact score.
//! let process = VariancePreserving::default();
//! let score = MixtureScore::new(Mixture::ring(8, 2., 0.15)?, process);
//! let mut generator = Generator::new(1);
//! let sampler = ProbabilityFlow { steps: 20, ..Default::default() };
//! let sample = sampler.sample(&process, &score, &[100, 2], &mut generator, &Device::Cpu)?;
//! assert_eq!(sample.x.dims(), [100, 2]);
//! # Ok::<(), scorebook::Error>(())
//! ```

pub mod data;
pub mod device;
pub mod diffusion;
pub mod distribution;
pub mod error;
pub mod fokker_planck;
pub mod interrupt;
pub mod inverse;
pub mod likelihood;
pub mod markov;
pub mod metrics;
pub mod notebook;
pub mod path;
pub mod plot;
pub mod progress;
pub mod random;
pub mod reverse;
pub mod sample;
pub mod score;
pub mod sde;
pub mod tensor;
pub mod train;

pub use error::{Error, Result};

/// What a notebook cell needs, in one line: `use scorebook::prelude::*;`.
///
/// It holds no `Result`: a glob import of an alias of that name would hide the standard one in a reader's cells.
pub mod prelude {
    pub use crate::data::{Digits, Emoji, FashionMnist, ImageFolder, ImageSet, PixelFaces, Split};
    pub use crate::diffusion::{
        Affine, Cosine, DdpmChain, Edm, Exponential, ForwardSde, NoisingChain, NoisingProcess,
        OrnsteinUhlenbeck, Process, ScaledLinear, SmldChain, SubVariancePreserving,
        VarianceExploding, VariancePreserving,
    };
    pub use crate::distribution::{Banana, Density, Funnel, Gaussian, Mixture, Ring, toy};
    pub use crate::fokker_planck::{FokkerPlanck, Grid, GridDensity, Stepping, stationary};
    pub use crate::inverse::{
        Blur, Clip, Denoised, DiffPir, Downsample, Dps, DpsSampler, Draws, ExactLikelihood,
        ExactPosterior, Grey, Guidance, JacobianFree, LinearOperator, Mask, Measurement, Operator,
        PiGdm, PosteriorScore, Projection, Replacement, SubsampledFourier, TwistedParticles,
    };
    pub use crate::likelihood::{
        BitsPerDim, Dequantisation, Derivative, Divergence, Estimate, FlowSolver, Likelihood,
        LogLikelihood, LowerBound, Probe, ScoreKl, VariationalBound, Waypoint, prior_log_prob,
        prior_mismatch, prior_mismatch_bound,
    };
    pub use crate::markov::{
        AnnealedLangevin, Chains, Independence, Langevin, Proposal, RandomWalk, Target,
        TransitionMatrix, diagnostics,
    };
    pub use crate::notebook::Exercise;
    #[doc(hidden)]
    pub use crate::notebook::{ByDebug as _, ByDisplay as _};
    pub use crate::path::{BrownianMotion, BrownianTree, quadratic_variation, time_grid};
    pub use crate::plot::{self, Figure};
    pub use crate::progress::Progress;
    pub use crate::random::{
        Alias, ClosedForm, Discrete, Generator, Inversion, Mixed, NumericalInverse, Tabulated,
    };
    pub use crate::reverse::{AndersonReverse, ReverseSde, reverse_brownian_motion};
    pub use crate::sample::{
        AdaptiveFlow, Ancestral, AnnealedLangevinDynamics, Ddim, DpmSolver, EdmSampler,
        ExponentialIntegrator, PredictorCorrector, ProbabilityFlow, ReverseDiffusion,
        ReverseEulerMaruyama, Sample, Sampler, Spacing,
    };
    pub use crate::score::{
        ClassifierFreeGuidance, EmpiricalScore, GaussianScore, Given, MixtureScore, Mlp,
        MlpSettings, Model, Network, Parameterization, ResidualUnet, ResidualUnetSettings, Score,
        ScoreFunction, Trainable, Unet, UnetSettings, tweedie,
    };
    pub use crate::sde::{
        Adaptive, Dispersion, DormandPrince, EulerMaruyama, Exact, Flow, FlowMethod,
        GeometricBrownianMotion, Ito, Milstein, Sde, Solver, Sra1, Sri1, StochasticHeun,
        Stratonovich, strong_order, weak_order,
    };
    pub use crate::train::{
        DenoisingLoss, DirectionalDerivative, Log, LossByTime, Optimizer, Schedule, Source,
        TimeSampling, Training, TrainingSettings, Validation, Weighting, chain_bound,
        continuous_bound, denoising_score_matching, explicit_score_matching,
        implicit_score_matching, minimize, sliced_score_matching, transition_weight,
    };
    pub use crate::{device, metrics, notebook};
    pub use candle_core::{D, DType, Device, Tensor};
}
