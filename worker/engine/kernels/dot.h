// The micro-kernel of all matrix products, and its step for each instruction set.
//
// It multiplies a tile of up to kRows rows by kColumns columns, over groups of 4 bytes (2 bfloat16
// or 4 int8). Its right side is packed in panels [groups][kColumns][4 bytes], so that it is read in
// sequence; its left side stays row-major. Where a CPU has no products of bfloat16, both are widened
// to float32: the left side beforehand, the right side in registers.
#pragma once
#include "simd.h"

namespace {

// a group of the left side in all lanes
inline Words load_group(const char* p) {
  uint32_t x;
  std::memcpy(&x, p, 4);
  return fill(x);
}

struct Bf16Dot {
  using Sum = Floats;
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  using Left = bf16;
  using Part = Words;
  static constexpr int kSteps = 1;
  static inline Part left(const char* p, int) { return load_group(p); }
  static inline Part right(const char* p, int) { return load_as<Words>(p); }
  static inline Sum add(Sum sum, Part left, Part right) {
#if defined(__AVX512BF16__)
    return _mm512_dpbf16_ps(sum, (__m512bh)left, (__m512bh)right);
#else
    return vbfdotq_f32(sum, (bfloat16x8_t)left, (bfloat16x8_t)right);
#endif
  }
#else
  using Left = float;
  using Part = Floats;
  // first the even values of a group, then the odd ones
  static constexpr int kSteps = 2;
  static inline Part left(const char* p, int step) {
    float x;
    std::memcpy(&x, p + 4 * step, 4);
    return fill(x);
  }
  static inline Part right(const char* p, int step) {
    const Words pair = load_as<Words>(p);
    return (Floats)(step ? pair & 0xffff0000u : pair << 16);
  }
  static inline Sum add(Sum sum, Part left, Part right) { return fma(left, right, sum); }
#endif
  static constexpr int kLeftBytes = 2 * sizeof(Left);
};

// a row of the left side of Bf16Dot
inline void copy_row(const bf16* x, int64_t width, bf16* out) { std::memcpy(out, x, width * 2); }
inline void copy_row(const bf16* x, int64_t width, float* out) {
  for (int64_t i = 0; i < width; i += kLanes) store(out + i, load(x + i));
}

// Four products of 8 bits are added to each sum. One side has no signs: on x86 the activations,
// shifted by kZeroPoint; on ARM both sides have signs. Without VNNI two products are first added in
// 16 bits, which hold them only where neighbouring weights are small enough; see kPairs.
struct Int8Dot {
  using Sum = Ints;
  using Part = Words;
  static constexpr int kSteps = 1, kLeftBytes = 4;
#if defined(__ARM_NEON)
  static constexpr int kZeroPoint = 0;
#else
  static constexpr int kZeroPoint = 128;
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_NEON)
  static constexpr bool kPairs = false;
#else
  static constexpr bool kPairs = true;
#endif
  static inline Part left(const char* p, int) { return load_group(p); }
  static inline Part right(const char* p, int) { return load_as<Words>(p); }
  static inline Sum add(Sum sum, Part left, Part right) { return add_products(sum, left, right); }

  // the first factor has no signs
  static inline Sum add_products(Sum sum, Part plain, Part with_signs) {
#if defined(__AVX512VNNI__)
    // the intrinsic makes GCC 12 copy the sum before each use, which halves the speed
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(plain), "v"(with_signs));
    return sum;
#elif defined(__AVXVNNI__)
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(plain), "x"(with_signs));
    return sum;
#elif defined(__AVX512BW__)
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)plain, (__m512i)with_signs);
    return sum + (Ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)plain, (__m256i)with_signs);
    return sum + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    return vdotq_s32(sum, (int8x16_t)plain, (int8x16_t)with_signs);
#endif
  }
};

// Into the second-level cache: the first one has too few slots for lines that take long to use up.
template <int Bytes = kColumns * 4>
inline void prefetch(const char* panel) {
  constexpr int kAhead = 16384;
  for (int at = 0; at < Bytes; at += 64) __builtin_prefetch(panel + kAhead + at, 0, 2);
}

// sums[r][c] += left[r] . panel[c] over `groups`; `stride` is bytes between left rows
template <class Dot, int R>
inline __attribute__((always_inline)) void dot_tile(const char* left, int64_t stride,
                                                    const char* panel, int64_t groups,
                                                    typename Dot::Sum (&sums)[R][kVectors]) {
  for (int64_t g = 0; g < groups; ++g, panel += kColumns * 4, left += Dot::kLeftBytes) {
    prefetch(panel);
#pragma GCC unroll 2
    for (int step = 0; step < Dot::kSteps; ++step) {
      typename Dot::Part right[kVectors];
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) right[c] = Dot::right(panel + c * kLanes * 4, step);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const typename Dot::Part group = Dot::left(left + r * stride, step);
#pragma GCC unroll 4
        for (int c = 0; c < kVectors; ++c) sums[r][c] = Dot::add(sums[r][c], group, right[c]);
      }
    }
  }
}

// rows of sums, `sums_stride` bytes apart, = left . panel, or are increased by it. Compiled once for
// each number of rows: callers differ in what they do with the sums only.
template <class Dot, int R>
__attribute__((noinline)) void multiply_rows(const char* left, int64_t stride, const char* panel,
                                             int64_t groups, char* to, int64_t sums_stride,
                                             bool add) {
  using Sum = typename Dot::Sum;
  Sum sums[R][kVectors] = {};
  if (add)
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c)
        sums[r][c] = load_as<Sum>(to + r * sums_stride + c * sizeof(Sum));
  dot_tile<Dot, R>(left, stride, panel, groups, sums);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c)
      store_as(to + r * sums_stride + c * sizeof(Sum), sums[r][c]);
}

// pairs of bfloat16 values of two rows in memory, for products along the rows
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
using Pairs = Words;
inline Pairs load_pairs(const bf16* p) { return load_as<Words>(p); }
inline Floats add_pairs(Floats sum, Pairs a, Pairs b) { return Bf16Dot::add(sum, a, b); }
#else
struct Pairs {
  Floats even, odd;
};
inline Pairs load_pairs(const bf16* p) {
  const Words both = load_as<Words>(p);
  return {(Floats)(both << 16), (Floats)(both & 0xffff0000u)};
}
inline Floats add_pairs(Floats sum, const Pairs& a, const Pairs& b) {
  return fma(a.odd, b.odd, fma(a.even, b.even, sum));
}
#endif

}  // namespace
