//! The random bits: Philox4x32-10, a keyed bijection of 128-bit counters.
//!
//! Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.

/// Multipliers of a round (table 2 of the paper).
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// What each half of the key grows by from round to round: the golden ratio and `√3 - 1`.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The four random words that Philox4x32-10 gives for one counter under one key.
///
/// ```
/// // A known answer published with Random123, the authors' library.
/// let words = scorebook::random::philox4x32([0; 4], [0; 2]);
/// assert_eq!(words, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    lanes(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Philox on `L` counters side by side: `counters[w][i]` is word `w` of counter `i`.
///
/// Each word sits in 64 bits, whose upper half is left dirty: that is the operand which vector units multiply, and
/// twice as fast as packing the halves of the products after every round.
#[inline(always)]
pub(super) fn lanes<const L: usize>(counters: [[u32; L]; 4], mut key: [u32; 2]) -> [[u32; L]; 4] {
    const LOW: u64 = 0xFFFF_FFFF;
    // Loops: `array::map` would not be compiled for the instructions of the caller.
    let mut words = [[0u64; L]; 4];
    for (words, counters) in words.iter_mut().zip(&counters) {
        for i in 0..L {
            words[i] = u64::from(counters[i]);
        }
    }
    let [mut a, mut b, mut c, mut d] = words;
    for _ in 0..ROUNDS {
        for i in 0..L {
            let p = (a[i] & LOW) * u64::from(MULTIPLIERS[0]);
            let q = (c[i] & LOW) * u64::from(MULTIPLIERS[1]);
            a[i] = q >> 32 ^ b[i] ^ u64::from(key[0]);
            b[i] = q;
            c[i] = p >> 32 ^ d[i] ^ u64::from(key[1]);
            d[i] = p;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    let mut out = counters;
    for (out, words) in out.iter_mut().zip(&[a, b, c, d]) {
        for i in 0..L {
            out[i] = words[i] as u32;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kat_vectors` of Random123 1.14, the three lines `philox4x32 10`.
    #[test]
    fn known_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([!0; 4], [!0; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox4x32(counter, key), answer);
            assert_eq!(lanes(counter.map(|word| [word; 16]), key), answer.map(|word| [word; 16]));
        }
    }
}
