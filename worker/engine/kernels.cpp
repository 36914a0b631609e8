// The model's arithmetic for CPUs with AVX512-BF16 and AVX512-VNNI, called through ctypes.
//
// One micro-kernel does all matrix products: a tile of up to 6 rows times 64 columns, accumulated
// over groups of 4 bytes (2 bfloat16 or 4 int8). Its right side is packed in panels
// [groups][64 columns][4 bytes], so that it is read in sequence, its left side stays row-major.
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

namespace {

using bf16 = uint16_t;
constexpr int kColumns = 64;
constexpr int kRows = 6;
constexpr int64_t kRowBlock = 480;
constexpr int64_t kGroupBlock = 1024;

inline __m512 widen(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
inline __m512 load16(const bf16* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }
inline void store16(bf16* p, __m512 x) {
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(x));
}
inline float to_float(bf16 x) {
  uint32_t bits = (uint32_t)x << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

// 2^x for x <= 0 or moderate; relative error below 3e-7
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
    return _mm512_dpbusd_epi32(sum, left, right);
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
  const int64_t threads = omp_get_num_threads(), me = omp_get_thread_num();
  return {count * me / threads, count * (me + 1) / threads};
}

enum Then { kNone = 0, kGelu = 1, kSwiglu = 2 };

struct Linear {
  const char* panels;
  int64_t outputs, bytes;   // bytes of one left row
  const float* bias;        // per output, or null
  const float* scale;       // int8 only: per output
  const int32_t* offset;    // int8 only: 128 * sum of the output's weights
  int64_t then;
};

inline __m512 to_real(__m512 sum, const Linear&, int64_t, const float*) { return sum; }
inline __m512 to_real(__m512i sum, const Linear& linear, int64_t column, const float* row_scale) {
  const __m512i centered = _mm512_sub_epi32(sum, _mm512_loadu_si512(linear.offset + column));
  const __m512 scale =
      _mm512_mul_ps(_mm512_loadu_ps(linear.scale + column), _mm512_set1_ps(*row_scale));
  return _mm512_mul_ps(_mm512_cvtepi32_ps(centered), scale);
}

inline void put(bf16* out, const bf16* add, __m512 x, int64_t room) {
  if (room >= 16) {
    if (add) x = _mm512_add_ps(x, load16(add));
    store16(out, x);
    return;
  }
  const __mmask16 mask = (1u << std::max<int64_t>(room, 0)) - 1;
  if (add) x = _mm512_add_ps(x, widen(_mm256_maskz_loadu_epi16(mask, add)));
  _mm256_mask_storeu_epi16(out, mask, (__m256i)_mm512_cvtneps_pbh(x));
}

// one row of a finished tile: scale, bias, activation, residual, rounding
template <class Sum>
inline void finish_row(const Linear& linear, int64_t panel, const Sum (&sums)[4],
                       const float* row_scale, bf16* y_row, const bf16* add_row) {
  __m512 x[4];
  for (int c = 0; c < 4; ++c) {
    const int64_t column = panel * kColumns + c * 16;
    x[c] = to_real(sums[c], linear, column, row_scale);
    if (linear.bias) x[c] = _mm512_add_ps(x[c], _mm512_loadu_ps(linear.bias + column));
  }
  if (linear.then == kSwiglu) {
    for (int c = 0; c < 2; ++c)
      store16(y_row + panel * 32 + c * 16, _mm512_mul_ps(swish(x[c], x[c]), x[c + 2]));
    return;
  }
  for (int c = 0; c < 4; ++c) {
    const int64_t column = panel * kColumns + c * 16;
    if (linear.then == kGelu) x[c] = gelu_tanh(x[c]);
    put(y_row + column, add_row ? add_row + column : nullptr, x[c], linear.outputs - column);
  }
}

// all rows of one panel; long inner dimensions go in blocks, with sums parked in `parked`
template <class Dot>
void run_panel(const Linear& linear, int64_t panel, const char* left, const float* row_scales,
               int64_t rows, bf16* y, int64_t y_width, const bf16* add,
               std::vector<typename Dot::Sum>& parked) {
  using Sum = typename Dot::Sum;
  const int64_t groups = linear.bytes / 4;
  const char* packed = linear.panels + panel * groups * 256;
  for (int64_t m0 = 0; m0 < rows; m0 += kRowBlock) {
    const int64_t m1 = std::min(rows, m0 + kRowBlock);
    for (int64_t g0 = 0; g0 < groups; g0 += kGroupBlock) {
      const int64_t some = std::min(groups - g0, kGroupBlock);
      const bool last = g0 + some == groups;
      for (int64_t m = m0; m < m1; m += kRows) {
        with_rows(m1 - m, [&](auto count) {
          constexpr int R = decltype(count)::value;
          Sum sums[R][4];
          Sum* park = parked.data() + (m - m0) * 4;
          for (int r = 0; r < R; ++r)
            for (int c = 0; c < 4; ++c) sums[r][c] = g0 ? park[r * 4 + c] : Dot::zero();
          dot_tile<Dot, R>(left + m * linear.bytes + g0 * 4, linear.bytes, packed + g0 * 256, some,
                           sums);
          for (int r = 0; r < R; ++r) {
            if (last)
              finish_row(linear, panel, sums[r], row_scales + m + r, y + (m + r) * y_width,
                         add ? add + (m + r) * y_width : nullptr);
            else
              for (int c = 0; c < 4; ++c) park[r * 4 + c] = sums[r][c];
          }
        });
      }
    }
  }
}

template <class Dot>
void run_panels(const Linear& linear, const char* left, const float* row_scales, int64_t rows,
                bf16* y, const bf16* add) {
  const int64_t panels = (linear.outputs + kColumns - 1) / kColumns;
  const int64_t y_width = linear.then == kSwiglu ? linear.outputs / 2 : linear.outputs;
  std::vector<typename Dot::Sum> parked(std::min(rows, kRowBlock) * 4 + kRows * 4);
  const Share mine = share(panels);
  for (int64_t panel = mine.first; panel < mine.end; ++panel)
    run_panel<Dot>(linear, panel, left, row_scales, rows, y, y_width, add, parked);
}

// uint8 levels with zero point 128 and a scale of the row's own; width % 16 == 0
void quantize_row(const bf16* x, int64_t width, uint8_t* levels, float* scale) {
  __m512 most = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16) most = _mm512_max_ps(most, _mm512_abs_ps(load16(x + i)));
  *scale = std::max(_mm512_reduce_max_ps(most) / 127.f, 1e-8f);
  const __m512 inverse = _mm512_set1_ps(1.f / *scale), half = _mm512_set1_ps(128.5f);
  for (int64_t i = 0; i < width; i += 16) {
    const __m512i level = _mm512_cvttps_epi32(_mm512_fmadd_ps(load16(x + i), inverse, half));
    _mm_storeu_si128((__m128i*)(levels + i), _mm512_cvtusepi32_epi8(level));
  }
}

