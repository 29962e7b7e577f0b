//! The random numbers of one chain.

use crate::random::Generator;

/// The random numbers of one chain: a stream of its own, so that neither threads nor other chains change them.
///
/// It also implements [`rand::RngCore`], for the distributions of `rand_distr`.
///
/// ```
/// use scorebook::{markov::Noise, random::Generator};
///
/// let mut noise = Noise::new(&Generator::new(7));
/// let n = 100_000;
/// let (mut squares, mut below) = (0.0, 0);
/// for _ in 0..n {
///     squares += noise.normal().powi(2);
///     below += usize::from(noise.uniform() < 0.25);
/// }
/// assert!((squares / n as f64 - 1.0).abs() < 0.03);
/// assert!((below as f64 / n as f64 - 0.25).abs() < 0.01);
/// ```
#[derive(Clone, Debug)]
pub struct Noise {
    normals: Buffered<f32, 64>,
    uniforms: Buffered<f64, 32>,
    words: Generator,
}

/// Values are made by groups of the generator's own size: one at a time they would cost many times as much.
#[derive(Clone, Debug)]
struct Buffered<T, const N: usize> {
    generator: Generator,
    values: [T; N],
    used: usize,
}

impl<T: Copy + Default, const N: usize> Buffered<T, N> {
    fn new(generator: Generator) -> Self {
        Self { generator, values: [T::default(); N], used: N }
    }

    #[inline]
    fn next(&mut self, fill: impl FnOnce(&mut Generator, &mut [T])) -> T {
        if self.used == N {
            fill(&mut self.generator, &mut self.values);
            self.used = 0;
        }
        self.used += 1;
        self.values[self.used - 1]
    }
}

impl Noise {
    /// The numbers that belong to a generator.
    pub fn new(generator: &Generator) -> Self {
        Self {
            normals: Buffered::new(generator.child(0)),
            uniforms: Buffered::new(generator.child(1)),
            words: generator.child(2),
        }
    }

    /// A standard normal number, drawn in single precision.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        f64::from(self.normals.next(Generator::fill_normal))
    }

    /// A uniform number of the open interval `(0, 1)`.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        self.uniforms.next(Generator::fill_uniform_f64)
    }
}

impl rand::RngCore for Noise {
    fn next_u32(&mut self) -> u32 {
        self.words.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.words.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.words.fill_bytes(bytes);
    }
}
