// Full attention of an image's patches by products of 8 bits, in blocks of keys.
//
// What makes 8 bits enough: keys lose their mean over all patches, which changes no probability;
// queries and keys are rotated by a Hadamard matrix, which changes no product; keys and values have
// a scale for each block; probabilities are levels of their block's largest one; and values lose
// their block's mean, which is added again by the exact sum of probabilities, so that a patch too
// unlikely for a level still counts as a mean one.
#pragma once
#include "attention.h"
#include "spread.h"

namespace {

// products of 8 bits exist, and are faster than those of bfloat16: AMX has tiles for these too
constexpr bool kNarrowAttention = !Int8Dot::kPairs && !kTiles;
// keys and values of a block, and six rows' scores, stay in the first-level cache
constexpr int64_t kPatchBlock = 256;
constexpr int64_t kTaskRows = 384;
// the level of a block's largest probability: on ARM both sides have signs
constexpr float kWhole = Int8Dot::kZeroPoint ? 255.f : 127.f;
// below all sums of keys that exist, so that none of the others is a row's largest
constexpr int32_t kNoKey = INT32_MIN / 2;
// keys that are narrowed together
constexpr int64_t kNarrowed = 4 * kLanes;
constexpr int64_t kKeyStep = std::max<int64_t>(kColumns, kNarrowed);
static_assert(kTaskRows % kRows == 0, "whole tiles of rows");
static_assert(kPatchBlock % kKeyStep == 0 && kKeyStep % kColumns == 0, "whole panels and steps");

inline int64_t whole_steps(int64_t keys) { return (keys + kKeyStep - 1) / kKeyStep * kKeyStep; }

// Levels of queries and keys, from float32.
struct Levels {
  float scale, inverse;
  explicit Levels(float peak) : scale(std::max(peak, 1e-20f) / 127.f), inverse(1.f / scale) {}
  inline Ints of(const float* x) const { return nearest(load(x) * inverse); }
};

// the largest absolute value, or what is no number
inline float peak_of(const float* x, int64_t count) {
  Peak peak;
  for (int64_t i = 0; i < count; i += kLanes) peak.see(load(x + i));
  return peak.value();
}

// Keys and values of one head as panels of levels. Groups of four values stand in the order in which
// store_narrowed() puts probabilities.
template <int D>
struct NarrowHead {
  static constexpr int64_t kBlockBytes = kPatchBlock * D;
  // elements are whole registers, so that panels begin where lines of the cache do
  std::vector<Words> keys, values;  // [block][panel][D/4][kColumns][4], [block][panel][group][kColumns][4]
  std::vector<Ints> offsets;        // [block][kPatchBlock]: -kZeroPoint * the key's sum
  std::vector<float> key_scale;     // [block]
  std::vector<Floats> value_scale, value_mean;  // [block][D]

  int8_t* key_block(int64_t block) { return (int8_t*)keys.data() + block * kBlockBytes; }
  int8_t* value_block(int64_t block) { return (int8_t*)values.data() + block * kBlockBytes; }
  int32_t* offset_block(int64_t block) { return (int32_t*)offsets.data() + block * kPatchBlock; }
  float* scales_of(int64_t block) { return (float*)value_scale.data() + block * D; }
  float* means_of(int64_t block) { return (float*)value_mean.data() + block * D; }

