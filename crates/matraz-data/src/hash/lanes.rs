//! MD5 of many streams at once.
//!
//! MD5 is serial within a stream, so one stream cannot be sped up. Different streams are independent: lane `i` of a
//! vector register holds the state of stream `i`, and one instruction does the same step for all. Two groups of
//! lanes are interleaved, because a step waits for the one before it and a single group leaves the units idle.
//!
//! This is the only file of the crate with `unsafe` code: the vector instructions take raw pointers and exist on some
//! processors only. [`Kernel`] is the safe door to it.
#![expect(unsafe_code, reason = "vector instructions are checked at run time and take raw pointers")]

/// Bytes that one step of MD5 takes in.
pub const BLOCK: usize = 64;
/// The largest number of streams that any kernel takes at once.
pub const MAX_LANES: usize = 32;
/// The state before the first block (RFC 1321).
pub const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A way to advance several streams by some blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// One stream, on any processor.
    Scalar,
    /// Eight or sixteen streams in 256-bit registers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Sixteen or thirty-two streams in 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The states of all lanes, word by word as the registers hold them.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct States([[u32; MAX_LANES]; 4]);

impl Default for States {
    fn default() -> Self {
        Self([[0; MAX_LANES]; 4])
    }
}

impl States {
    /// The four words of a lane.
    pub fn get(&self, lane: usize) -> [u32; 4] {
        self.0.map(|word| word[lane])
    }

    /// Replaces the four words of a lane.
    pub fn set(&mut self, lane: usize, words: [u32; 4]) {
        for (row, word) in self.0.iter_mut().zip(words) {
            row[lane] = word;
        }
    }
}

