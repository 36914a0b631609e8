// Linear layers over packed weights: in bfloat16, and in int8 with one scale a row.
#pragma once
#include "spread.h"

namespace {

// rows and groups that are computed while their panel is in the cache
constexpr int64_t kRowBlock = 480;
constexpr int64_t kGroupBlock = 1024;

enum Activation { kNone = 0, kGelu = 1, kSwiglu = 2 };

struct Linear {
  const char* panels;
  int64_t outputs, bytes;   // bytes of one left row
  const float* bias;        // per output, or null
  const float* scale;       // int8 only: per output
  const int32_t* offset;    // int8 only: 128 * sum of the output's weights
  int64_t activation;
  int64_t wide;             // y is float32, and a residual is ignored
};

inline __m512 to_real(__m512 sum, const Linear&, int64_t, const float*) { return sum; }
inline __m512 to_real(__m512i sum, const Linear& linear, int64_t column, const float* row_scale) {
  const __m512i centered = _mm512_sub_epi32(sum, _mm512_loadu_si512(linear.offset + column));
  const __m512 scale =
      _mm512_mul_ps(_mm512_loadu_ps(linear.scale + column), _mm512_set1_ps(*row_scale));
  return _mm512_mul_ps(_mm512_cvtepi32_ps(centered), scale);
}

// the first `count` of 16 values, plus a residual
inline void put(bf16* out, const bf16* residual, __m512 x, int64_t count) {
  if (count >= 16) {
    if (residual) x = _mm512_add_ps(x, load16(residual));
    store16(out, x);
    return;
  }
  const __mmask16 mask = (1u << std::max<int64_t>(count, 0)) - 1;
  if (residual) x = _mm512_add_ps(x, widen(_mm256_maskz_loadu_epi16(mask, residual)));
  _mm256_mask_storeu_epi16(out, mask, (__m256i)_mm512_cvtneps_pbh(x));
}

inline void put(float* out, const bf16*, __m512 x, int64_t count) {
  const __mmask16 mask = count >= 16 ? 0xffff : (1u << std::max<int64_t>(count, 0)) - 1;
  _mm512_mask_storeu_ps(out, mask, x);
}

// one row of a finished tile: scale, bias, activation, residual, rounding
template <class Sum, class Out>
inline void finish_row(const Linear& linear, int64_t panel, const Sum (&sums)[4],
                       const float* row_scale, Out* y_row, const bf16* residual_row) {
  __m512 x[4];
  for (int c = 0; c < 4; ++c) {
    const int64_t column = panel * kColumns + c * 16;
    x[c] = to_real(sums[c], linear, column, row_scale);
    if (linear.bias) x[c] = _mm512_add_ps(x[c], _mm512_loadu_ps(linear.bias + column));
  }
  if (linear.activation == kSwiglu) {
    for (int c = 0; c < 2; ++c)
      put(y_row + panel * 32 + c * 16, nullptr, _mm512_mul_ps(swish(x[c], x[c]), x[c + 2]), 16);
    return;
  }
  for (int c = 0; c < 4; ++c) {
    const int64_t column = panel * kColumns + c * 16;
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
  const int64_t groups = linear.bytes / 4;
  const char* packed = linear.panels + panel * groups * 256;
  for (int64_t m0 = 0; m0 < rows; m0 += kRowBlock) {
    const int64_t m1 = std::min(rows, m0 + kRowBlock);
    for (int64_t g0 = 0; g0 < groups; g0 += kGroupBlock) {
      const int64_t block = std::min(groups - g0, kGroupBlock);
      const bool last = g0 + block == groups;
      for (int64_t m = m0; m < m1; m += kRows) {
        with_rows(m1 - m, [&](auto count) {
          constexpr int R = decltype(count)::value;
          Sum sums[R][4];
          Sum* park = parked.data() + (m - m0) * 4;
          for (int r = 0; r < R; ++r)
            for (int c = 0; c < 4; ++c) sums[r][c] = g0 ? park[r * 4 + c] : Dot::zero();
          dot_tile<Dot, R>(left + m * linear.bytes + g0 * 4, linear.bytes, packed + g0 * 256, block,
                           sums);
          for (int r = 0; r < R; ++r) {
            if (last)
              finish_row(linear, panel, sums[r], row_scales + m + r, y + (m + r) * y_width,
                         residual ? residual + (m + r) * y_width : nullptr);
            else
              for (int c = 0; c < 4; ++c) park[r * 4 + c] = sums[r][c];
          }
        });
      }
    }
  }
}

template <class Dot, class Out>
void run_panels(const Linear& linear, const char* left, const float* row_scales, int64_t rows,
                Out* y, const bf16* residual) {
  const int64_t panels = (linear.outputs + kColumns - 1) / kColumns;
  const int64_t y_width = linear.activation == kSwiglu ? linear.outputs / 2 : linear.outputs;
  std::vector<typename Dot::Sum> parked(std::min(rows, kRowBlock) * 4 + kRows * 4);
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

// (width) values -> uint8 levels with zero point 128, and the row's scale; `spread` is scratch of
// `width` floats
void quantize_row(const bf16* x, int64_t width, float* spread, uint8_t* levels, float* scale) {
  *scale = spread_row(x, width, spread) / 127.f;
  const __m512 inverse = _mm512_set1_ps(1.f / *scale), half = _mm512_set1_ps(128.5f);
  for (int64_t i = 0; i < width; i += 16) {
    const __m512i level =
        _mm512_cvttps_epi32(_mm512_fmadd_ps(_mm512_loadu_ps(spread + i), inverse, half));
    _mm_storeu_si128((__m128i*)(levels + i), _mm512_cvtusepi32_epi8(level));
  }
}

// an output's (width) weights -> int8 levels, their scale and 128 * their sum
void quantize_output(const bf16* weight, int64_t width, float* spread, int8_t* levels, float* scale,
                     int32_t* offset) {
  *scale = spread_row(weight, width, spread) / 127.f;
  const __m512 divisor = _mm512_set1_ps(*scale);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < width; i += 16) {
    const __m512i level =
        _mm512_cvtps_epi32(_mm512_div_ps(_mm512_loadu_ps(spread + i), divisor));
    sum = _mm512_add_epi32(sum, level);
    _mm_storeu_si128((__m128i*)(levels + i), _mm512_cvtsepi32_epi8(level));
  }
  *offset = 128 * _mm512_reduce_add_epi32(sum);
}

}  // namespace