  void reserve(int64_t blocks) {
    keys.resize(blocks * kBlockBytes / sizeof(Words));
    values.resize(blocks * kBlockBytes / sizeof(Words));
    offsets.resize(blocks * kPatchBlock / kLanes);
    key_scale.resize(blocks);
    value_scale.resize(blocks * D / kLanes);
    value_mean.resize(blocks * D / kLanes);
  }
  // `wide` (count, D) is overwritten; missing keys get an offset below all scores
  void put_keys(int64_t block, float* wide, int64_t count) {
    for (int64_t k = 0; k < count; ++k) spread_block(wide + k * D, wide + k * D);
    const Levels levels(peak_of(wide, count * D));
    key_scale[block] = levels.scale;
    for (int64_t k = 0; k < whole_steps(count); ++k)
      put_key(block, k, k < count ? wide + k * D : nullptr, levels);
  }
  void put_key(int64_t block, int64_t k, const float* key, const Levels& levels) {
    alignas(64) int8_t row[D] = {};
    Ints sum = {};
    for (int i = 0; key && i < D; i += kLanes) {
      const Ints level = levels.of(key + i);
      sum += level;
      store_as(row + i, lowest_bytes(level));
    }
    offset_block(block)[k] = key ? -Int8Dot::kZeroPoint * sum_of(sum) : kNoKey;
    int8_t* to = key_block(block) + k / kColumns * kColumns * D + k % kColumns * 4;
    for (int i = 0; i < D; i += 4) std::memcpy(to + i * kColumns, row + i, 4);
  }
  // `wide` (count, D) is overwritten
  void put_values(int64_t block, float* wide, int64_t count) {
    for (int i = 0; i < D; i += kLanes) {
      Floats mean = {};
      for (int64_t k = 0; k < count; ++k) mean += load(wide + k * D + i);
      mean *= 1.f / count;
      Ints most = {};
      for (int64_t k = 0; k < count; ++k) {
        const Floats off = load(wide + k * D + i) - mean;
        store(wide + k * D + i, off);
        const Ints size = (Ints)off & 0x7fffffff;
        most = size > most ? size : most;
      }
      const Floats scale = max((Floats)most, fill(1e-20f)) * (1.f / 127.f);
      store(scales_of(block) + i, scale);
      store(means_of(block) + i, mean);
      for (int64_t group = 0; group < whole_steps(count) / 4; ++group)
        put_group(block, i, group, wide + i, count, 1.f / scale);
    }
  }
  // levels of four keys for kLanes columns from `column` on
  void put_group(int64_t block, int column, int64_t group, const float* wide, int64_t count,
                 Floats inverse) {
    constexpr int64_t kGroups = kNarrowed / 4;
    const int64_t at = group % kGroups;
    const int64_t first = (group - at) * 4 + at % 4 * kLanes + at / 4 * 4;
    Words bytes = {};
    for (int i = 0; i < 4 && first + i < count; ++i)
      bytes |= ((Words)nearest(load(wide + (first + i) * D) * inverse) & 0xffu) << (8 * i);
    store_as(value_block(block) + column / kColumns * kPatchBlock * kColumns +
                 group * kColumns * 4 + column % kColumns * 4,
             bytes);
  }
};

// Queries of a task, and what they have gathered.
template <int D>
struct NarrowRows {
  alignas(64) uint8_t levels[kTaskRows * D];
  alignas(64) float out[kTaskRows * D];
  float factor[kTaskRows];  // of sums, to exponents of 2
  float peak[kTaskRows], sum[kTaskRows];
  alignas(64) int32_t scores[kRows * kPatchBlock];
  alignas(64) uint8_t probabilities[kRows * kPatchBlock];
  alignas(64) float block[kPatchBlock * D];  // scratch

  void put_query(int64_t row, const float* query) {
    alignas(64) float spread[D];
    spread_block(query, spread);
    const Levels levels_of(peak_of(spread, D));
    for (int i = 0; i < D; i += kLanes)
      store_as(levels + row * D + i, lowest_bytes(levels_of.of(spread + i) + Int8Dot::kZeroPoint));
    factor[row] = levels_of.scale * kLog2e / std::sqrt((float)D);
    peak[row] = -INFINITY;
    sum[row] = 0.f;
  }
};

// sums of products with a block's keys; returns the largest one of each row in `most`
template <int D, int R>
inline void score_keys(NarrowRows<D>& rows, int64_t row, NarrowHead<D>& head, int64_t block,
                       int64_t width, int32_t (&most)[R]) {
  Ints peaks[R];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) peaks[r] = fill(INT32_MIN);
  for (int64_t k = 0; k < width; k += kColumns) {
    Ints sums[R][kVectors];
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) {
      const Ints offset = load_as<Ints>(head.offset_block(block) + k + c * kLanes);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) sums[r][c] = offset;
    }
    dot_tile<Int8Dot, R>((const char*)rows.levels + row * D, D,
                         (const char*)head.key_block(block) + k * D, D / 4, sums);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) {
        store_as(rows.scores + r * kPatchBlock + k + c * kLanes, sums[r][c]);
        peaks[r] = sums[r][c] > peaks[r] ? sums[r][c] : peaks[r];
      }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
    most[r] = reduce(peaks[r], [](Ints a, Ints b) { return a > b ? a : b; });
}

