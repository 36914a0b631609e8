// The functions that Python calls.
#include "attention_int8.h"
#include "grouped.h"

namespace {

// rows whose sums with four weights fit into the registers
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
constexpr int kUnpackedRows = 6;
#elif defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kUnpackedRows = 4;
#else
constexpr int kUnpackedRows = 2;
#endif

// R rows of y from `m` on, 4 outputs from `n` on; four weights share each load of x
template <int R>
void unpacked_tile(const bf16* weight, int64_t n, int64_t width, const bf16* x, int64_t m,
                   int64_t outputs, float* y) {
  Floats sums[R][4] = {};
  for (int64_t i = 0; i < width; i += 2 * kLanes) {
    Pairs part[R];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) part[r] = load_pairs(x + (m + r) * width + i);
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const Pairs w = load_pairs(weight + (n + c) * width + i);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) sums[r][c] = add_pairs(sums[r][c], part[r], w);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < 4; ++c) y[(m + r) * outputs + n + c] = sum_of(sums[r][c]);
}

}  // namespace

extern "C" {

// weight (outputs, bytes) row-major -> panels; the last panel is filled with zeros
void pack_panels(const char* weight, int64_t outputs, int64_t bytes, char* panels) {
  const int64_t groups = bytes / 4, count = (outputs + kColumns - 1) / kColumns;
#pragma omp parallel for num_threads(threads)
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

// weight (outputs, width) -> int8 levels, and per output a scale and 128 * sum of its levels
void quantize_weight(const bf16* weight, int64_t outputs, int64_t width, int8_t* levels,
                     float* scales, int32_t* offsets) {
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> spread(width);
    const Share mine = share(outputs);
    for (int64_t n = mine.first; n < mine.end; ++n)
      quantize_output(weight + n * width, width, spread.data(), levels + n * width, scales + n,
                      offsets + n);
  }
}

// `left` (rows, width) is scratch for left_bytes() of each value, not used where that is 2
void linear_bf16(const Linear* linear, const bf16* x, int64_t rows, void* left, void* y,
                 const bf16* residual) {
  using Left = Bf16Dot::Left;
  const int64_t width = linear->bytes / 2;
#pragma omp parallel num_threads(threads)
  {
    const TileUse tiles;
    if (!std::is_same<Left, bf16>::value) {
      const Share mine = share(rows);
      for (int64_t m = mine.first; m < mine.end; ++m)
        copy_row(x + m * width, width, (Left*)left + m * width);
#pragma omp barrier
    }
    const void* side = std::is_same<Left, bf16>::value ? (const void*)x : left;
    run_linear<Bf16Dot>(*linear, (const char*)side, nullptr, rows, y, residual);
  }
}

// `levels` (rows, width) and `scales` (rows) are scratch
void linear_int8(const Linear* linear, const bf16* x, int64_t rows, uint8_t* levels, float* scales,
                 void* y, const bf16* residual) {
  const int64_t width = linear->bytes;
#pragma omp parallel num_threads(threads)
  {
    const TileUse tiles;
    std::vector<float> spread(width);
    const Share mine = share(rows);
    for (int64_t m = mine.first; m < mine.end; ++m)
      quantize_row(x + m * width, width, spread.data(), levels + m * width, scales + m);
#pragma omp barrier
    run_linear<Int8Dot>(*linear, (const char*)levels, scales, rows, y, residual);
  }
}

int64_t int4_bytes(int64_t outputs, int64_t width) {
  return (outputs + kColumns - 1) / kColumns * groups_of(width) * kGroupedBytes;
}

// weight (outputs, width) -> panels of int4_bytes(), filled with zeros before, and a scale per output
void pack_int4(const bf16* weight, int64_t outputs, int64_t width, char* panels, float* scales) {
  const int64_t panel_bytes = groups_of(width) * kGroupedBytes;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> spread(groups_of(width) * kSpread);
    std::vector<Range> ranges(groups_of(width));
    // whole panels, as columns of one panel share bytes' neighbourhood
    const Share mine = share((outputs + kColumns - 1) / kColumns);
    for (int64_t n = mine.first * kColumns; n < std::min(outputs, mine.end * kColumns); ++n)
      scales[n] = pack_grouped_column(weight + n * width, width, spread.data(), ranges.data(),
                                      panels + n / kColumns * panel_bytes, n % kColumns);
  }
}