float sum_squares(const bf16* x, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16) {
    const __m512 v = load16(x + i);
    sum = _mm512_fmadd_ps(v, v, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

// turn the halves of one head by cosine and sine rows of `width`
template <class Angle>
inline void rotate(const float* x, const Angle* cosine, const Angle* sine, int64_t width,
                   bf16* out);
inline __m512 load_angle(const float* p) { return _mm512_loadu_ps(p); }
inline __m512 load_angle(const bf16* p) { return load16(p); }
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

// ---- attention -------------------------------------------------------------------------------

constexpr int64_t kKeyBlock = 256;
constexpr int64_t kQueryTile = 24;

// keys and values of one head, packed as panels for the micro-kernel; missing keys are zero
template <int D>
struct PackedHead {
  std::vector<bf16> keys, values;  // [panel][D/2][64][2] and [D/64][key pair][64][2]
  int64_t count = 0, padded = 0;

  void reserve(int64_t n) {
    count = n;
    padded = (n + kColumns - 1) / kColumns * kColumns;
    keys.resize(padded * D);
    values.resize(padded * D);
  }
  void put_key(int64_t at, const bf16* key) {
    uint32_t* to = (uint32_t*)keys.data() + (at / kColumns) * (D / 2) * kColumns + at % kColumns;
    for (int i = 0; i < D / 2; ++i) std::memcpy(to + i * kColumns, key + 2 * i, 4);
  }
  void put_values(int64_t at, const bf16* even, const bf16* odd) {
    const int64_t pairs = padded / 2;
    for (int i = 0; i < D; i += 16) {
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(even + i)));
      const __m512i high =
          odd ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(odd + i)))
              : _mm512_setzero_si512();
      bf16* to = values.data() + ((i / 64) * pairs + at / 2) * 128 + (i % 64) * 2;
      _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
  void put_padding() {
    static const bf16 zeros[D] = {};
    for (int64_t at = count; at < padded; ++at) put_key(at, zeros);
    for (int64_t at = (count + 1) / 2 * 2; at < padded; at += 2) put_values(at, zeros, zeros);
  }
};

