//! The generator: every value is a function of (seed, stream, position).

use super::{
    normal, philox,
    sequence::{self, Sequence},
};
use crate::{Error, Result};
use candle_core::{DType, Device, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Philox counters hashed side by side: one 512-bit register of words.
const LANES: usize = 16;
/// Values made from one group of counters.
const GROUP: usize = 4 * LANES;

/// What a counter is used for. Each use has counters of its own, so no random bit serves twice.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Use {
    Word,
    Uniform,
    Normal,
    NormalF64,
    Child,
    Split,
    UniformF64,
}

/// A seeded source of random numbers that can be split.
///
/// It is counter-based ([`philox4x32`](super::philox4x32)): the `k`-th value is a function of the seed,
/// the stream and `k` alone. So the same seed gives the same bits on any number of threads, and two
/// draws of 10 numbers give the same as one draw of 20. Streams made by [`split`](Self::split) and
/// [`child`](Self::child) are independent of each other and of their parent; a generator saved with
/// serde goes on where it stopped.
///
/// It implements [`rand::RngCore`], so the distributions of `rand_distr` draw from it too.
///
/// ```
/// use scorebook::{prelude::*, random::Generator};
///
/// let mut generator = Generator::new(7);
/// let z = generator.normal((1000, 2), &Device::Cpu)?;
/// let again = Generator::new(7).normal((1000, 2), &Device::Cpu)?;
/// assert_eq!(z.to_vec2::<f32>()?, again.to_vec2::<f32>()?);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generator {
    key: [u32; 2],
    /// Which of the key's 2⁵⁶ streams this is.
    stream: u64,
    /// Values drawn so far.
    position: u64,
    /// Streams split off so far.
    splits: u64,
    /// The last block of words that `next_u32` took from, and its index.
    #[serde(skip)]
    block: Option<(u64, [u32; 4])>,
}

impl Generator {
    /// The generator of a seed. Different seeds give independent numbers.
    pub fn new(seed: u64) -> Self {
        Self::from_parts([seed as u32, (seed >> 32) as u32], 0)
    }

    fn from_parts(key: [u32; 2], stream: u64) -> Self {
        Self { key, stream, position: 0, splits: 0, block: None }
    }

    /// How many values were drawn so far: where the next draw begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// A new independent generator; the next split gives another one.
    ///
    /// Which numbers it gives depends on how many were split off before, not on how many values were drawn.
    ///
    /// ```
    /// use scorebook::random::Generator;
    ///
    /// let mut generator = Generator::new(7);
    /// let (mut noise, mut times) = (generator.split(), generator.split());
    /// assert_ne!(noise.permutation(20), times.permutation(20));
    /// ```
    pub fn split(&mut self) -> Self {
        let words = self.hash(Use::Split, self.splits);
        self.splits = self.splits.wrapping_add(1);
        Self::from_words(words)
    }

    /// The independent generator number `index`: the same each time it is asked for.
    ///
    /// Numbering the children by what they serve (an epoch, an image) makes a run resumable.
    ///
    /// ```
    /// use scorebook::random::Generator;
    ///
    /// let generator = Generator::new(7);
    /// assert_eq!(generator.child(3).permutation(20), generator.child(3).permutation(20));
    /// assert_ne!(generator.child(3).permutation(20), generator.child(4).permutation(20));
    /// ```
    pub fn child(&self, index: u64) -> Self {
        Self::from_words(self.hash(Use::Child, index))
    }

    fn from_words([a, b, c, d]: [u32; 4]) -> Self {
        Self::from_parts([a, b], u64::from(c) | u64::from(d & 0x00FF_FFFF) << 32)
    }

