// Linear layers over packed weights: in bfloat16, and in int8 with one scale a row.
#pragma once
#include "spread.h"
#include "tiles.h"

namespace {

// rows and groups that are computed while their panel is in the cache
constexpr int64_t kRowBlock = 480;
constexpr int64_t kGroupBlock = 1024;

enum Activation { kNone = 0, kGelu = 1, kSwiglu = 2 };

struct Linear {
  const char* panels;
  int64_t outputs, bytes;   // bytes of one output's weights
  const float* bias;        // per output, or null
  const float* scale;       // int8 and int4: per output
  const int32_t* offset;    // int8 only: kZeroPoint * sum of the output's weights
  int64_t activation;
  int64_t wide;             // y is float32, and a residual is ignored
};

inline Floats to_real(Floats sum, const Linear&, int64_t, const float*) { return sum; }
inline Floats to_real(Ints sum, const Linear& linear, int64_t column, const float* row_scale) {
  const Ints centered = sum - load_as<Ints>(linear.offset + column);
  return __builtin_convertvector(centered, Floats) * (load(linear.scale + column) * *row_scale);
}

// the first `count` of a vector's values, plus a residual
inline void put(bf16* out, const bf16* residual, Floats x, int64_t count) {
  if (count >= kLanes) {
    if (residual) x += load(residual);
    store(out, x);
    return;
  }
  const size_t bytes = std::max<int64_t>(count, 0) * sizeof(bf16);
  bf16 part[kLanes] = {};
  if (residual) {
    std::memcpy(part, residual, bytes);
    x += load(part);
  }
  store(part, x);
  std::memcpy(out, part, bytes);
}

inline void put(float* out, const bf16*, Floats x, int64_t count) {
  std::memcpy(out, &x, std::clamp<int64_t>(count, 0, kLanes) * sizeof(float));
}

// one row of a finished tile: scale, bias, activation, residual, rounding
template <class Sum, class Out>
__attribute__((noinline)) void finish_row(const Linear& linear, int64_t panel, const Sum* sums,
                                          const float* row_scale, Out* y_row,
                                          const bf16* residual_row) {
  Floats x[kVectors];
#pragma GCC unroll 4
  for (int c = 0; c < kVectors; ++c) {
    const int64_t column = panel * kColumns + c * kLanes;
    x[c] = to_real(sums[c], linear, column, row_scale);
    if (linear.bias) x[c] += load(linear.bias + column);
  }
  if (linear.activation == kSwiglu) {
    constexpr int kGates = kVectors / 2;
    for (int c = 0; c < kGates; ++c)
      put(y_row + panel * kColumns / 2 + c * kLanes, nullptr, swish(x[c], x[c]) * x[c + kGates],
          kLanes);
    return;
  }
  for (int c = 0; c < kVectors; ++c) {
    const int64_t column = panel * kColumns + c * kLanes;
    if (linear.activation == kGelu) x[c] = gelu_tanh(x[c]);
    put(y_row + column, residual_row ? residual_row + column : nullptr, x[c],
        linear.outputs - column);
  }
}

// all rows of one panel; long inner dimensions go in blocks, with sums kept in `parked`
template <class Dot, class Out>
void run_panel(const Linear& linear, int64_t panel, const char* left, const float* row_scales,
               int64_t rows, Out* y, int64_t y_width, const bf16* residual,
               std::vector<typename Dot::Sum>& parked) {
  using Sum = typename Dot::Sum;
  constexpr int64_t kGroupBytes = kColumns * 4;
  const int64_t groups = linear.bytes / 4, stride = groups * Dot::kLeftBytes;
  const char* packed = linear.panels + panel * groups * kGroupBytes;
  for (int64_t m0 = 0; m0 < rows; m0 += kRowBlock) {
    const int64_t m1 = std::min(rows, m0 + kRowBlock);
    for (int64_t g0 = 0; g0 < groups; g0 += kGroupBlock) {
      const int64_t block = std::min(groups - g0, kGroupBlock);
      const bool last = g0 + block == groups;
      for (int64_t m = m0; m < m1; m += kRows) {
        // sums that nothing is added to are done with before the next rows
        Sum* sums = parked.data() + (groups > kGroupBlock ? (m - m0) * kVectors : 0);
        const int64_t count = std::min<int64_t>(m1 - m, kRows);
        with_rows(count, [&](auto R) {
          multiply_rows<Dot, decltype(R)::value>(left + m * stride + g0 * Dot::kLeftBytes, stride,
                                                 packed + g0 * kGroupBytes, block, (char*)sums,
                                                 kVectors * sizeof(Sum), g0 > 0);
        });
        for (int64_t r = 0; last && r < count; ++r)
          finish_row(linear, panel, sums + r * kVectors, row_scales + m + r, y + (m + r) * y_width,
                     residual ? residual + (m + r) * y_width : nullptr);
      }
    }
  }
}

// the same by tiles, whose sums need no parking
template <class Dot, class Out>
void run_tiled_panel(const Linear& linear, int64_t panel, const char* left, const float* row_scales,
                     int64_t rows, Out* y, int64_t y_width, const bf16* residual) {
  const int64_t groups = linear.bytes / 4, stride = groups * Dot::kLeftBytes;
  const char* packed = linear.panels + panel * groups * kColumns * 4;
  for (int64_t m = 0; m < rows; m += kTwoTiles) {
    const int64_t count = std::min<int64_t>(kTwoTiles, rows - m);
    typename Dot::Sum sums[kTwoTiles][kVectors];
    multiply_tiles<Dot>(left + m * stride, stride, count, packed, groups, sums, sizeof *sums, false);
    for (int64_t r = 0; r < count; ++r)
      finish_row(linear, panel, sums[r], row_scales + m + r, y + (m + r) * y_width,
                 residual ? residual + (m + r) * y_width : nullptr);
  }
}

// rows in blocks that stay in the cache while all panels pass: tiles are faster than what is behind
template <class Dot, class Out>
void run_tiled_panels(const Linear& linear, const char* left, const float* row_scales, int64_t rows,
                      Out* y, int64_t y_width, const bf16* residual) {
  constexpr int64_t kCachedBytes = 1 << 20;
  const int64_t stride = linear.bytes / 4 * Dot::kLeftBytes;
  const int64_t block = std::max<int64_t>(1, kCachedBytes / (stride * kTwoTiles)) * kTwoTiles;
  const Share mine = share((linear.outputs + kColumns - 1) / kColumns);
  for (int64_t m = 0; m < rows; m += block)
    for (int64_t panel = mine.first; panel < mine.end; ++panel)
      run_tiled_panel<Dot>(linear, panel, left + m * stride, row_scales + m,
                           std::min(block, rows - m), y + m * y_width, y_width,
                           residual ? residual + m * y_width : nullptr);
}

template <class Dot, class Out>
void run_panels(const Linear& linear, const char* left, const float* row_scales, int64_t rows,
                Out* y, const bf16* residual) {
  const int64_t panels = (linear.outputs + kColumns - 1) / kColumns;
  const int64_t y_width = linear.activation == kSwiglu ? linear.outputs / 2 : linear.outputs;
  if (suits_tiles<Dot>(rows, linear.bytes / 4)) {
    run_tiled_panels<Dot>(linear, left, row_scales, rows, y, y_width, residual);
    return;
  }
  std::vector<typename Dot::Sum> parked((std::min(rows, kRowBlock) + kRows) * kVectors);
  const Share mine = share(panels);
  for (int64_t panel = mine.first; panel < mine.end; ++panel)
    run_panel<Dot>(linear, panel, left, row_scales, rows, y, y_width, residual, parked);
}

template <class Dot>
void run_linear(const Linear& linear, const char* left, const float* row_scales, int64_t rows,
                void* y, const bf16* residual) {
  if (linear.wide)
    run_panels<Dot>(linear, left, row_scales, rows, (float*)y, residual);
  else
    run_panels<Dot>(linear, left, row_scales, rows, (bf16*)y, residual);
}

// (width) values -> levels of 8 bits around kZeroPoint, and the row's scale; `spread` is scratch of
// `width` floats
void quantize_row(const bf16* x, int64_t width, float* spread, uint8_t* levels, float* scale) {
  *scale = spread_row(x, width, spread) / 127.f;
  const Floats inverse = fill(1.f / *scale), half = fill(128.5f);
  for (int64_t i = 0; i < width; i += kLanes) {
    const Ints level = __builtin_convertvector(fma(load(spread + i), inverse, half), Ints);
    store_as(levels + i, lowest_bytes(level - (128 - Int8Dot::kZeroPoint)));
  }
}

// the largest sum of two neighbours, whose levels are first added in 16 bits
float widest_pair(const float* x, int64_t width) {
  Peak peak;
  for (int64_t i = 0; i < width; i += kLanes) {
    const Floats part = load(x + i);
    peak.see(part + exchanged<1>(part));
  }
  return peak.value();
}

// an output's (width) weights -> int8 levels, their scale and kZeroPoint * their sum
void quantize_output(const bf16* weight, int64_t width, float* spread, int8_t* levels, float* scale,
                     int32_t* offset) {
  float peak = spread_row(weight, width, spread);
  // 255 * (127 + 1) still fits into 16 bits, the 1 being two roundings
  if (Int8Dot::kPairs) peak = std::max(peak, widest_pair(spread, width));
  *scale = peak / 127.f;
  Ints sum = {};
  for (int64_t i = 0; i < width; i += kLanes) {
    const Ints level = nearest(load(spread + i) / *scale);
    sum += level;
    store_as(levels + i, lowest_bytes(level));
  }
  *offset = Int8Dot::kZeroPoint * sum_of(sum);
}

}  // namespace
