// Vectors of float32 in the width of the CPU, and what all kernels do with them.
//
// Everything is written once over `Floats`, `Ints` and `Words`, which hold kLanes values of four
// bytes; compilers turn their operators into instructions. Only what they do badly is written for
// each instruction set.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#else
#error "needs AVX2 or NEON"
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kVectors = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kVectors = 2;
#else
constexpr int kLanes = 4, kVectors = 4;
#endif
// of the tile that the micro-kernel computes: what the registers hold
constexpr int kColumns = kLanes * kVectors;
constexpr int kRows = 6;

using bf16 = uint16_t;
typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
typedef uint16_t Halves __attribute__((vector_size(kLanes * 2)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes)));

// set for each region, because OpenMP's own setting holds for the calling thread only
int threads = 1;

template <class Vector>
inline Vector load_as(const void* p) {
  Vector x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
template <class Vector>
inline void store_as(void* p, Vector x) {
  std::memcpy(p, &x, sizeof x);
}

inline Floats fill(float x) { return x - Floats{}; }
inline Words fill(uint32_t x) { return x - Words{}; }
inline Ints fill(int32_t x) { return x - Ints{}; }

// a * b + c, rounded once
inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return vfmaq_f32(c, a, b);
#endif
}
// where one is no number, the second
inline Floats max(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
inline Floats min(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}
// 1 / x for 1 <= x <= 2^126; relative error below 1e-6
inline Floats reciprocal(Floats x) {
#if defined(__AVX512F__)
  const Floats guess = _mm512_rcp14_ps(x);
  return guess * (2.f - x * guess);
#else
  return 1.f / x;
#endif
}
// y where x >= limit, else 0
inline Floats keep_from(Floats x, float limit, Floats y) {
#if defined(__AVX512F__)
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, fill(limit), _CMP_GE_OQ), y);
#else
  return (Floats)((Ints)(x >= fill(limit)) & (Ints)y);
#endif
}

// bfloat16 values without their lower halves
inline Words load_words(const bf16* p) {
  const Halves x = load_as<Halves>(p);
#if defined(__AVX512F__)
  return (Words)_mm512_cvtepu16_epi32((__m256i)x);
#elif defined(__AVX2__)
  return (Words)_mm256_cvtepu16_epi32((__m128i)x);
#else
  return (Words)vmovl_u16((uint16x4_t)x);
#endif
}
inline Floats load(const float* p) { return load_as<Floats>(p); }
inline Floats load(const bf16* p) { return (Floats)(load_words(p) << 16); }

inline Halves narrow(Floats x) {
#if defined(__AVX512BF16__)
  return (Halves)_mm512_cvtneps_pbh(x);
#else
  const Words bits = (Words)x;
  const Words even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  // rounding would turn some of those that are no number into infinities or zeros
  const Words rounded = x == x ? even : fill(0x7fc0u);
#if defined(__AVX512F__)
  return (Halves)_mm512_cvtepi32_epi16((__m512i)rounded);
#elif defined(__AVX2__)
  return (Halves)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)rounded),
                                  _mm256_extracti128_si256((__m256i)rounded, 1));
#else
  return (Halves)vmovn_u32((uint32x4_t)rounded);
#endif
#endif
}
inline void store(float* p, Floats x) { store_as(p, x); }
inline void store(bf16* p, Floats x) { store_as(p, narrow(x)); }

// the lowest bytes of each value
inline Bytes lowest_bytes(Ints x) {
#if defined(__AVX512F__)
  return (Bytes)_mm512_cvtepi32_epi8((__m512i)x);
#else
  return __builtin_convertvector(x, Bytes);
#endif
}

// Four vectors as bytes, the nearest of 255 (of 127 on ARM) where they are larger. Groups of four
// bytes come lane by lane of 16 bytes, in each lane one of every vector.
inline void store_narrowed(void* to, Ints a, Ints b, Ints c, Ints d) {
#if defined(__AVX512F__)
  store_as(to, _mm512_packus_epi16(_mm512_packs_epi32((__m512i)a, (__m512i)b),
                                   _mm512_packs_epi32((__m512i)c, (__m512i)d)));
#elif defined(__AVX2__)
  store_as(to, _mm256_packus_epi16(_mm256_packs_epi32((__m256i)a, (__m256i)b),
                                   _mm256_packs_epi32((__m256i)c, (__m256i)d)));
#else
  const int16x8_t low = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
  const int16x8_t high = vcombine_s16(vqmovn_s32(c), vqmovn_s32(d));
  store_as(to, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
#endif
}

template <int... From>
inline Words pick(Words a, Words b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, From...);
#else
  return __builtin_shuffle(a, b, Words{From...});
#endif
}
template <int Distance, int... Lane>
inline void swap_corners(Words (&rows)[kLanes], std::integer_sequence<int, Lane...>) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & Distance) continue;
    const Words a = rows[i], b = rows[i | Distance];
    rows[i] = pick<(Lane & Distance ? kLanes + (Lane ^ Distance) : Lane)...>(a, b);
    rows[i | Distance] = pick<(Lane & Distance ? kLanes + Lane : Lane ^ Distance)...>(a, b);
  }
}
// rows of a square of values of four bytes become columns
template <int Distance = kLanes / 2>
inline void transpose(Words (&rows)[kLanes]) {
  swap_corners<Distance>(rows, std::make_integer_sequence<int, kLanes>{});
  if constexpr (Distance > 1) transpose<Distance / 2>(rows);
}