    /// Independent standard normals, `N(0, I)`, as a tensor of `f32`.
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    pub fn normal(&mut self, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let mut values = vec![0f32; shape.elem_count()];
        self.fill_normal(&mut values);
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// Independent standard normals with the shape, type and device of `x`.
    ///
    /// ```
    /// use scorebook::{prelude::*, random::Generator};
    ///
    /// let x = Tensor::zeros((5, 3), DType::F64, &Device::Cpu)?;
    /// let z = Generator::new(7).normal_like(&x)?;
    /// assert_eq!((z.dims(), z.dtype()), (&[5, 3][..], DType::F64));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the type of `x` is not a float.
    pub fn normal_like(&mut self, x: &Tensor) -> Result<Tensor> {
        if !x.dtype().is_float() {
            return Err(Error::argument("x", x.dtype().as_str(), "a tensor of floats"));
        }
        if x.dtype() == DType::F64 {
            let mut values = vec![0f64; x.elem_count()];
            self.fill_normal_f64(&mut values);
            return Ok(Tensor::from_vec(values, x.shape(), x.device())?);
        }
        Ok(self.normal(x.shape(), x.device())?.to_dtype(x.dtype())?)
    }

    /// Independent uniform numbers in `[low, high)`, as a tensor of `f32`.
    ///
    /// ```
    /// use scorebook::{prelude::*, random::Generator};
    ///
    /// let t = Generator::new(7).uniform(1e-5, 1.0, 64, &Device::Cpu)?;
    /// assert!(t.to_vec1::<f32>()?.iter().all(|t| (1e-5..1.0).contains(t)));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `low < high` does not hold for finite bounds (as `f32`).
    pub fn uniform(
        &mut self,
        low: f64,
        high: f64,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Result<Tensor> {
        let (bottom, top) = (low as f32, high as f32);
        if !(bottom < top && bottom.is_finite() && top.is_finite()) {
            return Err(Error::argument(
                "high",
                high,
                format!("a finite number above `low`, which is {low}"),
            ));
        }
        let shape = shape.into();
        let mut values = vec![0f32; shape.elem_count()];
        self.fill_uniform(&mut values);
        // Rounding may reach `high`, which the interval leaves out.
        let last = top.next_down();
        for u in &mut values {
            *u = ((1.0 - *u) * bottom + *u * top).clamp(bottom, last);
        }
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// A random order of `0..n`, each of the `n!` equally likely; `n` is at most 2³².
    ///
    /// ```
    /// let mut order = scorebook::random::Generator::new(7).permutation(100);
    /// order.sort();
    /// assert_eq!(order, (0..100).collect::<Vec<u32>>());
    /// ```
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).map(|i| i as u32).collect();
        // Fisher and Yates.
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64 + 1) as usize);
        }
        order
    }

    /// A uniform integer below `n` (Lemire, ACM TOMACS 29(1), 2019: a multiplication, rarely a second try).
    fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(rand::RngCore::next_u64(self)) * u128::from(n);
            // The first `2⁶⁴ mod n` low halves would be hit once too often.
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// Fills `out` with independent standard normals.
    ///
    /// ```
    /// use scorebook::random::Generator;
    ///
    /// let (mut whole, mut parts) = ([0.0; 200], [0.0; 200]);
    /// Generator::new(7).fill_normal(&mut whole);
    /// let mut generator = Generator::new(7);
    /// generator.fill_normal(&mut parts[..33]);
    /// generator.fill_normal(&mut parts[33..]);
    /// assert_eq!(whole, parts);
    /// ```
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        let first = self.advance(out.len());
        sequence::fill(&Normals(self), first, out);
    }

    /// Fills `out` with independent standard normals in double precision.
    ///
    /// ```
    /// use scorebook::random::Generator;
    ///
    /// let mut x = vec![0.0; 100_000];
    /// Generator::new(7).fill_normal_f64(&mut x);
    /// let mean = |f: fn(f64) -> f64| x.iter().map(|x| f(*x)).sum::<f64>() / 1e5;
    /// // E x = 0, E x² = 1, E x⁴ = 3, each within five standard errors.
    /// assert!(mean(|x| x).abs() < 5.0 / 1e5f64.sqrt());
    /// assert!((mean(|x| x * x) - 1.0).abs() < 5.0 * (2.0 / 1e5f64).sqrt());
    /// assert!((mean(|x| x.powi(4)) - 3.0).abs() < 5.0 * (96.0 / 1e5f64).sqrt());
    /// ```
    pub fn fill_normal_f64(&mut self, out: &mut [f64]) {
        let first = self.advance(out.len());
        sequence::fill(&NormalsF64(self), first, out);
    }

    /// Fills `out` with independent uniform numbers in `[0, 1)`, multiples of 2⁻²⁴.
    pub fn fill_uniform(&mut self, out: &mut [f32]) {
        let first = self.advance(out.len());
        sequence::fill(&Uniforms(self), first, out);
    }

    /// Fills `out` with independent uniform numbers of the open interval `(0, 1)`, in double precision: odd multiples of
    /// 2⁻⁵³. Neither end is ever reached, so a quantile function may be taken of them.
    ///
    /// ```
    /// use scorebook::random::Generator;
    ///
    /// let mut u = [0.0; 1000];
    /// Generator::new(7).fill_uniform_f64(&mut u);
    /// assert!(u.iter().all(|u| 0.0 < *u && *u < 1.0));
    /// ```
    pub fn fill_uniform_f64(&mut self, out: &mut [f64]) {
        let first = self.advance(out.len());
        sequence::fill(&UniformsF64(self), first, out);
    }

    /// Takes the numbers of the next `count` values; gives the first.
    fn advance(&mut self, count: usize) -> u64 {
        let first = self.position;
        self.position = first.wrapping_add(count as u64);
        first
    }

    /// Takes the next `count` groups of normals, for work that makes them where it needs them.
    ///
    /// They are what [`fill_normal`](Self::fill_normal) would give next, from the next multiple of 64 on.
    pub(crate) fn normal_groups(&mut self, count: u64) -> NormalGroups {
        let first = self.position.div_ceil(GROUP as u64);
        self.position = first.wrapping_add(count).wrapping_mul(GROUP as u64);
        NormalGroups { generator: self.clone(), first }
    }

    /// The random words of the block `index` of a use.
    fn hash(&self, purpose: Use, index: u64) -> [u32; 4] {
        let [low, high] = self.stream_words(purpose);
        philox::philox4x32([index as u32, (index >> 32) as u32, low, high], self.key)
    }

    /// The upper half of the counters: the stream and, in the top byte, the use.
    fn stream_words(&self, purpose: Use) -> [u32; 2] {
        let high = (self.stream >> 32) as u32 & 0x00FF_FFFF;
        [self.stream as u32, high | (purpose as u32) << 24]
    }

    /// The random words of the blocks `LANES group ..LANES (group + 1)` of a use.
    #[inline(always)]
    fn words(&self, purpose: Use, group: u64) -> [[u32; LANES]; 4] {
        let first = group.wrapping_mul(LANES as u64);
        let [low, high] = self.stream_words(purpose);
        // `first` is a multiple of the lanes' number, so the low word never carries.
        let index = std::array::from_fn(|lane| first as u32 | lane as u32);
        philox::lanes([index, [(first >> 32) as u32; LANES], [low; LANES], [high; LANES]], self.key)
    }
}

