// What one thread of this CPU can do at most: products from registers, and reading memory. Prints
// operations a second in int8 and in bfloat16 as the kernels multiply it, then bytes a second.
#include <cstdio>
#include <ctime>

#include "dot.h"

namespace {

constexpr int64_t kRounds = 4000000, kMemory = 512 << 20;
// as many sums as the micro-kernel has, so that no product waits for another
constexpr int kSums = kRows * kVectors;

// keeps a value in a register, and the compiler from knowing it
template <class Vector>
inline void keep(Vector& x) {
#if defined(__ARM_NEON)
  asm volatile("" : "+w"(x));
#elif defined(__AVX512F__)
  asm volatile("" : "+v"(x));
#else
  asm volatile("" : "+x"(x));
#endif
}

double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

template <class Dot>
double operations_per_s() {
  typename Dot::Sum sums[kSums] = {};
  const uint32_t ones[kLanes * 2] = {};
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const double started = seconds();
    for (int64_t i = 0; i < kRounds / kSums; ++i)
      for (int step = 0; step < Dot::kSteps; ++step) {
        typename Dot::Part left = Dot::left((const char*)ones, step);
        typename Dot::Part right = Dot::right((const char*)ones, step);
        keep(left), keep(right);
#pragma GCC unroll 24
        for (int s = 0; s < kSums; ++s) sums[s] = Dot::add(sums[s], left, right);
      }
    for (auto& sum : sums) keep(sum);
    // a group is 4 values of int8 or 2 of bfloat16; a multiplication and an addition each
    const double values = std::is_same<Dot, Int8Dot>::value ? 4 : 2;
    best = std::max(best, kRounds / kSums * kSums * kLanes * values * 2 / (seconds() - started));
  }
  return best;
}

double bytes_per_s() {
  std::vector<char> memory(kMemory, 1);
  double best = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const double started = seconds();
    Words sums[4] = {};
    for (int64_t i = 0; i < kMemory; i += 4 * sizeof(Words))
      for (int s = 0; s < 4; ++s) sums[s] += load_as<Words>(memory.data() + i + s * sizeof(Words));
    for (auto& sum : sums) keep(sum);
    best = std::max(best, kMemory / (seconds() - started));
  }
  return best;
}

}  // namespace

int main() {
  std::printf("%g %g %g\n", operations_per_s<Int8Dot>(), operations_per_s<Bf16Dot>(), bytes_per_s());
}
