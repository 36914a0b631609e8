// Products by AMX: tiles of 16 rows by 64 bytes, which one instruction multiplies.
//
// The right side's panels are already in the order that it wants: 16 groups of a panel are the rows
// of a tile, 16 columns its 64 bytes. SIGHTLINE_TILES is 1 where the CPU multiplies them, and 2 in
// tests on other CPUs, where plain loops do what the instructions are described to do.
#pragma once
#include "dot.h"

#if SIGHTLINE_TILES == 1
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

#if SIGHTLINE_TILES
constexpr bool kTiles = true;
constexpr int kTileRows = 16, kTileBytes = 64, kTileColumns = 16;
static_assert(kColumns == 4 * kTileColumns && kLanes == kTileColumns);

// numbers of tiles: sums, then the left side, then the right side
constexpr int kSums = 0, kLeft = 4, kRight = 6;

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

inline float product_of(bf16 a, bf16 b) {
  const uint32_t bits[2] = {(uint32_t)a << 16, (uint32_t)b << 16};
  float x[2];
  std::memcpy(x, bits, 8);
  return x[0] * x[1];
}

#if SIGHTLINE_TILES == 1
// written out: GCC's own functions do not say that they read memory
inline void set_shapes(const TileShapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes)); }
inline void release_tiles() { asm volatile("tilerelease" ::: "memory"); }
template <int T>
inline void clear_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
inline void load_tile(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T>
inline void store_tile(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory");
}
template <class Dot, int S, int L, int R>
inline void add_tile() {
  if constexpr (std::is_same<Dot, Int8Dot>::value)
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(S), "i"(L), "i"(R));
  else
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(S), "i"(L), "i"(R));
}
// the system keeps tiles for processes that ask for it
inline bool request_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
struct EmulatedTile {
  alignas(64) char rows[kTileRows][kTileBytes];
};
thread_local EmulatedTile emulated[8];
thread_local TileShapes emulated_shapes;
inline void set_shapes(const TileShapes& shapes) { emulated_shapes = shapes; }
inline void release_tiles() { emulated_shapes = {}; }
template <int T>
inline void clear_tile() {
  emulated[T] = {};
}
template <int T>
inline void load_tile(const void* from, int64_t stride) {
  emulated[T] = {};
  for (int r = 0; r < emulated_shapes.rows[T]; ++r)
    std::memcpy(emulated[T].rows[r], (const char*)from + r * stride, emulated_shapes.bytes[T]);
}
template <int T>
inline void store_tile(void* to, int64_t stride) {
  for (int r = 0; r < emulated_shapes.rows[T]; ++r)
    std::memcpy((char*)to + r * stride, emulated[T].rows[r], emulated_shapes.bytes[T]);
}
template <class Value>
inline Value value_in(const EmulatedTile& tile, int row, int at) {
  Value x;
  std::memcpy(&x, tile.rows[row] + at * sizeof x, sizeof x);
  return x;
}
template <class Dot, int S, int L, int R>
inline void add_tile() {
  for (int m = 0; m < emulated_shapes.rows[L]; ++m)
    for (int n = 0; n < kTileColumns; ++n) {
      auto sum = value_in<std::conditional_t<std::is_same<Dot, Int8Dot>::value, int32_t, float>>(emulated[S], m, n);
      for (int g = 0; g < emulated_shapes.rows[R]; ++g)
        if constexpr (std::is_same<Dot, Int8Dot>::value)
          for (int i = 0; i < 4; ++i)
            sum += value_in<uint8_t>(emulated[L], m, g * 4 + i) *
                   value_in<int8_t>(emulated[R], g, n * 4 + i);
        else
          for (int i = 0; i < 2; ++i)
            sum += product_of(value_in<bf16>(emulated[L], m, g * 2 + i),
                              value_in<bf16>(emulated[R], g, n * 2 + i));
      std::memcpy(emulated[S].rows[m] + n * 4, &sum, 4);
    }
}
inline bool request_tiles() { return true; }
#endif

