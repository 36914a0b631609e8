// Exact attention in blocks of keys, with running maxima and sums: image patches and text.
#pragma once
#include "tiles.h"

namespace {

constexpr int64_t kKeyBlock = 256;
// the score of a key that a row does not attend to
constexpr float kHidden = -3e38f;
constexpr int64_t kQueryTile = kTiles ? kTwoTiles : 24;

// Values of bfloat16 in whole registers, so that panels begin where lines of the cache do.
struct Panels {
  std::vector<Words> registers;
  void resize(int64_t values) { registers.resize(values * sizeof(bf16) / sizeof(Words)); }
  bf16* data() { return (bf16*)registers.data(); }
  const bf16* data() const { return (const bf16*)registers.data(); }
};

// keys and values of one head, packed as panels for the micro-kernel; missing keys are zero
template <int D>
struct PackedHead {
  // [panel][D/2][kColumns][2] and [D/kColumns][key pair][kColumns][2]
  Panels keys, values;
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
  // kLanes keys in a row of memory, `at` a multiple of it: squares of them are turned in registers
  void put_keys(int64_t at, const bf16* from) {
    uint32_t* to = (uint32_t*)keys.data() + at / kColumns * kColumns * (D / 2) + at % kColumns;
    for (int group = 0; group < D / 2; group += kLanes) {
      Words square[kLanes];
      for (int i = 0; i < kLanes; ++i)
        std::memcpy(square + i, from + i * D + group * 2, sizeof(Words));
      transpose(square);
      for (int i = 0; i < kLanes; ++i)
        std::memcpy(to + (group + i) * kColumns, square + i, sizeof(Words));
    }
  }
  void put_values(int64_t at, const bf16* even, const bf16* odd) {
    const int64_t pairs = padded / 2;
    for (int i = 0; i < D; i += kLanes) {
      const Words high = odd ? load_words(odd + i) << 16 : Words{};
      bf16* to = values.data() + ((i / kColumns) * pairs + at / 2) * kColumns * 2 +
                 (i % kColumns) * 2;
      store_as(to, load_words(even + i) | high);
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
  using Left = Bf16Dot::Left;
  alignas(64) Left queries[kQueryTile * D];
  alignas(64) float scores[kQueryTile * kKeyBlock];
  alignas(64) Left probabilities[kQueryTile * kKeyBlock];
  alignas(64) float out[kQueryTile * D];
  float peak[kQueryTile], sum[kQueryTile];
  int64_t visible[kQueryTile];  // keys that each row attends to
};

// scores of all tile rows against keys [k0, k0 + width), width a multiple of kColumns
template <int D>
void score_block(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, int64_t k0,
                 int64_t width) {
  for (int64_t k = 0; k < width; k += kColumns)
    multiply<Bf16Dot>((const char*)tile.queries, sizeof(*tile.queries) * D, rows,
                      (const char*)(head.keys.data() + (k0 + k) * D), D / 2, tile.scores + k,
                      kKeyBlock * sizeof(float), false);
}

// scores become unnormalised probabilities; sums and earlier output are rescaled to the new maximum
template <int D>
void softmax_row(Tile<D>& tile, int64_t row, int64_t k0, int64_t width, float scale) {
  float* scores = tile.scores + row * kKeyBlock;
  auto* probabilities = tile.probabilities + row * kKeyBlock;
  const int64_t visible = std::clamp<int64_t>(tile.visible[row] - k0, 0, width);
  if (!visible) {
    std::memset(probabilities, 0, width * sizeof(*probabilities));
    return;
  }
  for (int64_t i = visible; i < width; ++i) scores[i] = kHidden;
  Floats peak = fill(kHidden), sum = {};
  for (int64_t i = 0; i < width; i += kLanes) {
    const Floats score = load(scores + i);
    peak = max(peak, score);
    // no number where a score is none, which all that follows would pass over
    sum = fma(score, Floats{}, sum);
  }
  const float before = tile.peak[row];
  const float highest = std::max(before, max_of(peak) * scale);
  const Floats factor = fill(scale), shift = fill(-highest);
  for (int64_t i = 0; i < width; i += kLanes) {
    const Floats x = fma(load(scores + i), factor, shift);
    const Floats probability = keep_from(x, -126.f, exp2_of(x));
    sum += probability;
    store(probabilities + i, probability);
  }
  tile.peak[row] = highest;
  const float fade = before == -INFINITY ? 0.f : std::exp2(before - highest);
  tile.sum[row] = tile.sum[row] * fade + sum_of(sum);
  if (fade == 1.f) return;
  for (int i = 0; i < D; i += kLanes) {
    float* out = tile.out + row * D + i;
    store(out, load(out) * fade);
  }
}

template <int D>
void mix_values(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, int64_t k0,
                int64_t width) {
  for (int64_t panel = 0; panel < D / kColumns; ++panel) {
    const bf16* values = head.values.data() + (panel * head.padded / 2 + k0 / 2) * kColumns * 2;
    multiply<Bf16Dot>((const char*)tile.probabilities, sizeof(*tile.probabilities) * kKeyBlock, rows,
                      (const char*)values, width / 2, tile.out + panel * kColumns,
                      D * sizeof(float), true);
  }
}

// queries and `visible` of the tile are set before; writes row r to out(r)
template <int D, class Out>
void attend_tile(Tile<D>& tile, int64_t rows, const PackedHead<D>& head, float scale, Out out) {
  int64_t last = 0;
  for (int64_t r = 0; r < rows; ++r) {
    tile.peak[r] = -INFINITY;
    tile.sum[r] = 0.f;
    last = std::max(last, tile.visible[r]);
  }
  std::memset(tile.out, 0, rows * D * sizeof(float));
  for (int64_t k0 = 0; k0 < last; k0 += kKeyBlock) {
    const int64_t width = std::min(kKeyBlock, (last - k0 + kColumns - 1) / kColumns * kColumns);
    score_block<D>(tile, rows, head, k0, width);
    for (int64_t r = 0; r < rows; ++r) softmax_row<D>(tile, r, k0, width, scale * kLog2e);
    mix_values<D>(tile, rows, head, k0, width);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const float inverse = 1.f / tile.sum[r];
    bf16* to = out(r);
    for (int i = 0; i < D; i += kLanes) store(to + i, load(tile.out + r * D + i) * inverse);
  }
}

template <int D, class Out>
void rotated(const bf16* x, const float* cosine, const float* sine, Out* out) {
  float wide[D];
  for (int i = 0; i < D; i += kLanes) store(wide + i, load(x + i));
  rotate(wide, cosine, sine, D, out);
}

// qkv (n, 3, heads, D) -> out (n, heads, D); every patch attends to all
template <int D>
void attend_image(const bf16* qkv, int64_t n, int64_t heads, const float* cosine,
                  const float* sine, bf16* out) {
  const int64_t stride = 3 * heads * D, queries_per_task = 768;
  const int64_t blocks = (n + queries_per_task - 1) / queries_per_task;
#pragma omp parallel num_threads(threads)
  {
    const TileUse tiles;
    PackedHead<D> packed;
    auto tile = std::make_unique<Tile<D>>();
    int64_t packed_head = -1;
    const Share mine = share(heads * blocks);
    for (int64_t task = mine.first; task < mine.end; ++task) {
      const int64_t head = task / blocks, first = task % blocks * queries_per_task;
      const bf16* queries = qkv + head * D;
      if (packed_head != head) {
        packed_head = head;
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
      for (int64_t q = first; q < std::min(n, first + queries_per_task); q += kQueryTile) {
        const int64_t rows = std::min(kQueryTile, std::min(n, first + queries_per_task) - q);
        for (int64_t r = 0; r < rows; ++r) {
          rotated<D>(queries + (q + r) * stride, cosine + (q + r) * D, sine + (q + r) * D,
                     tile->queries + r * D);
          tile->visible[r] = n;
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

// all rows of a segment, all query heads of one key head. A row's sums have the same order whatever
// rows stand beside it, so that a token has the same logits alone, in a chunk and in a draft.
template <int D>
void attend_segment(const Segment& s, const bf16* queries, int64_t heads, int64_t kv_heads,
                  int64_t kv_head, int64_t layer, PackedHead<D>& packed, Tile<D>& tile, bf16* out) {
  const int64_t group = heads / kv_heads, total = s.past + s.count;
  const bf16* keys = buffer_of<D>(s, layer, 0, kv_heads, kv_head);
  const bf16* values = buffer_of<D>(s, layer, 1, kv_heads, kv_head);
  packed.reserve(total);
  const int64_t whole = total / kLanes * kLanes;
  for (int64_t k = 0; k < whole; k += kLanes) packed.put_keys(k, keys + k * D);
  for (int64_t k = whole; k < total; ++k) packed.put_key(k, keys + k * D);
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
      copy_row(queries + place(q + r), D, tile.queries + r * D);
      tile.visible[r] = s.past + (q + r) / group + 1;
    }
    attend_tile<D>(tile, rows, packed, 1.f / std::sqrt((float)D),
                   [&](int64_t r) { return out + place(q + r); });
  }
}

template <int D>
void attend_segments(const bf16* queries, const Segment* segments, int64_t n, int64_t layer,
                     int64_t heads, int64_t kv_heads, bf16* out) {
#pragma omp parallel num_threads(threads)
  {
    const TileUse tiles;
    // kept from call to call: fresh pages cost more than what is done in them
    thread_local PackedHead<D> packed;
    thread_local auto tile = std::make_unique<Tile<D>>();
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < n * kv_heads; ++task)
      attend_segment<D>(segments[task / kv_heads], queries, heads, kv_heads, task % kv_heads, layer,
                        packed, *tile, out);
  }
}

template <int D>
void store_row(const bf16* qkv, const bf16* query_norm, const bf16* key_norm, float eps,
               const bf16* cosine, const bf16* sine, const Segment& s, int64_t row, int64_t layer,
               int64_t heads, int64_t kv_heads, bf16* queries) {
  auto normalize_and_rotate = [&](const bf16* x, const bf16* norm, bf16* out) {
    const float scale = 1.f / std::sqrt(sum_squares(x, D) / D + eps);
    float wide[D];
    for (int i = 0; i < D; i += kLanes) store(wide + i, load(x + i) * scale * load(norm + i));
    rotate(wide, cosine, sine, D, out);
  };
  const int64_t at = s.past + row - s.first;
  for (int64_t h = 0; h < heads; ++h) normalize_and_rotate(qkv + h * D, query_norm, queries + h * D);
  for (int64_t h = 0; h < kv_heads; ++h) {
    bf16* key = buffer_of<D>(s, layer, 0, kv_heads, h) + at * D;
    normalize_and_rotate(qkv + (heads + h) * D, key_norm, key);
    std::memcpy(buffer_of<D>(s, layer, 1, kv_heads, h) + at * D,
                qkv + (heads + kv_heads + h) * D, D * 2);
  }
}

}  // namespace
