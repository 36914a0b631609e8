// bfloat16, exponentials, and the micro-kernel of all matrix products.
//
// The micro-kernel multiplies a tile of up to 6 rows by 64 columns, over groups of 4 bytes
// (2 bfloat16 or 4 int8). Its right side is packed in panels [groups][64 columns][4 bytes], so
// that it is read in sequence; its left side stays row-major.
#pragma once
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using bf16 = uint16_t;
constexpr int kLanes = 16;
constexpr int kColumns = 64;
constexpr int kRows = 6;
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
// set for each region, because OpenMP's own setting holds for the calling thread only
int threads = 1;

inline __m512 widen(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
inline __m512 load16(const bf16* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }
inline void store16(bf16* p, __m512 x) {
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(x));
}
// 2^x for x <= 126; relative error below 3e-7
inline __m512 exp2_ps(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-126.f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 part = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(1.535336188319500e-4f);
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.339887440266574e-3f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(9.618437357674640e-3f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(5.550332471162809e-2f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(2.402264791363012e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(6.931472028550421e-1f));
  y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(1.f));
  return _mm512_scalef_ps(y, whole);
}
constexpr float kLog2e = 1.4426950408889634f;

// x * sigmoid(slope)
inline __m512 swish(__m512 x, __m512 slope) {
  const __m512 decay = exp2_ps(_mm512_min_ps(
      _mm512_mul_ps(slope, _mm512_set1_ps(-kLog2e)), _mm512_set1_ps(126.f)));
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.f), decay));
}
inline __m512 gelu_tanh(__m512 x) {
  const __m512 square = _mm512_mul_ps(x, x);
  const __m512 inner = _mm512_fmadd_ps(square, _mm512_set1_ps(0.044715f), _mm512_set1_ps(1.f));
  return swish(x, _mm512_mul_ps(_mm512_mul_ps(x, inner), _mm512_set1_ps(1.5957691216057308f)));
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

struct Bf16Dot {
  using Sum = __m512;
  static inline Sum zero() { return _mm512_setzero_ps(); }
  static inline Sum add(Sum sum, __m512i left, __m512i right) {
    return _mm512_dpbf16_ps(sum, (__m512bh)left, (__m512bh)right);
  }
};
struct Int8Dot {
  using Sum = __m512i;
  static inline Sum zero() { return _mm512_setzero_si512(); }
  static inline Sum add(Sum sum, __m512i left, __m512i right) {
    // the intrinsic makes GCC 12 copy the sum before each use, which halves the speed
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(left), "v"(right));
    return sum;
  }
};

// sums[r][c] += left[r] . panel[c] over `groups`; `stride` is bytes between left rows
template <class Dot, int R>
inline __attribute__((always_inline)) void dot_tile(const char* left, int64_t stride,
                                                    const char* panel, int64_t groups,
                                                    typename Dot::Sum (&sums)[R][4]) {
  for (int64_t g = 0; g < groups; ++g, panel += 256, left += 4) {
    if (R <= 2) _mm_prefetch(panel + 4096, _MM_HINT_T0), _mm_prefetch(panel + 4160, _MM_HINT_T0),
                _mm_prefetch(panel + 4224, _MM_HINT_T0), _mm_prefetch(panel + 4288, _MM_HINT_T0);
    const __m512i right[4] = {_mm512_loadu_si512(panel), _mm512_loadu_si512(panel + 64),
                              _mm512_loadu_si512(panel + 128), _mm512_loadu_si512(panel + 192)};
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m512i pair = _mm512_set1_epi32(*(const int32_t*)(left + r * stride));
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) sums[r][c] = Dot::add(sums[r][c], pair, right[c]);
    }
  }
}

template <class Body>
inline __attribute__((always_inline)) void with_rows(int64_t rows, Body body) {
  switch (rows) {
    case 1: body(std::integral_constant<int, 1>{}); break;
    case 2: body(std::integral_constant<int, 2>{}); break;
    case 3: body(std::integral_constant<int, 3>{}); break;
    case 4: body(std::integral_constant<int, 4>{}); break;
    case 5: body(std::integral_constant<int, 5>{}); break;
    default: body(std::integral_constant<int, 6>{});
  }
}

struct Share {
  int64_t first, end;
};
inline Share share(int64_t count) {
  const int64_t all = omp_get_num_threads(), me = omp_get_thread_num();
  return {count * me / all, count * (me + 1) / all};
}

float sum_squares(const bf16* x, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16) {
    const __m512 v = load16(x + i);
    sum = _mm512_fmadd_ps(v, v, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

inline __m512 load_angle(const float* p) { return _mm512_loadu_ps(p); }
inline __m512 load_angle(const bf16* p) { return load16(p); }
// rotary embedding of one head: its halves are a pair, turned by cosine and sine rows of `width`
template <class Angle>
inline void rotate(const float* x, const Angle* cosine, const Angle* sine, int64_t width,
                   bf16* out) {
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; i += 16) {
    const __m512 low = _mm512_loadu_ps(x + i), high = _mm512_loadu_ps(x + half + i);
    const __m512 c = load_angle(cosine + i), s = load_angle(sine + i);
    store16(out + i, _mm512_fmsub_ps(low, c, _mm512_mul_ps(high, s)));
    store16(out + half + i, _mm512_fmadd_ps(high, c, _mm512_mul_ps(low, s)));
  }
}

}  // namespace