template <int D>
struct Tile {
  alignas(64) bf16 queries[kQueryTile * D];
  alignas(64) float scores[kQueryTile * kKeyBlock];
  alignas(64) bf16 chances[kQueryTile * kKeyBlock];
  alignas(64) float out[kQueryTile * D];
  float most[kQueryTile], sum[kQueryTile];
  int64_t seen[kQueryTile];  // keys that each row may see
};

// scores of all tile rows against keys [k0, k0 + width), width a multiple of 64
template <int D>
void score_block(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, int64_t k0,
                 int64_t width) {
  for (int64_t k = 0; k < width; k += kColumns) {
    const char* panel = (const char*)(head.keys.data() + (k0 + k) * D);
    for (int64_t m = 0; m < rows; m += kRows)
      with_rows(rows - m, [&](auto count) {
        constexpr int R = decltype(count)::value;
        __m512 sums[R][4] = {};
        dot_tile<Bf16Dot, R>((const char*)(tile.queries + m * D), D * 2, panel, D / 2, sums);
        for (int r = 0; r < R; ++r)
          for (int c = 0; c < 4; ++c)
            _mm512_storeu_ps(tile.scores + (m + r) * kKeyBlock + k + c * 16, sums[r][c]);
      });
  }
}

// scores become unnormalised chances; sums and earlier output are rescaled to the new maximum
template <int D>
void soften_row(Tile<D>& tile, int64_t row, int64_t k0, int64_t width, float scale) {
  float* scores = tile.scores + row * kKeyBlock;
  bf16* chances = tile.chances + row * kKeyBlock;
  const int64_t visible = std::clamp<int64_t>(tile.seen[row] - k0, 0, width);
  for (int64_t i = visible; i < width; ++i) scores[i] = -INFINITY;
  __m512 peak = _mm512_set1_ps(-INFINITY);
  for (int64_t i = 0; i < width; i += 16) peak = _mm512_max_ps(peak, _mm512_loadu_ps(scores + i));
  const float before = tile.most[row];
  const float most = std::max(before, _mm512_reduce_max_ps(peak) * scale);
  if (most == -INFINITY) {
    std::memset(chances, 0, width * 2);
    return;
  }
  const __m512 factor = _mm512_set1_ps(scale), shift = _mm512_set1_ps(most);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16) {
    const __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(scores + i), factor, shift);
    const __mmask16 real = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.f), _CMP_GE_OQ);
    const __m512 chance = _mm512_maskz_mov_ps(real, exp2_ps(x));
    sum = _mm512_add_ps(sum, chance);
    store16(chances + i, chance);
  }
  tile.most[row] = most;
  const float fade = before == -INFINITY ? 0.f : std::exp2(before - most);
  tile.sum[row] = tile.sum[row] * fade + _mm512_reduce_add_ps(sum);
  if (fade == 1.f) return;
  for (int i = 0; i < D; i += 16) {
    float* out = tile.out + row * D + i;
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_loadu_ps(out), _mm512_set1_ps(fade)));
  }
}

