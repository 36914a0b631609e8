// Rotates a row by Hadamard matrices before it is quantised, so that no single value decides how
// coarse the steps are.
#pragma once
#include "simd.h"

namespace {

// values that are rotated together
constexpr int kSpread = 64;

// in each pair of lanes whose numbers differ in the bit `Distance`: sum and difference
template <int Distance, int... Lane>
inline Floats butterfly(Floats x, std::integer_sequence<int, Lane...>) {
  const Floats signs = {(Lane & Distance ? -1.f : 1.f)...};
  return fma(x, signs, exchanged<Distance>(x));
}
template <int Distance = 1>
inline Floats spread_lanes(Floats x) {
  if constexpr (Distance == kLanes)
    return x;
  else
    return spread_lanes<2 * Distance>(
        butterfly<Distance>(x, std::make_integer_sequence<int, kLanes>{}));
}

// 64 values times the Hadamard matrix / 8, which is its own inverse: the products of rotated rows
// are those of the rows
template <class In>
inline void spread_block(const In* x, float* y) {
  constexpr int kParts = kSpread / kLanes;
  Floats part[kParts];
#pragma GCC unroll 16
  for (int i = 0; i < kParts; ++i) part[i] = spread_lanes(load(x + i * kLanes));
#pragma GCC unroll 4
  for (int distance = 1; distance < kParts; distance *= 2)
#pragma GCC unroll 16
    for (int i = 0; i < kParts; ++i)
      if (!(i & distance)) {
        const Floats a = part[i], b = part[i + distance];
        part[i] = a + b;
        part[i + distance] = a - b;
      }
#pragma GCC unroll 16
  for (int i = 0; i < kParts; ++i) store(y + i * kLanes, part[i] * 0.125f);
}

// rotates a row in blocks; a last part of less than a block stays as it is. Returns the largest
// absolute value, at least 1e-6, or what is no number; width % 16 == 0
float spread_row(const bf16* x, int64_t width, float* y) {
  const int64_t whole = width / kSpread * kSpread;
  for (int64_t i = 0; i < whole; i += kSpread) spread_block(x + i, y + i);
  for (int64_t i = whole; i < width; i += kLanes) store(y + i, load(x + i));
  Peak peak;
  for (int64_t i = 0; i < width; i += kLanes) peak.see(load(y + i));
  return std::max(peak.value(), 1e-6f);
}

}  // namespace