// lanes whose numbers differ in the bit `Distance`, exchanged
template <int Distance, class Vector, int... Lane>
inline Vector exchange(Vector x, std::integer_sequence<int, Lane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(x, x, (Lane ^ Distance)...);
#else
  return __builtin_shuffle(x, Ints{(Lane ^ Distance)...});
#endif
}
template <int Distance, class Vector>
inline Vector exchanged(Vector x) {
  return exchange<Distance>(x, std::make_integer_sequence<int, kLanes>{});
}
// all lanes joined into one value
template <int Distance = kLanes / 2, class Vector, class Join>
inline auto reduce(Vector x, Join join) {
  x = join(x, exchanged<Distance>(x));
  if constexpr (Distance > 1)
    return reduce<Distance / 2>(x, join);
  else
    return x[0];
}
template <class Vector>
inline auto sum_of(Vector x) {
  return reduce(x, [](Vector a, Vector b) { return a + b; });
}
inline float max_of(Floats x) {
  return reduce(x, [](Floats a, Floats b) { return max(a, b); });
}
// the largest absolute value, or what is no number. As integers, absolute values keep their order,
// and those that are no number come last.
struct Peak {
  Ints bits = {};
  inline void see(Floats x) {
    const Ints size = (Ints)x & 0x7fffffff;
    bits = size > bits ? size : bits;
  }
  inline float value() const {
    const int32_t highest = reduce(bits, [](Ints a, Ints b) { return a > b ? a : b; });
    float x;
    std::memcpy(&x, &highest, 4);
    return x;
  }
};

// the nearest whole number; halves go to the even one
inline Ints nearest(Floats x) {
#if defined(__AVX512F__)
  return (Ints)_mm512_cvtps_epi32(x);
#elif defined(__AVX2__)
  return (Ints)_mm256_cvtps_epi32(x);
#else
  return (Ints)vcvtnq_s32_f32(x);
#endif
}

// 2^x for x <= 126; relative error below 3e-7
inline Floats exp2_of(Floats x) {
  x = max(x, fill(-126.f));
  // its last bits are the nearest whole number
  const Floats shifted = x + 12582912.f;
  const Floats part = x - (shifted - 12582912.f);
  Floats y = fill(1.535336188319500e-4f);
  y = fma(y, part, fill(1.339887440266574e-3f));
  y = fma(y, part, fill(9.618437357674640e-3f));
  y = fma(y, part, fill(5.550332471162809e-2f));
  y = fma(y, part, fill(2.402264791363012e-1f));
  y = fma(y, part, fill(6.931472028550421e-1f));
  y = fma(y, part, fill(1.f));
  return (Floats)((Words)y + ((Words)shifted << 23));
}
constexpr float kLog2e = 1.4426950408889634f;

// x * sigmoid(slope)
inline Floats swish(Floats x, Floats slope) {
  const Floats decay = exp2_of(min(slope * -kLog2e, fill(126.f)));
  return x * reciprocal(decay + 1.f);
}
inline Floats gelu_tanh(Floats x) {
  const Floats inner = fma(x * x, fill(0.044715f), fill(1.f));
  return swish(x, x * inner * 1.5957691216057308f);
}

// body(number of rows), as a constant from 1 to Most; `rows` may be more
template <int Most = kRows, class Body>
inline __attribute__((always_inline)) void with_rows(int64_t rows, Body body) {
  if constexpr (Most > 1)
    if (rows < Most) return with_rows<Most - 1>(rows, body);
  body(std::integral_constant<int, Most>{});
}

struct Share {
  int64_t first, end;
};
inline Share share(int64_t count) {
  const int64_t all = omp_get_num_threads(), me = omp_get_thread_num();
  return {count * me / all, count * (me + 1) / all};
}

float sum_squares(const bf16* x, int64_t width) {
  Floats sum = {};
  for (int64_t i = 0; i < width; i += kLanes) {
    const Floats v = load(x + i);
    sum = fma(v, v, sum);
  }
  return sum_of(sum);
}

// rotary embedding of one head: its halves are a pair, turned by cosine and sine rows of `width`
template <class Angle, class Out>
inline void rotate(const float* x, const Angle* cosine, const Angle* sine, int64_t width,
                   Out* out) {
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; i += kLanes) {
    const Floats low = load(x + i), high = load(x + half + i);
    const Floats c = load(cosine + i), s = load(sine + i);
    store(out + i, fma(low, c, -(high * s)));
    store(out + half + i, fma(high, c, low * s));
  }
}

}  // namespace
