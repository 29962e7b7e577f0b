//! How many steps of paths the fused loop makes a second. `benches/paths_peers.py` runs it beside other libraries.
//!
//! `paths CASE PATHS STEPS` reads a line, runs the case once and answers with its wall and processor seconds, until
//! its input ends; then it prints the most memory that the process held, in MB. Alone (`cargo bench --bench paths`) it
//! runs every case five times and prints the medians.

mod measure;

use scorebook::{
    diffusion::{ForwardSde, OrnsteinUhlenbeck},
    path::time_grid,
    prelude::*,
    reverse::ReverseSde,
    sde::{FusedEulerMaruyama, FusedSde, Lanes},
};

/// `dx = (x - x³) dt + ½ dw₁`, `dy = -y dt + ½ dw₂`.
struct DoubleWell;

impl FusedSde<2> for DoubleWell {
    type Now = ();

    fn now(&self, _t: f64) -> scorebook::Result<()> {
        Ok(())
    }

    #[inline(always)]
    fn drift(&self, [x, y]: [Lanes; 2], _: &()) -> [Lanes; 2] {
        [x - x * x * x, -y]
    }

    #[inline(always)]
    fn noise(&self, _: [Lanes; 2], [dv, dw]: [Lanes; 2], _: &()) -> [Lanes; 2] {
        [0.5 * dv, 0.5 * dw]
    }
}

fn solve(
    sde: &impl FusedSde<2>,
    x0: Tensor,
    (from, to): (f64, f64),
    steps: usize,
    generator: &mut Generator,
) -> scorebook::Result<()> {
    let times = time_grid(from, to, steps)?;
    let paths = FusedEulerMaruyama::default().solve(sde, &x0, &times, generator)?;
    std::hint::black_box(paths.end());
    Ok(())
}

fn run(case: &str, paths: usize, steps: usize, generator: &mut Generator) -> scorebook::Result<()> {
    let zeros = Tensor::zeros((paths, 2), DType::F32, &Device::Cpu)?;
    match case {
        // The normals of one such run and nothing else, into a buffer that stays in the cache.
        "normals" => {
            let mut buffer = vec![0f32; 1 << 17];
            let mut left = 2 * paths * steps;
            while left > 0 {
                let part = left.min(buffer.len());
                generator.fill_normal(&mut buffer[..part]);
                left -= part;
            }
            std::hint::black_box(&buffer);
            Ok(())
        }
        "ou" => {
            let sde = ForwardSde(OrnsteinUhlenbeck::new(1.0, 2f64.sqrt(), 1.0)?);
            solve(&sde, zeros, (0.0, 1.0), steps, generator)
        }
        "well" => solve(&DoubleWell, zeros, (0.0, 10.0), steps, generator),
        "reverse" => {
            let process = VariancePreserving::default();
            let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.2)?, process);
            let sde = ReverseSde { process, score, noise: 1.0 };
            let x = process.prior_sample(&[paths, 2], generator, &Device::Cpu)?;
            solve(&sde, x, (1.0, 1e-3), steps, generator)
        }
        _ => Err(scorebook::Error::argument("case", case, "normals, ou, well or reverse")),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let mut generator = Generator::new(1);
    if let [case, paths, steps] = &arguments[..] {
        let (paths, steps) = (paths.parse()?, steps.parse()?);
        return measure::serve(|| run(case, paths, steps, &mut generator));
    }
    let (paths, steps) = (100_000, 1000);
    for case in ["normals", "ou", "well", "reverse"] {
        let mut seconds = (0..5)
            .map(|_| Ok(measure::timed(|| run(case, paths, steps, &mut generator))?.0))
            .collect::<scorebook::Result<Vec<f64>>>()?;
        seconds.sort_by(f64::total_cmp);
        let rate = (paths * steps) as f64 / 1e6 / seconds[2];
        println!("{case:8} {rate:7.0} million path-steps a second");
    }
    Ok(())
}