/// A numbered run of groups of 64 standard normals.
pub(crate) struct NormalGroups {
    generator: Generator,
    first: u64,
}

impl NormalGroups {
    /// Group number `index`. It vectorises only inside [`Vectorised::run`](crate::tensor::lanes::Vectorised).
    #[inline(always)]
    pub(crate) fn group(&self, index: u64) -> [f32; GROUP] {
        Normals(&self.generator).group(self.first.wrapping_add(index))
    }

    /// Fills `out` with the groups from number `index` on.
    pub(crate) fn fill(&self, index: u64, out: &mut [f32]) {
        let first = self.first.wrapping_add(index).wrapping_mul(GROUP as u64);
        sequence::fill(&Normals(&self.generator), first, out);
    }
}

/// Standard normals: 16 Philox blocks are 64 words, which are 32 pairs of normals.
struct Normals<'a>(&'a Generator);

impl Sequence<GROUP> for Normals<'_> {
    type Value = f32;

    #[inline(always)]
    fn group(&self, index: u64) -> [f32; GROUP] {
        let [a, b, c, d] = self.0.words(Use::Normal, index);
        let ((n0, n1), (n2, n3)) = (normal::box_muller(a, b), normal::box_muller(c, d));
        concatenate([n0, n1, n2, n3])
    }
}

struct NormalsF64<'a>(&'a Generator);

impl Sequence<2> for NormalsF64<'_> {
    type Value = f64;

    #[inline(always)]
    fn group(&self, index: u64) -> [f64; 2] {
        let [a, b, c, d] = self.0.hash(Use::NormalF64, index).map(u64::from);
        normal::box_muller_f64(a | b << 32, c | d << 32)
    }
}

struct Uniforms<'a>(&'a Generator);

impl Sequence<GROUP> for Uniforms<'_> {
    type Value = f32;

    #[inline(always)]
    fn group(&self, index: u64) -> [f32; GROUP] {
        let words = self.0.words(Use::Uniform, index);
        // 24 bits, so that 1 is never reached.
        concatenate(words.map(|lane| lane.map(|word| (word >> 8) as f32 * (1.0 / 16_777_216.0))))
    }
}

struct UniformsF64<'a>(&'a Generator);

impl Sequence<{ GROUP / 2 }> for UniformsF64<'_> {
    type Value = f64;

    #[inline(always)]
    fn group(&self, index: u64) -> [f64; GROUP / 2] {
        let [a, b, c, d] = self.0.words(Use::UniformF64, index);
        let uniform = |high: [u32; LANES], low: [u32; LANES]| {
            std::array::from_fn(|i| {
                // 52 bits, from the middle of their cell.
                let cell = u64::from(high[i]) << 20 | u64::from(low[i] >> 12);
                (cell as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
            })
        };
        concatenate([uniform(a, b), uniform(c, d)])
    }
}

#[inline(always)]
fn concatenate<T: Copy + Default, const PARTS: usize, const ALL: usize>(
    lanes: [[T; LANES]; PARTS],
) -> [T; ALL] {
    let mut group = [T::default(); ALL];
    for (part, lanes) in group.chunks_exact_mut(LANES).zip(lanes) {
        part.copy_from_slice(&lanes);
    }
    group
}