template <int D>
void mix_values(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, int64_t k0,
                int64_t width) {
  for (int64_t panel = 0; panel < D / 64; ++panel) {
    const char* values =
        (const char*)(head.values.data() + (panel * head.padded / 2 + k0 / 2) * 128);
    for (int64_t m = 0; m < rows; m += kRows)
      with_rows(rows - m, [&](auto count) {
        constexpr int R = decltype(count)::value;
        float* out = tile.out + m * D + panel * 64;
        __m512 sums[R][4];
        for (int r = 0; r < R; ++r)
          for (int c = 0; c < 4; ++c) sums[r][c] = _mm512_loadu_ps(out + r * D + c * 16);
        dot_tile<Bf16Dot, R>((const char*)(tile.chances + m * kKeyBlock), kKeyBlock * 2, values,
                             width / 2, sums);
        for (int r = 0; r < R; ++r)
          for (int c = 0; c < 4; ++c) _mm512_storeu_ps(out + r * D + c * 16, sums[r][c]);
      });
  }
}

// queries and `seen` of the tile are set; writes row r to out(r)
template <int D, class Out>
void attend_tile(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, float scale, Out out) {
  int64_t last = 0;
  for (int64_t r = 0; r < rows; ++r) {
    tile.most[r] = -INFINITY;
    tile.sum[r] = 0.f;
    last = std::max(last, tile.seen[r]);
  }
  std::memset(tile.out, 0, rows * D * sizeof(float));
  for (int64_t k0 = 0; k0 < last; k0 += kKeyBlock) {
    const int64_t width = std::min(kKeyBlock, (last - k0 + kColumns - 1) / kColumns * kColumns);
    score_block<D>(tile, rows, head, k0, width);
    for (int64_t r = 0; r < rows; ++r) soften_row<D>(tile, r, k0, width, scale * kLog2e);
    mix_values<D>(tile, rows, head, k0, width);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const __m512 inverse = _mm512_set1_ps(1.f / tile.sum[r]);
    bf16* to = out(r);
    for (int i = 0; i < D; i += 16)
      store16(to + i, _mm512_mul_ps(_mm512_loadu_ps(tile.out + r * D + i), inverse));
  }
}

template <int D>
void rotated(const bf16* x, const float* cosine, const float* sine, bf16* out) {
  float wide[D];
  for (int i = 0; i < D; i += 16) _mm512_storeu_ps(wide + i, load16(x + i));
  rotate(wide, cosine, sine, D, out);
}

// qkv (n, 3, heads, D) -> out (n, heads, D); every patch sees all patches
template <int D>
void attend_image(const bf16* qkv, int64_t n, int64_t heads, const float* cosine,
                  const float* sine, bf16* out) {
  const int64_t stride = 3 * heads * D, queries_a_task = 768;
  const int64_t blocks = (n + queries_a_task - 1) / queries_a_task;
#pragma omp parallel
  {
    PackedHead<D> packed;
    auto tile = std::make_unique<Tile<D>>();
    int64_t have = -1;
    const Share mine = share(heads * blocks);
    for (int64_t task = mine.first; task < mine.end; ++task) {
      const int64_t head = task / blocks, first = task % blocks * queries_a_task;
      const bf16* queries = qkv + head * D;
      if (have != head) {
        have = head;
        packed.reserve(n);
        bf16 key[D];
        for (int64_t k = 0; k < n; ++k) {
          rotated<D>(queries + k * stride + heads * D, cosine + k * D, sine + k * D, key);
          packed.put_key(k, key);
        }
        const bf16* values = queries + 2 * heads * D;
        for (int64_t k = 0; k < n; k += 2)
          packed.put_values(k, values + k * stride, k + 1 < n ? values + (k + 1) * stride : nullptr);
        packed.put_padding();
      }
      for (int64_t q = first; q < std::min(n, first + queries_a_task); q += kQueryTile) {
        const int64_t rows = std::min(kQueryTile, std::min(n, first + queries_a_task) - q);
        for (int64_t r = 0; r < rows; ++r) {
          rotated<D>(queries + (q + r) * stride, cosine + (q + r) * D, sine + (q + r) * D,
                     tile->queries + r * D);
          tile->seen[r] = n;
        }
        attend_tile<D>(*tile, rows, packed, 1.f / std::sqrt((float)D),
                       [&](int64_t r) { return out + ((q + r) * heads + head) * D; });
      }
    }
  }
}