// A row's scores become levels of probabilities, the largest kWhole; returns the sum of those
// before they were rounded.
#if defined(__AVX512VNNI__)
// In 16 bits, of which a vector holds twice as many: 2^-s of exponents in steps of 1/1024, relative
// error below 0.3 %, half of the last level's rounding; what is below 2^-15 counts as nothing.
constexpr float kLinear = 0.67242671f, kSquare = 0.17353502f;
inline float weigh_keys(const int32_t* scores, int64_t width, int32_t most, float factor,
                        uint8_t* probabilities) {
  constexpr float kSteps = 1024.f, kOne = 128 * kWhole;
  const __m512i one = _mm512_set1_epi16(kOne), ones = _mm512_set1_epi16(1);
  const __m512i linear = _mm512_set1_epi16(kLinear * kOne), square = _mm512_set1_epi16(kSquare * kOne);
  auto steps_below = [&](int64_t k) {
    const Ints below = most - load_as<Ints>(scores + k);
    return (__m512i)nearest(__builtin_convertvector(below, Floats) * (factor * kSteps));
  };
  __m512i sum = {};
  auto likely = [&](int64_t k) {
    const __m512i steps = _mm512_packus_epi32(steps_below(k), steps_below(k + kLanes));
    const __m512i part = _mm512_slli_epi16(steps, 6);
    const __m512i slope = _mm512_sub_epi16(linear, _mm512_mulhi_epu16(part, square));
    const __m512i mantissa = _mm512_sub_epi16(one, _mm512_mulhi_epu16(part, slope));
    const __m512i y = _mm512_srlv_epi16(mantissa, _mm512_srli_epi16(steps, 10));
    sum = _mm512_dpwssd_epi32(sum, y, ones);
    return _mm512_mulhrs_epi16(y, _mm512_set1_epi16(256));
  };
  for (int64_t k = 0; k < width; k += kNarrowed)
    store_as(probabilities + k, _mm512_packus_epi16(likely(k), likely(k + 2 * kLanes)));
  return sum_of((Ints)sum) / 128.f;
}
constexpr float kLikeliest = kWhole;
#else
constexpr float kLikeliest = 9.9992807e-1f * kWhole;
// 255 or 127 times 2^x for x <= 0; relative error below 8e-5, a fiftieth of a level
inline Floats whole_exp2(Floats x) {
  x = max(x, fill(-100.f));
  const Floats shifted = x + 12582912.f;
  const Floats part = x - (shifted - 12582912.f);
  Floats y = fill(5.517166e-2f * kWhole);
  y = fma(y, part, fill(2.4261112e-1f * kWhole));
  y = fma(y, part, fill(6.9326099e-1f * kWhole));
  y = fma(y, part, fill(kLikeliest));
  return (Floats)((Words)y + ((Words)shifted << 23));
}
inline float weigh_keys(const int32_t* scores, int64_t width, int32_t most, float factor,
                        uint8_t* probabilities) {
  Floats sum = {};
  for (int64_t k = 0; k < width; k += kNarrowed) {
    Ints levels[4];
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const Ints below = load_as<Ints>(scores + k + part * kLanes) - most;
      const Floats likely = whole_exp2(__builtin_convertvector(below, Floats) * factor);
      sum += likely;
      levels[part] = nearest(likely);
    }
    store_narrowed(probabilities + k, levels[0], levels[1], levels[2], levels[3]);
  }
  return sum_of(sum);
}
#endif

// the same for the first `count` scores. Levels of the others meet values of zero: it is only their
// sum that must not count, so they weigh what is known.
__attribute__((noinline)) float weigh_existing(int32_t* scores, int64_t count, int32_t most,
                                               float factor, uint8_t* probabilities) {
  const int64_t width = whole_steps(count);
  for (int64_t k = count; k < width; ++k) scores[k] = most;
  const float sum = weigh_keys(scores, width, most, factor, probabilities);
  return sum - (width - count) * kLikeliest;
}

// kRows rows against a block: what they gathered before fades as far as the block has likelier keys
template <int D, int R = kRows>
inline void attend_block(NarrowRows<D>& rows, int64_t row, NarrowHead<D>& head, int64_t block,
                         int64_t count) {
  const int64_t width = whole_steps(count);
  int32_t most[R];
  score_keys<D, R>(rows, row, head, block, width, most);
  float fade[R], gain[R], part[R];
  for (int r = 0; r < R; ++r) {
    const float exact = rows.factor[row + r] * head.key_scale[block];
    // a step of more than 1 would leave the range of exponents; it is far beyond what levels tell
    const float factor = std::min(exact, 1.f);
    const float before = rows.peak[row + r], here = most[r] * factor;
    const float after = std::max(before, here);
    fade[r] = exp2_of(fill(before - after))[0];
    gain[r] = exp2_of(fill(here - after))[0];
    rows.peak[row + r] = after;
    part[r] = gain[r] * weigh_existing(rows.scores + r * kPatchBlock, count, most[r], factor,
                                       rows.probabilities + r * kPatchBlock);
    // no number where a query or a key is none, or both are too large
    rows.sum[row + r] = rows.sum[row + r] * fade[r] + part[r] + exact * 0.f;
  }
  for (int64_t column = 0; column < D; column += kColumns) {
    Ints sums[R][kVectors] = {};
    dot_tile<Int8Dot, R>((const char*)rows.probabilities, kPatchBlock,
                         (const char*)head.value_block(block) + column * kPatchBlock, width / 4,
                         sums);
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) {
      const int64_t at = column + c * kLanes;
      const Floats scale = load(head.scales_of(block) + at), mean = load(head.means_of(block) + at);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        float* out = rows.out + (row + r) * D + at;
        const Floats mixed = __builtin_convertvector(sums[r][c], Floats) * (scale * gain[r]);
        store(out, fma(mean, fill(part[r]), fma(load(out), fill(fade[r]), mixed)));
      }
    }
  }
}

