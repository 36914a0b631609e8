// Linear layers over weights of 4 bits, in groups of kSpread inputs: a weight is
// output's scale * group's scale * (level - group's zero / 16), all but the first whole numbers;
// activations of 8 bits with one scale a row. Products wait for memory: scales of a group take two
// bytes instead of four, and are as right, as levels are rounded for the scale that is stored.
//
// A panel holds for each group [kColumns][zero, scale], a byte each, then
// [kPairsOfSteps][kColumns][4 bytes]: in the lower halves of the bytes the levels of one step of
// four inputs, in the upper halves those of the next step.
#pragma once
#include "linear.h"

namespace {

constexpr int kMostLevel = 15, kMostScale = 255;
// of a zero, to one level
constexpr int kZeroSteps = 16;
constexpr int kPairsOfSteps = kSpread / 8;
constexpr int64_t kGroupedBytes = kColumns * (2 + 4 * kPairsOfSteps);
// rows whose sums fit into the registers beside unpacked weights
constexpr int kGroupedRows = 4;

inline int64_t groups_of(int64_t width) { return (width + kSpread - 1) / kSpread; }

// a group's scale, as the number that it stands for, and its zero
struct Range {
  float scale = 0.f;
  int zero = 0;

  Range() = default;
  // low <= 0 <= high
  Range(float low, float high)
      : scale(std::max((high - low) / kMostLevel, 1e-30f)), zero(nearest_of(-low / scale * kZeroSteps)) {}
  static int nearest_of(float x) { return nearest(fill(x))[0]; }
  float shift() const { return (float)zero / kZeroSteps; }
  Ints levels(Floats x) const {
    const Floats level = x / scale + shift();
    return nearest(min(max(level, Floats{}), fill((float)kMostLevel)));
  }
  float misses(const float* x) const {
    Floats sum = {};
    for (int i = 0; i < kSpread; i += kLanes) {
      const Floats part = load(x + i);
      const Floats level = __builtin_convertvector(levels(part), Floats) - shift();
      const Floats off = fma(level, fill(scale), -part);
      sum = fma(off, off, sum);
    }
    return sum_of(sum);
  }
};

// the range that misses least: rare values at its ends are worth less than finer steps
Range best_range(const float* x) {
  Floats low = {}, high = {};
  for (int i = 0; i < kSpread; i += kLanes) {
    low = min(low, load(x + i));
    high = max(high, load(x + i));
  }
  const float least = -max_of(-low), most = max_of(high);
  Range best(least, most);
  float fewest = best.misses(x);
  for (float share : {0.92f, 0.84f, 0.76f}) {
    const float cut = (1.f - share) * (most - least) / 2;
    const Range tried(std::min(least + cut, 0.f), std::max(most - cut, 0.f));
    const float misses = tried.misses(x);
    if (misses < fewest) fewest = misses, best = tried;
  }
  return best;
}

// one output's weights into its column of a panel; returns the output's scale
float pack_grouped_column(const bf16* weight, int64_t width, float* spread, Range* ranges,
                          char* panel, int column) {
  const int64_t groups = groups_of(width);
  std::fill_n(spread, groups * kSpread, 0.f);
  const float peak = spread_row(weight, width, spread);
  float unit = 0.f;
  for (int64_t g = 0; g < groups; ++g) {
    ranges[g] = best_range(spread + g * kSpread);
    unit = std::max(unit, ranges[g].scale / kMostScale);
  }
  for (int64_t g = 0; g < groups; ++g, spread += kSpread, panel += kGroupedBytes) {
    Range& range = ranges[g];
    const int scale = std::clamp(Range::nearest_of(range.scale / unit), 1, kMostScale);
    range.scale = scale * unit;
    panel[column * 2] = (char)range.zero;
    panel[column * 2 + 1] = (char)scale;
    uint8_t levels[kSpread];
    for (int i = 0; i < kSpread; i += kLanes)
      store_as(levels + i, lowest_bytes(range.levels(load(spread + i))));
    for (int pair = 0; pair < kPairsOfSteps; ++pair)
      for (int i = 0; i < 4; ++i)
        panel[kColumns * 2 + (pair * kColumns + column) * 4 + i] =
            (char)(levels[pair * 8 + i] | levels[pair * 8 + 4 + i] << 4);
  }
  // no number where a weight is none
  return unit + peak * 0.f;
}

// (width) values -> levels with signs, the row's scale, and the sum of each group's levels
// in steps of a zero; levels are filled up with zeros to whole groups
void quantize_grouped_row(const bf16* x, int64_t width, float* spread, int8_t* levels, float* scale,
                          float* sums) {
  const int64_t groups = groups_of(width);
  std::fill_n(spread, groups * kSpread, 0.f);
  *scale = spread_row(x, width, spread) / 127.f;
  const float inverse = 1.f / *scale;
  for (int64_t g = 0; g < groups; ++g) {
    Ints sum = {};
    for (int64_t i = g * kSpread; i < (g + 1) * kSpread; i += kLanes) {
      const Ints level = nearest(load(spread + i) * inverse);
      sum += level;
      store_as(levels + i, lowest_bytes(level));
    }
    sums[g] = (float)sum_of(sum) / kZeroSteps;
  }
}

// rows of levels, and what belongs to them
struct GroupedRows {
  const int8_t* levels;
  const float *scales, *sums;
};

// R rows from `m` on of one panel: products[r][c]
template <int R>
__attribute__((noinline)) void grouped_tile(const char* panel, int64_t groups,
                                            const GroupedRows& rows, int64_t m, const float* scales,
                                            Floats* products) {
  Floats real[R][kVectors] = {};
  const int64_t stride = groups * kSpread;
  const char* left = (const char*)rows.levels + m * stride;
  for (int64_t g = 0; g < groups; ++g, panel += kGroupedBytes, left += kSpread) {
    prefetch<kColumns * 2>(panel);
    Ints sums[R][kVectors] = {};
    const char* levels = panel + kColumns * 2;
    for (int pair = 0; pair < kPairsOfSteps; ++pair, levels += kColumns * 4) {
      prefetch(levels);
      Words low[kVectors], high[kVectors];
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) {
        const Words both = load_as<Words>(levels + c * kLanes * 4);
        low[c] = both & 0x0f0f0f0fu;
        high[c] = (both >> 4) & 0x0f0f0f0fu;
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Words first = load_group(left + r * stride + pair * 8);
        const Words second = load_group(left + r * stride + pair * 8 + 4);
#pragma GCC unroll 4
        for (int c = 0; c < kVectors; ++c) {
          sums[r][c] = Int8Dot::add_products(sums[r][c], low[c], first);
          sums[r][c] = Int8Dot::add_products(sums[r][c], high[c], second);
        }
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) {
      const Words both = load_words((const uint16_t*)panel + c * kLanes);
      const Floats scale = __builtin_convertvector((Ints)(both >> 8), Floats);
      const Floats zero = __builtin_convertvector((Ints)(both & 0xffu), Floats);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Floats shift = fill(rows.sums[(m + r) * groups + g]) * zero;
        real[r][c] = fma(__builtin_convertvector(sums[r][c], Floats) - shift, scale, real[r][c]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c)
      products[r * kVectors + c] = real[r][c] * (load(scales + c * kLanes) * rows.scales[m + r]);
}

template <class Out>
void run_grouped_panels(const Linear& linear, int64_t groups, const GroupedRows& left, int64_t rows,
                        Out* y, const bf16* residual) {
  const int64_t y_width = linear.activation == kSwiglu ? linear.outputs / 2 : linear.outputs;
  const Share mine = share((linear.outputs + kColumns - 1) / kColumns);
  for (int64_t panel = mine.first; panel < mine.end; ++panel)
    for (int64_t m = 0; m < rows; m += kGroupedRows) {
      Floats products[kGroupedRows * kVectors];
      with_rows<kGroupedRows>(rows - m, [&](auto R) {
        grouped_tile<decltype(R)::value>(linear.panels + panel * groups * kGroupedBytes, groups, left,
                                         m, linear.scale + panel * kColumns, products);
      });
      for (int64_t r = 0; r < std::min<int64_t>(rows - m, kGroupedRows); ++r)
        finish_row(linear, panel, products + r * kVectors, nullptr, y + (m + r) * y_width,
                   residual ? residual + (m + r) * y_width : nullptr);
    }
}

}  // namespace