// Held by a thread in a parallel region. Others may use the tiles of its threads between regions.
struct TileUse {
  static inline thread_local int rows = 0;

  TileUse() { rows = 0; }
  ~TileUse() {
    if (rows) release_tiles();
    rows = 0;
  }
  // how many rows of the left side stand in each of two tiles, or in the first alone
  static inline void shape_for(int count) {
    if (rows == count) return;
    rows = count;
    TileShapes shapes;
    const int upper = std::min(count, kTileRows), lower = std::max(count - kTileRows, 1);
    for (int t = 0; t < 8; ++t) shapes.bytes[t] = kTileBytes, shapes.rows[t] = kTileRows;
    for (int t : {kSums, kSums + 1, kLeft}) shapes.rows[t] = upper;
    for (int t : {kSums + 2, kSums + 3, kLeft + 1}) shapes.rows[t] = count > kTileRows ? lower : upper;
    set_shapes(shapes);
  }
};

// sums of up to 16 rows with four tiles of columns; of more rows with two
constexpr int kTwoTiles = 2 * kTileRows;

// the sums of one row of tiles (of the left side) or of two with `columns` from `panel` on
template <class Dot, bool Lower>
inline void add_tiles(const char* left, int64_t stride, const char* panel, int64_t groups,
                      char* sums, int64_t sums_stride, bool add) {
  constexpr int64_t kPanelStride = kColumns * 4;
  // without a lower tile its sums are those of the next columns
  constexpr int kWidth = Lower ? 2 : 4;
  auto place = [&](int t) {
    return Lower ? sums + (t / 2) * kTileRows * sums_stride + (t % 2) * kTileBytes
                 : sums + t * kTileBytes;
  };
  if (add) {
    load_tile<0>(place(0), sums_stride);
    load_tile<1>(place(1), sums_stride);
    load_tile<2>(place(2), sums_stride);
    load_tile<3>(place(3), sums_stride);
  } else {
    clear_tile<0>(), clear_tile<1>(), clear_tile<2>(), clear_tile<3>();
  }
  for (int64_t g = 0; g < groups; g += kTileRows) {
    const char* right = panel + g * kPanelStride;
    load_tile<kLeft>(left + g * 4, stride);
    load_tile<kRight>(right, kPanelStride);
    add_tile<Dot, 0, kLeft, kRight>();
    load_tile<kRight + 1>(right + kTileBytes, kPanelStride);
    add_tile<Dot, 1, kLeft, kRight + 1>();
    if constexpr (kWidth == 2) {
      load_tile<kLeft + 1>(left + kTileRows * stride + g * 4, stride);
      add_tile<Dot, 2, kLeft + 1, kRight>();
      add_tile<Dot, 3, kLeft + 1, kRight + 1>();
    } else {
      load_tile<kRight>(right + 2 * kTileBytes, kPanelStride);
      add_tile<Dot, 2, kLeft, kRight>();
      load_tile<kRight + 1>(right + 3 * kTileBytes, kPanelStride);
      add_tile<Dot, 3, kLeft, kRight + 1>();
    }
  }
  store_tile<0>(place(0), sums_stride);
  store_tile<1>(place(1), sums_stride);
  store_tile<2>(place(2), sums_stride);
  store_tile<3>(place(3), sums_stride);
}

// sums (rows <= 32, kColumns) = left . panel, or are increased by it. A row's sums have the same
// order whatever rows stand beside it.
template <class Dot>
inline void multiply_tiles(const char* left, int64_t stride, int64_t rows, const char* panel,
                           int64_t groups, void* sums, int64_t sums_stride, bool add) {
  TileUse::shape_for((int)rows);
  if (rows <= kTileRows) {
    add_tiles<Dot, false>(left, stride, panel, groups, (char*)sums, sums_stride, add);
    return;
  }
  for (int half = 0; half < 2; ++half)
    add_tiles<Dot, true>(left, stride, panel + half * 2 * kTileBytes, groups,
                         (char*)sums + half * 2 * kTileBytes, sums_stride, add);
}