struct Segment {
  bf16* data;  // (layers, 2, kv_heads, capacity, D)
  int64_t capacity, first, count, past;
};

template <int D>
bf16* buffer_of(const Segment& s, int64_t layer, int64_t which, int64_t kv_heads, int64_t head) {
  return s.data + ((layer * 2 + which) * kv_heads + head) * s.capacity * D;
}

// one new token: read keys and values as they lie, without packing
template <int D>
void attend_one(const bf16* query, const bf16* keys, const bf16* values, int64_t count, float scale,
                std::vector<float>& scores, bf16* out) {
  scores.resize((count + 15) / 16 * 16);
  __m512bh q[D / 32];
  for (int i = 0; i < D / 32; ++i) q[i] = (__m512bh)_mm512_loadu_si512(query + i * 32);
  float most = -INFINITY;
  for (int64_t k = 0; k < count; ++k) {
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < D / 32; ++i)
      sum = _mm512_dpbf16_ps(sum, q[i], (__m512bh)_mm512_loadu_si512(keys + k * D + i * 32));
    scores[k] = _mm512_reduce_add_ps(sum) * scale * kLog2e;
    most = std::max(most, scores[k]);
  }
  for (int64_t k = count; k < (int64_t)scores.size(); ++k) scores[k] = -INFINITY;
  __m512 total = _mm512_setzero_ps();
  for (size_t k = 0; k < scores.size(); k += 16) {
    const __m512 x = _mm512_sub_ps(_mm512_loadu_ps(&scores[k]), _mm512_set1_ps(most));
    const __mmask16 real = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.f), _CMP_GE_OQ);
    const __m512 chance = _mm512_maskz_mov_ps(real, exp2_ps(x));
    total = _mm512_add_ps(total, chance);
    _mm512_storeu_ps(&scores[k], chance);
  }
  __m512 sums[D / 16] = {};
  for (int64_t k = 0; k < count; ++k) {
    const __m512 chance = _mm512_set1_ps(scores[k]);
    for (int i = 0; i < D / 16; ++i)
      sums[i] = _mm512_fmadd_ps(chance, load16(values + k * D + i * 16), sums[i]);
  }
  const __m512 inverse = _mm512_set1_ps(1.f / _mm512_reduce_add_ps(total));
  for (int i = 0; i < D / 16; ++i) store16(out + i * 16, _mm512_mul_ps(sums[i], inverse));
}

// a chunk of a prompt: all query heads of one key head
template <int D>
void attend_chunk(const Segment& s, const bf16* queries, int64_t heads, int64_t kv_heads,
                  int64_t kv_head, int64_t layer, PackedHead<D>& packed, Tile<D>& tile, bf16* out) {
  const int64_t group = heads / kv_heads, total = s.past + s.count;
  const bf16* keys = buffer_of<D>(s, layer, 0, kv_heads, kv_head);
  const bf16* values = buffer_of<D>(s, layer, 1, kv_heads, kv_head);
  packed.reserve(total);
  for (int64_t k = 0; k < total; ++k) packed.put_key(k, keys + k * D);
  for (int64_t k = 0; k < total; k += 2)
    packed.put_values(k, values + k * D, k + 1 < total ? values + (k + 1) * D : nullptr);
  packed.put_padding();
  const int64_t pairs = s.count * group;  // (token, head of the group)
  auto place = [&](int64_t at) {
    return ((s.first + at / group) * heads + kv_head * group + at % group) * D;
  };
  for (int64_t q = 0; q < pairs; q += kQueryTile) {
    const int64_t rows = std::min(kQueryTile, pairs - q);
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(tile.queries + r * D, queries + place(q + r), D * 2);
      tile.seen[r] = s.past + (q + r) / group + 1;
    }
    attend_tile<D>(tile, rows, packed, 1.f / std::sqrt((float)D),
                   [&](int64_t r) { return out + place(q + r); });
  }
}