impl Kernel {
    /// The widest kernel that this processor runs.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// All kernels that this processor runs, the narrowest first.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other processors have the scalar one only")]
        let mut kernels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                kernels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                kernels.push(Self::Avx512);
            }
        }
        kernels
    }

    /// Streams in one register; twice as many are the most that are taken at once.
    pub fn width(self) -> usize {
        match self {
            Self::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 16,
        }
    }

    /// The most streams that are worth having open at once.
    pub fn lanes(self) -> usize {
        match self {
            Self::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            _ => 2 * self.width(),
        }
    }

    /// Advances lane `i` by the first `blocks` blocks of `inputs[i]`. Lanes whose input is shorter than that
    /// must not be among the inputs.
    ///
    /// # Panics
    /// When there are more inputs than [`Kernel::lanes`] or one of them is too short.
    pub fn advance(self, states: &mut States, inputs: &[&[u8]], blocks: usize) {
        assert!(inputs.len() <= self.lanes());
        assert!(inputs.iter().all(|input| input.len() / BLOCK >= blocks));
        if blocks == 0 || inputs.is_empty() {
            return;
        }
        // One stream alone is twice as fast without vectors.
        if inputs.len() == 1 {
            let mut words = states.get(0);
            for block in inputs[0].as_chunks::<BLOCK>().0.iter().take(blocks) {
                fast_md5::transform(&mut words, block);
            }
            states.set(0, words);
            return;
        }
        // Unused lanes follow the first input; their states are never looked at.
        let mut pointers = [inputs[0].as_ptr(); MAX_LANES];
        for (pointer, input) in pointers.iter_mut().zip(inputs) {
            *pointer = input.as_ptr();
        }
        let both = inputs.len() > self.width();
        match self {
            Self::Scalar => {}
            // SAFETY: the value exists only when `available` found the feature; every pointer has `blocks` blocks.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe {
                if both {
                    x86::avx2_two(states, &pointers, blocks)
                } else {
                    x86::avx2_one(states, &pointers, blocks)
                }
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe {
                if both {
                    x86::avx512_two(states, &pointers, blocks);
                } else {
                    x86::avx512_one(states, &pointers, blocks);
                }
            },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, MAX_LANES, States};

    /// The steps of MD5 on a register of lanes. Callers must run on a processor that has the instructions.
    trait Register: Copy {
        const LANES: usize;
        unsafe fn splat(word: u32) -> Self;
        unsafe fn load(from: *const u32) -> Self;
        unsafe fn store(self, to: *mut u32);
        unsafe fn plus(self, other: Self) -> Self;
        unsafe fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self;
        unsafe fn f(b: Self, c: Self, d: Self) -> Self;
        unsafe fn g(b: Self, c: Self, d: Self) -> Self;
        unsafe fn h(b: Self, c: Self, d: Self) -> Self;
        unsafe fn i(b: Self, c: Self, d: Self) -> Self;
        /// Word `k` of the block of each lane, for all sixteen `k`.
        unsafe fn transpose(blocks: &[*const u8], offset: usize) -> [Self; 16];
    }

    impl Register for __m256i {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(word: u32) -> Self {
            unsafe { _mm256_set1_epi32(word as i32) }
        }
        #[inline(always)]
        unsafe fn load(from: *const u32) -> Self {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut u32) {
            unsafe { _mm256_storeu_si256(to.cast(), self) }
        }
        #[inline(always)]
        unsafe fn plus(self, other: Self) -> Self {
            unsafe { _mm256_add_epi32(self, other) }
        }
        #[inline(always)]
        unsafe fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
            unsafe { _mm256_or_si256(_mm256_slli_epi32::<LEFT>(self), _mm256_srli_epi32::<RIGHT>(self)) }
        }
        #[inline(always)]
        unsafe fn f(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))) }
        }
        #[inline(always)]
        unsafe fn g(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm256_or_si256(_mm256_and_si256(d, b), _mm256_andnot_si256(d, c)) }
        }
        #[inline(always)]
        unsafe fn h(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm256_xor_si256(b, _mm256_xor_si256(c, d)) }
        }
        #[inline(always)]
        unsafe fn i(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, _mm256_set1_epi32(-1)))) }
        }
        #[inline(always)]
        unsafe fn transpose(blocks: &[*const u8], offset: usize) -> [Self; 16] {
            unsafe {
                let mut words = [_mm256_setzero_si256(); 16];
                for half in 0..2 {
                    let mut r = [_mm256_setzero_si256(); 8];
                    for (row, block) in r.iter_mut().zip(blocks) {
                        *row = _mm256_loadu_si256(block.add(offset + 32 * half).cast());
                    }
                    let mut t = r;
                    for k in 0..4 {
                        t[2 * k] = _mm256_unpacklo_epi32(r[2 * k], r[2 * k + 1]);
                        t[2 * k + 1] = _mm256_unpackhi_epi32(r[2 * k], r[2 * k + 1]);
                    }
                    for k in 0..2 {
                        r[4 * k] = _mm256_unpacklo_epi64(t[4 * k], t[4 * k + 2]);
                        r[4 * k + 1] = _mm256_unpackhi_epi64(t[4 * k], t[4 * k + 2]);
                        r[4 * k + 2] = _mm256_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]);
                        r[4 * k + 3] = _mm256_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]);
                    }
                    for k in 0..4 {
                        words[8 * half + k] = _mm256_permute2x128_si256::<0x20>(r[k], r[k + 4]);
                        words[8 * half + k + 4] = _mm256_permute2x128_si256::<0x31>(r[k], r[k + 4]);
                    }
                }
                words
            }
        }
    }

    impl Register for __m512i {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn splat(word: u32) -> Self {
            unsafe { _mm512_set1_epi32(word as i32) }
        }
        #[inline(always)]
        unsafe fn load(from: *const u32) -> Self {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut u32) {
            unsafe { _mm512_storeu_si512(to.cast(), self) }
        }
        #[inline(always)]
        unsafe fn plus(self, other: Self) -> Self {
            unsafe { _mm512_add_epi32(self, other) }
        }
        #[inline(always)]
        unsafe fn rotate<const LEFT: i32, const RIGHT: i32>(self) -> Self {
            unsafe { _mm512_rol_epi32::<LEFT>(self) }
        }
        // The constants are truth tables over the bits of b, c and d, b the highest.
        #[inline(always)]
        unsafe fn f(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm512_ternarylogic_epi32::<0xca>(b, c, d) }
        }
        #[inline(always)]
        unsafe fn g(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm512_ternarylogic_epi32::<0xe4>(b, c, d) }
        }
        #[inline(always)]
        unsafe fn h(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm512_ternarylogic_epi32::<0x96>(b, c, d) }
        }
        #[inline(always)]
        unsafe fn i(b: Self, c: Self, d: Self) -> Self {
            unsafe { _mm512_ternarylogic_epi32::<0x39>(b, c, d) }
        }
        #[inline(always)]
        unsafe fn transpose(blocks: &[*const u8], offset: usize) -> [Self; 16] {
            unsafe {
                let mut r = [_mm512_setzero_si512(); 16];
                for (row, block) in r.iter_mut().zip(blocks) {
                    *row = _mm512_loadu_si512(block.add(offset).cast());
                }
                let mut t = r;
                for k in 0..8 {
                    t[2 * k] = _mm512_unpacklo_epi32(r[2 * k], r[2 * k + 1]);
                    t[2 * k + 1] = _mm512_unpackhi_epi32(r[2 * k], r[2 * k + 1]);
                }
                for k in 0..4 {
                    r[4 * k] = _mm512_unpacklo_epi64(t[4 * k], t[4 * k + 2]);
                    r[4 * k + 1] = _mm512_unpackhi_epi64(t[4 * k], t[4 * k + 2]);
                    r[4 * k + 2] = _mm512_unpacklo_epi64(t[4 * k + 1], t[4 * k + 3]);
                    r[4 * k + 3] = _mm512_unpackhi_epi64(t[4 * k + 1], t[4 * k + 3]);
                }
                // Now r[4q + k] has, in its quarter j, word 4j + k of the four lanes from 4q on.
                let mut words = r;
                for k in 0..4 {
                    let low_01 = _mm512_shuffle_i32x4::<0x44>(r[k], r[4 + k]);
                    let low_23 = _mm512_shuffle_i32x4::<0x44>(r[8 + k], r[12 + k]);
                    let high_01 = _mm512_shuffle_i32x4::<0xee>(r[k], r[4 + k]);
                    let high_23 = _mm512_shuffle_i32x4::<0xee>(r[8 + k], r[12 + k]);
                    words[k] = _mm512_shuffle_i32x4::<0x88>(low_01, low_23);
                    words[4 + k] = _mm512_shuffle_i32x4::<0xdd>(low_01, low_23);
                    words[8 + k] = _mm512_shuffle_i32x4::<0x88>(high_01, high_23);
                    words[12 + k] = _mm512_shuffle_i32x4::<0xdd>(high_01, high_23);
                }
                words
            }
        }
    }

    /// The steps of one round (RFC 1321, 3.4): function; state words in turn, message word, shift, constant.
    macro_rules! round {
        ($words:ident, $f:ident: $($a:ident $b:ident $c:ident $d:ident $k:literal $s:literal $t:literal,)*) => {$(
            for g in 0..GROUPS {
                let sum = R::$f($b[g], $c[g], $d[g]).plus($a[g].plus($words[g][$k].plus(R::splat($t))));
                $a[g] = sum.rotate::<$s, { 32 - $s }>().plus($b[g]);
            }
        )*};
    }

    #[inline(always)]
    unsafe fn advance<R: Register, const GROUPS: usize>(
        states: &mut States,
        pointers: &[*const u8; MAX_LANES],
        blocks: usize,
    ) {
        unsafe {
            let mut state = [[R::splat(0); GROUPS]; 4];
            for (word, row) in state.iter_mut().zip(&states.0) {
                for (g, register) in word.iter_mut().enumerate() {
                    *register = R::load(row.as_ptr().add(g * R::LANES));
                }
            }
            let [mut a, mut b, mut c, mut d] = state;
            for block in 0..blocks {
                let mut w = [[R::splat(0); 16]; GROUPS];
                for (g, words) in w.iter_mut().enumerate() {
                    *words = R::transpose(&pointers[g * R::LANES..(g + 1) * R::LANES], block * BLOCK);
                }
                let before = [a, b, c, d];
                round!(w, f:
                    a b c d 0 7 0xd76a_a478, d a b c 1 12 0xe8c7_b756, c d a b 2 17 0x2420_70db, b c d a 3 22 0xc1bd_ceee,
                    a b c d 4 7 0xf57c_0faf, d a b c 5 12 0x4787_c62a, c d a b 6 17 0xa830_4613, b c d a 7 22 0xfd46_9501,
                    a b c d 8 7 0x6980_98d8, d a b c 9 12 0x8b44_f7af, c d a b 10 17 0xffff_5bb1, b c d a 11 22 0x895c_d7be,
                    a b c d 12 7 0x6b90_1122, d a b c 13 12 0xfd98_7193, c d a b 14 17 0xa679_438e, b c d a 15 22 0x49b4_0821,
                );
                round!(w, g:
                    a b c d 1 5 0xf61e_2562, d a b c 6 9 0xc040_b340, c d a b 11 14 0x265e_5a51, b c d a 0 20 0xe9b6_c7aa,
                    a b c d 5 5 0xd62f_105d, d a b c 10 9 0x0244_1453, c d a b 15 14 0xd8a1_e681, b c d a 4 20 0xe7d3_fbc8,
                    a b c d 9 5 0x21e1_cde6, d a b c 14 9 0xc337_07d6, c d a b 3 14 0xf4d5_0d87, b c d a 8 20 0x455a_14ed,
                    a b c d 13 5 0xa9e3_e905, d a b c 2 9 0xfcef_a3f8, c d a b 7 14 0x676f_02d9, b c d a 12 20 0x8d2a_4c8a,
                );
                round!(w, h:
                    a b c d 5 4 0xfffa_3942, d a b c 8 11 0x8771_f681, c d a b 11 16 0x6d9d_6122, b c d a 14 23 0xfde5_380c,
                    a b c d 1 4 0xa4be_ea44, d a b c 4 11 0x4bde_cfa9, c d a b 7 16 0xf6bb_4b60, b c d a 10 23 0xbebf_bc70,
                    a b c d 13 4 0x289b_7ec6, d a b c 0 11 0xeaa1_27fa, c d a b 3 16 0xd4ef_3085, b c d a 6 23 0x0488_1d05,
                    a b c d 9 4 0xd9d4_d039, d a b c 12 11 0xe6db_99e5, c d a b 15 16 0x1fa2_7cf8, b c d a 2 23 0xc4ac_5665,
                );
                round!(w, i:
                    a b c d 0 6 0xf429_2244, d a b c 7 10 0x432a_ff97, c d a b 14 15 0xab94_23a7, b c d a 5 21 0xfc93_a039,
                    a b c d 12 6 0x655b_59c3, d a b c 3 10 0x8f0c_cc92, c d a b 10 15 0xffef_f47d, b c d a 1 21 0x8584_5dd1,
                    a b c d 8 6 0x6fa8_7e4f, d a b c 15 10 0xfe2c_e6e0, c d a b 6 15 0xa301_4314, b c d a 13 21 0x4e08_11a1,
                    a b c d 4 6 0xf753_7e82, d a b c 11 10 0xbd3a_f235, c d a b 2 15 0x2ad7_d2bb, b c d a 9 21 0xeb86_d391,
                );
                for g in 0..GROUPS {
                    a[g] = a[g].plus(before[0][g]);
                    b[g] = b[g].plus(before[1][g]);
                    c[g] = c[g].plus(before[2][g]);
                    d[g] = d[g].plus(before[3][g]);
                }
            }
            for (word, row) in [a, b, c, d].into_iter().zip(&mut states.0) {
                for (g, register) in word.into_iter().enumerate() {
                    register.store(row.as_mut_ptr().add(g * R::LANES));
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2_one(states: &mut States, pointers: &[*const u8; MAX_LANES], blocks: usize) {
        unsafe { advance::<__m256i, 1>(states, pointers, blocks) }
    }

    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2_two(states: &mut States, pointers: &[*const u8; MAX_LANES], blocks: usize) {
        unsafe { advance::<__m256i, 2>(states, pointers, blocks) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512_one(states: &mut States, pointers: &[*const u8; MAX_LANES], blocks: usize) {
        unsafe { advance::<__m512i, 1>(states, pointers, blocks) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512_two(states: &mut States, pointers: &[*const u8; MAX_LANES], blocks: usize) {
        unsafe { advance::<__m512i, 2>(states, pointers, blocks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_advances_every_number_of_lanes_as_the_scalar_one() {
        let bytes: Vec<u8> = (0..MAX_LANES * 4 * BLOCK).map(|n| (n * 31 + n / 7) as u8).collect();
        for kernel in Kernel::available() {
            for lanes in 1..=kernel.lanes() {
                for blocks in 0..=3 {
                    let inputs: Vec<&[u8]> = bytes.chunks(4 * BLOCK).take(lanes).collect();
                    let mut states = States::default();
                    for lane in 0..lanes {
                        states.set(lane, [lane as u32, 1, 2, 3]);
                    }
                    kernel.advance(&mut states, &inputs, blocks);
                    for (lane, input) in inputs.iter().enumerate() {
                        let mut expected = [lane as u32, 1, 2, 3];
                        for block in input.as_chunks::<BLOCK>().0.iter().take(blocks) {
                            fast_md5::transform(&mut expected, block);
                        }
                        assert_eq!(
                            states.get(lane),
                            expected,
                            "{kernel:?}, lane {lane} of {lanes}, {blocks} blocks"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "blocks")]
    fn an_input_that_is_too_short_is_refused() {
        Kernel::Scalar.advance(&mut States::default(), &[&[0; 100]], 2);
    }
}