impl rand::RngCore for Generator {
    fn next_u32(&mut self) -> u32 {
        let position = self.advance(1);
        let (index, word) = (position / 4, (position % 4) as usize);
        match self.block {
            Some((block, words)) if block == index => words[word],
            _ => {
                let words = self.hash(Use::Word, index);
                self.block = Some((index, words));
                words[word]
            }
        }
    }

    fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_u32().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn same_bits_on_any_number_of_threads() {
        let draw = || {
            let mut generator = Generator::new(3);
            let mut normals = vec![0.0; 100_003];
            generator.fill_normal(&mut normals);
            let mut doubles = vec![0.0; 100_003];
            generator.fill_normal_f64(&mut doubles);
            let mut uniforms = vec![0.0; 100_003];
            generator.fill_uniform(&mut uniforms);
            let mut fine = vec![0.0; 100_003];
            generator.fill_uniform_f64(&mut fine);
            (normals, doubles, uniforms, fine)
        };
        let one = on_threads(1, draw);
        assert!(one == on_threads(2, draw));
        assert!(one == on_threads(8, draw));
    }

    #[test]
    fn same_bits_however_the_draw_is_split() {
        let mut whole = vec![0.0; 50_000];
        Generator::new(3).fill_normal(&mut whole);
        let mut generator = Generator::new(3);
        let (mut parts, mut sizes) = (Vec::new(), [1, 63, 64, 65, 7, 20_000].into_iter().cycle());
        while parts.len() < whole.len() {
            let mut part = vec![0.0; sizes.next().unwrap().min(whole.len() - parts.len())];
            generator.fill_normal(&mut part);
            parts.extend(part);
        }
        assert!(whole == parts);
    }

    /// The values of a seed are part of the interface: shipped weights and figures depend on them.
    /// A second implementation in Python (big integers, `math.log`, `math.cos`) gave the same.
    #[test]
    fn values_are_stable() {
        let mut generator = Generator::new(42);
        let mut normals = [0.0; 4];
        generator.fill_normal(&mut normals);
        assert_eq!(normals, [0.49558842, -0.393916, 1.2891378, -0.51425767]);
        let mut doubles = [0.0; 2];
        generator.fill_normal_f64(&mut doubles);
        for (value, expected) in doubles.into_iter().zip([-0.173801619378443, 2.26540659123149]) {
            assert!((value - expected).abs() < 1e-13, "{value}");
        }
        let mut uniforms = [0.0; 2];
        generator.fill_uniform(&mut uniforms);
        assert_eq!(uniforms, [0.298692, 0.653881]);
        let mut fine = [0.0; 2];
        generator.clone().fill_uniform_f64(&mut fine);
        assert_eq!(fine, [0.14566535496670008, 0.39327454493193936]);
        assert_eq!(generator.next_u32(), 3_547_071_013);
        assert_eq!(generator.split().next_u32(), 3_630_010_793);
        assert_eq!(generator.child(5).next_u32(), 3_776_489_884);
        assert_eq!(Generator::new(42).permutation(8), [0, 5, 7, 4, 6, 1, 2, 3]);
    }

    #[test]
    fn words_follow_the_counter() {
        let mut generator = Generator::new(1 << 40 | 9);
        let words: Vec<u32> = (0..8).map(|_| generator.next_u32()).collect();
        let key = [9, 1 << 8];
        assert_eq!(words[..4], philox::philox4x32([0; 4], key));
        assert_eq!(words[4..], philox::philox4x32([1, 0, 0, 0], key));
    }

    #[test]
    fn goes_on_where_it_was_saved() {
        let mut generator = Generator::new(3).child(1);
        generator.next_u64();
        generator.split();
        let json = serde_json::to_string(&generator).unwrap();
        let mut saved: Generator = serde_json::from_str(&json).unwrap();
        assert_eq!(saved.next_u64(), generator.next_u64());
        assert_eq!(saved.split().next_u64(), generator.split().next_u64());
    }

    #[test]
    fn empty_and_wrong_requests() {
        let (mut generator, device) = (Generator::new(1), Device::Cpu);
        assert_eq!(generator.normal((0, 3), &device).unwrap().dims(), [0, 3]);
        assert!(generator.permutation(0).is_empty());
        for (low, high) in [(1.0, 1.0), (2.0, 1.0), (0.0, f64::NAN), (0.0, 1e39)] {
            let error = generator.uniform(low, high, 3, &device).unwrap_err().to_string();
            assert!(error.contains("expected a finite number above `low`"), "{error}");
        }
        let integers = Tensor::zeros(3, DType::U32, &device).unwrap();
        let error = generator.normal_like(&integers).unwrap_err().to_string();
        assert_eq!(error, "`x` is u32; expected a tensor of floats");
    }
}