template <int D>
void attend_segments(const bf16* queries, const Segment* segments, int64_t n, int64_t layer,
                     int64_t heads, int64_t kv_heads, bf16* out) {
  const int64_t group = heads / kv_heads;
  const float scale = 1.f / std::sqrt((float)D);
#pragma omp parallel
  {
    PackedHead<D> packed;
    auto tile = std::make_unique<Tile<D>>();
    std::vector<float> scores;
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < n * kv_heads; ++task) {
      const Segment& s = segments[task / kv_heads];
      const int64_t kv_head = task % kv_heads;
      if (s.count > 1) {
        attend_chunk<D>(s, queries, heads, kv_heads, kv_head, layer, packed, *tile, out);
        continue;
      }
      for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
        attend_one<D>(queries + (s.first * heads + h) * D,
                      buffer_of<D>(s, layer, 0, kv_heads, kv_head),
                      buffer_of<D>(s, layer, 1, kv_heads, kv_head), s.past + 1, scale, scores,
                      out + (s.first * heads + h) * D);
    }
  }
}

template <int D>
void store_row(const bf16* qkv, const bf16* query_norm, const bf16* key_norm, float eps,
               const bf16* cosine, const bf16* sine, const Segment& s, int64_t row, int64_t layer,
               int64_t heads, int64_t kv_heads, bf16* queries) {
  auto turn = [&](const bf16* x, const bf16* norm, bf16* out) {
    const __m512 scale = _mm512_set1_ps(1.f / std::sqrt(sum_squares(x, D) / D + eps));
    float wide[D];
    for (int i = 0; i < D; i += 16)
      _mm512_storeu_ps(wide + i,
                       _mm512_mul_ps(_mm512_mul_ps(load16(x + i), scale), load16(norm + i)));
    rotate(wide, cosine, sine, D, out);
  };
  const int64_t at = s.past + row - s.first;
  for (int64_t h = 0; h < heads; ++h) turn(qkv + h * D, query_norm, queries + h * D);
  for (int64_t h = 0; h < kv_heads; ++h) {
    turn(qkv + (heads + h) * D, key_norm, buffer_of<D>(s, layer, 0, kv_heads, h) + at * D);
    std::memcpy(buffer_of<D>(s, layer, 1, kv_heads, h) + at * D,
                qkv + (heads + kv_heads + h) * D, D * 2);
  }
}

}  // namespace