inline float plain(bf16 x) { return product_of(x, 0x3f80); }
inline int32_t plain(uint8_t x) { return x; }
inline int32_t plain(int8_t x) { return x; }
inline void make_small(int at, uint8_t& x) { x = at * 37; }
inline void make_small(int at, int8_t& x) { x = at * 53; }
// whole numbers up to 15, of which sums are exact
inline void make_small(int at, bf16& x) {
  const float value = (at * 29) % 31 - 15;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  x = bits >> 16;
}

// whether the tiles' sums are those of plain loops, to the bit
template <class Dot, class LeftValue, class RightValue>
inline bool multiplies_right() {
  constexpr int kGroups = 2 * kTileRows, kValues = 4 / sizeof(LeftValue), kWidth = kGroups * kValues;
  using Sum = decltype(plain(LeftValue()));
  LeftValue left[kTwoTiles * kWidth];
  RightValue panel[kColumns * kWidth];
  for (int i = 0; i < kTwoTiles * kWidth; ++i) make_small(i, left[i]);
  for (int i = 0; i < kColumns * kWidth; ++i) make_small(i, panel[i]);
  for (int rows : {1, 7, 16, 17, 31, 32}) {
    Sum sums[kTwoTiles][kColumns] = {};
    for (bool add : {false, true})
      multiply_tiles<Dot>((const char*)left, kWidth * sizeof *left, rows, (const char*)panel,
                          kGroups, sums, sizeof *sums, add);
    for (int m = 0; m < rows; ++m)
      for (int n = 0; n < kColumns; ++n) {
        Sum exact = 0;
        for (int i = 0; i < kWidth; ++i)
          exact += plain(left[m * kWidth + i]) *
                   plain(panel[(i / kValues * kColumns + n) * kValues + i % kValues]);
        if (sums[m][n] != 2 * exact) return false;
      }
  }
  return true;
}
// tried before use: few CPUs have been seen to do it
inline bool try_tiles() {
  if (!request_tiles()) return false;
  const TileUse tiles;
  return multiplies_right<Int8Dot, uint8_t, int8_t>() && multiplies_right<Bf16Dot, bf16, bf16>();
}

// Whole tiles of the inner dimension only. Sums of int8 are exact in any order: few rows, which
// wait for memory, are left to the other kernel.
template <class Dot>
inline bool suits_tiles(int64_t rows, int64_t groups) {
  constexpr int64_t kFewest = std::is_same<Dot, Int8Dot>::value ? 9 : 1;
  return groups % kTileRows == 0 && rows >= kFewest;
}
#else
constexpr bool kTiles = false;
constexpr int kTwoTiles = 1;
struct TileUse {
  TileUse() {}
  ~TileUse() {}
};
template <class Dot>
inline void multiply_tiles(const char*, int64_t, int64_t, const char*, int64_t, void*, int64_t,
                           bool) {}
template <class Dot>
inline bool suits_tiles(int64_t, int64_t) {
  return false;
}
inline bool try_tiles() { return true; }
#endif

// sums (rows, kColumns), `sums_stride` bytes apart, = left . panel, or are increased by it; by tiles
// for up to kTwoTiles rows where they suit
template <class Dot>
inline void multiply(const char* left, int64_t stride, int64_t rows, const char* panel,
                     int64_t groups, void* sums, int64_t sums_stride, bool add) {
  if (suits_tiles<Dot>(rows, groups)) {
    multiply_tiles<Dot>(left, stride, rows, panel, groups, sums, sums_stride, add);
    return;
  }
  for (int64_t m = 0; m < rows; m += kRows)
    with_rows(rows - m, [&](auto count) {
      multiply_rows<Dot, decltype(count)::value>(left + m * stride, stride, panel, groups,
                                                 (char*)sums + m * sums_stride, sums_stride, add);
    });
}

}  // namespace
