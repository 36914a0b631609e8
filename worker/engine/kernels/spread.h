// Rotates a row by Hadamard matrices before it is quantised, so that no single value decides how
// coarse the steps are.
#pragma once
#include "simd.h"

namespace {

// values that are rotated together
constexpr int kSpread = 64;

template <int Order>
inline __m512 swapped(__m512 x, std::integral_constant<int, Order>) {
  switch (Order) {
    case 0: return _mm512_permute_ps(x, 0b10110001);
    case 1: return _mm512_permute_ps(x, 0b01001110);
    case 2: return _mm512_shuffle_f32x4(x, x, 0b10110001);
    default: return _mm512_shuffle_f32x4(x, x, 0b01001110);
  }
}

// in each pair of lanes that differ in one bit of their number: sum and difference
template <int Order>
inline __m512 butterfly(__m512 x) {
  constexpr __mmask16 second = Order == 0 ? 0xAAAA : Order == 1 ? 0xCCCC : Order == 2 ? 0xF0F0 : 0xFF00;
  const __m512 other = swapped(x, std::integral_constant<int, Order>{});
  return _mm512_mask_sub_ps(_mm512_add_ps(other, x), second, other, x);
}

// 64 values times the Hadamard matrix / 8, which is its own inverse: the products of rotated rows
// are those of the rows
inline void spread_block(const bf16* x, float* y) {
  __m512 part[4];
  for (int i = 0; i < 4; ++i)
    part[i] = butterfly<3>(butterfly<2>(butterfly<1>(butterfly<0>(load16(x + i * 16)))));
  const __m512 eighth = _mm512_set1_ps(0.125f);
  const __m512 a = _mm512_add_ps(part[0], part[1]), b = _mm512_sub_ps(part[0], part[1]);
  const __m512 c = _mm512_add_ps(part[2], part[3]), d = _mm512_sub_ps(part[2], part[3]);
  _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_add_ps(a, c), eighth));
  _mm512_storeu_ps(y + 16, _mm512_mul_ps(_mm512_add_ps(b, d), eighth));
  _mm512_storeu_ps(y + 32, _mm512_mul_ps(_mm512_sub_ps(a, c), eighth));
  _mm512_storeu_ps(y + 48, _mm512_mul_ps(_mm512_sub_ps(b, d), eighth));
}

// rotates a row in blocks; a last part of less than a block stays as it is. Returns the largest
// absolute value, at least 1e-6; width % 16 == 0
float spread_row(const bf16* x, int64_t width, float* y) {
  const int64_t whole = width / kSpread * kSpread;
  for (int64_t i = 0; i < whole; i += kSpread) spread_block(x + i, y + i);
  for (int64_t i = whole; i < width; i += 16) _mm512_storeu_ps(y + i, load16(x + i));
  __m512 peak = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16)
    peak = _mm512_max_ps(peak, _mm512_abs_ps(_mm512_loadu_ps(y + i)));
  return std::max(_mm512_reduce_max_ps(peak), 1e-6f);
}

}  // namespace