extern "C" {

// weight (outputs, bytes) row-major -> panels; the last panel is filled with zeros
void pack_panels(const char* weight, int64_t outputs, int64_t bytes, char* panels) {
  const int64_t groups = bytes / 4, count = (outputs + kColumns - 1) / kColumns;
#pragma omp parallel for
  for (int64_t p = 0; p < count; ++p) {
    int32_t* to = (int32_t*)panels + p * groups * kColumns;
    for (int64_t c = 0; c < kColumns; ++c) {
      const int64_t n = p * kColumns + c;
      for (int64_t g = 0; g < groups; ++g) {
        int32_t value = 0;
        if (n < outputs) std::memcpy(&value, weight + n * bytes + g * 4, 4);
        to[g * kColumns + c] = value;
      }
    }
  }
}

void linear_bf16(const Linear* linear, const bf16* x, int64_t rows, bf16* y, const bf16* add) {
#pragma omp parallel
  run_panels<Bf16Dot>(*linear, (const char*)x, nullptr, rows, y, add);
}

// `levels` (rows, width) and `scales` (rows) are scratch
void linear_int8(const Linear* linear, const bf16* x, int64_t rows, uint8_t* levels, float* scales,
                 bf16* y, const bf16* add) {
  const int64_t width = linear->bytes;
#pragma omp parallel
  {
    const Share mine = share(rows);
    for (int64_t m = mine.first; m < mine.end; ++m)
      quantize_row(x + m * width, width, levels + m * width, scales + m);
#pragma omp barrier
    run_panels<Int8Dot>(*linear, (const char*)levels, scales, rows, y, add);
  }
}

// y (rows, outputs) = x . weight as it lies in the file, (outputs, width); for few rows
void linear_unpacked(const bf16* weight, int64_t outputs, int64_t width, const bf16* x,
                     int64_t rows, bf16* y) {
#pragma omp parallel
  {
    const Share mine = share(outputs);
    for (int64_t n = mine.first; n < mine.end; ++n)
      for (int64_t m0 = 0; m0 < rows; m0 += 8) {
        __m512 sums[8] = {};
        const int64_t some = std::min<int64_t>(8, rows - m0);
        for (int64_t i = 0; i < width; i += 32) {
          const __m512bh w = (__m512bh)_mm512_loadu_si512(weight + n * width + i);
          for (int64_t m = 0; m < some; ++m)
            sums[m] = _mm512_dpbf16_ps(
                sums[m], (__m512bh)_mm512_loadu_si512(x + (m0 + m) * width + i), w);
        }
        for (int64_t m = 0; m < some; ++m) {
          const __m512 sum = _mm512_set1_ps(_mm512_reduce_add_ps(sums[m]));
          y[(m0 + m) * outputs + n] =
              (bf16)_mm256_extract_epi16((__m256i)_mm512_cvtneps_pbh(sum), 0);
        }
      }
  }
}

void rms_norm(const bf16* x, int64_t rows, int64_t width, const bf16* weight, float eps, bf16* y) {
#pragma omp parallel for if (rows > 8)
  for (int64_t m = 0; m < rows; ++m) {
    const bf16* row = x + m * width;
    const __m512 scale = _mm512_set1_ps(1.f / std::sqrt(sum_squares(row, width) / width + eps));
    for (int64_t i = 0; i < width; i += 16)
      store16(y + m * width + i,
              _mm512_mul_ps(_mm512_mul_ps(load16(row + i), scale), load16(weight + i)));
  }
}

void layer_norm(const bf16* x, int64_t rows, int64_t width, const bf16* weight, const bf16* bias,
                float eps, bf16* y) {
#pragma omp parallel for if (rows > 8)
  for (int64_t m = 0; m < rows; ++m) {
    const bf16* row = x + m * width;
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += 16) sum = _mm512_add_ps(sum, load16(row + i));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
    for (int64_t i = 0; i < width; i += 16) {
      const __m512 off = _mm512_sub_ps(load16(row + i), mean);
      squares = _mm512_fmadd_ps(off, off, squares);
    }
    const __m512 scale =
        _mm512_set1_ps(1.f / std::sqrt(_mm512_reduce_add_ps(squares) / width + eps));
    for (int64_t i = 0; i < width; i += 16) {
      const __m512 off = _mm512_mul_ps(_mm512_sub_ps(load16(row + i), mean), scale);
      store16(y + m * width + i, _mm512_fmadd_ps(off, load16(weight + i), load16(bias + i)));
    }
  }
}

// qkv (rows, heads + 2 kv_heads, width): queries out, keys and values into the segments' buffers
void store_keys(const bf16* qkv, const bf16* query_norm, const bf16* key_norm, float eps,
                const bf16* cosine, const bf16* sine, const Segment* segments, int64_t n,
                int64_t layer, int64_t heads, int64_t kv_heads, int64_t width, bf16* queries) {
  const int64_t rows = segments[n - 1].first + segments[n - 1].count;
#pragma omp parallel if (rows > 8)
  for (int64_t i = 0; i < n; ++i) {
    const Segment& s = segments[i];
#pragma omp for nowait
    for (int64_t m = s.first; m < s.first + s.count; ++m) {
      const bf16* row = qkv + m * (heads + 2 * kv_heads) * width;
      auto store = width == 128 ? store_row<128> : store_row<64>;
      store(row, query_norm, key_norm, eps, cosine + m * width, sine + m * width, s, m, layer,
            heads, kv_heads, queries + m * heads * width);
    }
  }
}

void attend(const bf16* queries, const Segment* segments, int64_t n, int64_t layer, int64_t heads,
            int64_t kv_heads, int64_t width, bf16* out) {
  auto run = width == 128 ? attend_segments<128> : attend_segments<64>;
  run(queries, segments, n, layer, heads, kv_heads, out);
}

// head width 64
void attend_patches(const bf16* qkv, int64_t n, int64_t heads, const float* cosine,
                    const float* sine, bf16* out) {
  attend_image<64>(qkv, n, heads, cosine, sine, out);
}

void set_threads(int64_t threads) { omp_set_num_threads((int)threads); }
}