// `levels` (rows, groups * 64), `scales` (rows) and `sums` (rows, groups) are scratch; linear->bytes
// is the width of x
void linear_int4(const Linear* linear, const bf16* x, int64_t rows, int8_t* levels, float* scales,
                 float* sums, void* y, const bf16* residual) {
  const int64_t width = linear->bytes, groups = groups_of(width);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> spread(groups * kSpread);
    const Share mine = share(rows);
    for (int64_t m = mine.first; m < mine.end; ++m)
      quantize_grouped_row(x + m * width, width, spread.data(), levels + m * groups * kSpread,
                           scales + m, sums + m * groups);
#pragma omp barrier
    const GroupedRows left = {levels, scales, sums};
    if (linear->wide)
      run_grouped_panels(*linear, groups, left, rows, (float*)y, residual);
    else
      run_grouped_panels(*linear, groups, left, rows, (bf16*)y, residual);
  }
}

// y (rows, outputs) = x . weight in the order of the file, (outputs, width); for few rows
void linear_unpacked(const bf16* weight, int64_t outputs, int64_t width, const bf16* x,
                     int64_t rows, float* y) {
#pragma omp parallel num_threads(threads)
  {
    const Share mine = share((outputs + 3) / 4);
    for (int64_t n = mine.first * 4; n < std::min(mine.end * 4, outputs); n += 4)
      for (int64_t m = 0; m < rows; m += kUnpackedRows)
        with_rows<kUnpackedRows>(rows - m, [&](auto count) {
          unpacked_tile<decltype(count)::value>(weight, std::min(n, outputs - 4), width, x, m,
                                                outputs, y);
        });
  }
}

void rms_norm(const bf16* x, int64_t rows, int64_t width, const bf16* weight, float eps, bf16* y) {
#pragma omp parallel for num_threads(threads) if (rows > 8)
  for (int64_t m = 0; m < rows; ++m) {
    const bf16* row = x + m * width;
    const float scale = 1.f / std::sqrt(sum_squares(row, width) / width + eps);
    for (int64_t i = 0; i < width; i += kLanes)
      store(y + m * width + i, load(row + i) * scale * load(weight + i));
  }
}

void layer_norm(const bf16* x, int64_t rows, int64_t width, const bf16* weight, const bf16* bias,
                float eps, bf16* y) {
#pragma omp parallel for num_threads(threads) if (rows > 8)
  for (int64_t m = 0; m < rows; ++m) {
    const bf16* row = x + m * width;
    Floats sum = {}, squares = {};
    for (int64_t i = 0; i < width; i += kLanes) sum += load(row + i);
    const float mean = sum_of(sum) / width;
    for (int64_t i = 0; i < width; i += kLanes) {
      const Floats off = load(row + i) - mean;
      squares = fma(off, off, squares);
    }
    const float scale = 1.f / std::sqrt(sum_of(squares) / width + eps);
    for (int64_t i = 0; i < width; i += kLanes)
      store(y + m * width + i,
            fma((load(row + i) - mean) * scale, load(weight + i), load(bias + i)));
  }
}

// qkv (rows, heads + 2 kv_heads, width): queries out, keys and values into the segments' buffers
void store_keys(const bf16* qkv, const bf16* query_norm, const bf16* key_norm, float eps,
                const bf16* cosine, const bf16* sine, const Segment* segments, int64_t n,
                int64_t layer, int64_t heads, int64_t kv_heads, int64_t width, bf16* queries) {
  const int64_t rows = segments[n - 1].first + segments[n - 1].count;
#pragma omp parallel num_threads(threads) if (rows > 8)
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

// the same by products of 8 bits, where the CPU has them
void attend_patches_int8(const bf16* qkv, int64_t n, int64_t heads, const float* cosine,
                         const float* sine, bf16* out) {
  attend_image_int8<64>(qkv, n, heads, cosine, sine, out);
}

void set_threads(int64_t count) { threads = (int)count; }

// whether this process may use what the kernels were compiled for, and it works
int64_t prepare_process() { return try_tiles(); }

// what Python must know of this instruction set: outputs of a panel, and bytes of a left value
int64_t panel_outputs() { return kColumns; }
int64_t left_bytes() { return sizeof(Bf16Dot::Left); }
}