// one head of qkv (n, 3, heads, D) -> levels
template <int D>
void narrow_head(const bf16* queries, int64_t n, int64_t heads, const float* cosine,
                 const float* sine, float* wide, NarrowHead<D>& head) {
  const int64_t stride = 3 * heads * D;
  const bf16 *keys = queries + heads * D, *values = keys + heads * D;
  alignas(64) float mean[D] = {}, key[D];
  for (int64_t k = 0; k < n; ++k) {
    rotated<D>(keys + k * stride, cosine + k * D, sine + k * D, key);
    for (int i = 0; i < D; i += kLanes) store(mean + i, load(mean + i) + load(key + i));
  }
  for (int i = 0; i < D; i += kLanes) store(mean + i, load(mean + i) * (1.f / n));
  head.reserve((n + kPatchBlock - 1) / kPatchBlock);
  for (int64_t first = 0; first < n; first += kPatchBlock) {
    const int64_t block = first / kPatchBlock, count = std::min(kPatchBlock, n - first);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t at = first + k;
      rotated<D>(keys + at * stride, cosine + at * D, sine + at * D, wide + k * D);
      for (int i = 0; i < D; i += kLanes)
        store(wide + k * D + i, load(wide + k * D + i) - load(mean + i));
    }
    head.put_keys(block, wide, count);
    for (int64_t k = 0; k < count; ++k)
      for (int i = 0; i < D; i += kLanes)
        store(wide + k * D + i, load(values + (first + k) * stride + i));
    head.put_values(block, wide, count);
  }
}

// rows that are missing from the last kRows are nothing but zeros: fewer need no code of their own
template <int D>
void attend_rows(NarrowRows<D>& rows, int64_t count, NarrowHead<D>& head, int64_t n) {
  alignas(64) static const float missing[D] = {};
  for (; count % kRows; ++count) rows.put_query(count, missing);
  std::memset(rows.out, 0, count * D * sizeof(float));
  for (int64_t first = 0; first < n; first += kPatchBlock) {
    const int64_t keys = std::min(kPatchBlock, n - first);
    for (int64_t m = 0; m < count; m += kRows)
      attend_block<D>(rows, m, head, first / kPatchBlock, keys);
  }
}

// as attend_image(); where products of 8 bits are no faster, that is what runs
template <int D>
void attend_image_int8(const bf16* qkv, int64_t n, int64_t heads, const float* cosine,
                       const float* sine, bf16* out) {
  if (!kNarrowAttention) return attend_image<D>(qkv, n, heads, cosine, sine, out);
  static_assert(D == kSpread && D % kColumns == 0, "a head is rotated whole, and fills its panels");
  const int64_t tasks = (n + kTaskRows - 1) / kTaskRows;
#pragma omp parallel num_threads(threads)
  {
    NarrowHead<D> head;
    auto rows = std::make_unique<NarrowRows<D>>();
    int64_t narrowed = -1;
    const Share mine = share(heads * tasks);
    for (int64_t task = mine.first; task < mine.end; ++task) {
      const int64_t h = task / tasks, first = task % tasks * kTaskRows;
      const int64_t count = std::min(kTaskRows, n - first);
      const bf16* queries = qkv + h * D;
      if (narrowed != h) narrow_head<D>(queries, n, heads, cosine, sine, rows->block, head);
      narrowed = h;
      for (int64_t r = 0; r < count; ++r) {
        alignas(64) float query[D];
        const int64_t at = first + r;
        rotated<D>(queries + at * 3 * heads * D, cosine + at * D, sine + at * D, query);
        rows->put_query(r, query);
      }
      attend_rows<D>(*rows, count, head, n);
      for (int64_t r = 0; r < count; ++r) {
        const float inverse = 1.f / rows->sum[r];
        for (int i = 0; i < D; i += kLanes)
          store(out + ((first + r) * heads + h) * D + i, load(rows->out + r * D + i) * inverse);
      }
    }
  }
}

}  // namespace
