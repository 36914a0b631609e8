// Compares every kernel with plain float32 arithmetic, on sizes off all tiles, and prints what
// differs. Compiled for each instruction set, under AddressSanitizer or for another machine.
#include <cstdio>
#include <random>
#include <string>

#include "kernels.cpp"

namespace {

std::mt19937 draw(7);
int checked = 0, failed = 0;

float wide(bf16 x) {
  const uint32_t bits = (uint32_t)x << 16;
  float y;
  std::memcpy(&y, &bits, 4);
  return y;
}
bf16 rounded(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if (x != x) return 0x7fc0;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
std::vector<bf16> noise(int64_t count, float scale = 1.f) {
  std::normal_distribution<float> normal;
  std::vector<bf16> values(count);
  for (bf16& value : values) value = rounded(normal(draw) * scale);
  return values;
}
std::vector<float> widened(const std::vector<bf16>& x) {
  std::vector<float> y;
  for (bf16 value : x) y.push_back(wide(value));
  return y;
}

void expect(bool holds, const std::string& what) {
  ++checked;
  if (holds) return;
  ++failed;
  std::printf("wrong: %s\n", what.c_str());
}
// differences relative to the largest value; all numbers
void compare(const std::vector<float>& ours, const std::vector<float>& exact, float tolerance,
             const std::string& what) {
  float off = 0, most = 1e-30f;
  for (size_t i = 0; i < exact.size(); ++i) {
    off = std::max(off, std::isfinite(ours[i]) ? std::abs(ours[i] - exact[i]) : INFINITY);
    most = std::max(most, std::abs(exact[i]));
  }
  expect(off <= tolerance * most, what + ", off by " + std::to_string(off / most));
}

enum Form { kBf16, kInt8, kInt4 };
const char* kForms[] = {"bf16", "int8", "int4"};
// of what is rounded, relative to the largest value
const float kTolerances[] = {0.01f, 0.03f, 0.15f};

// a weight, prepared as native_linear.py does it
struct Layer {
  int64_t outputs, width;
  Form form;
  std::vector<bf16> weight;
  std::vector<float> bias;
  Linear linear{};
  std::vector<char> panels;
  std::vector<float> padded_bias, scale;
  std::vector<int32_t> offset;

  Layer(Form form, int64_t outputs, int64_t width, Activation activation, std::vector<bf16> values,
        bool biased)
      : outputs(outputs), width(width), form(form), weight(std::move(values)) {
    const int64_t padded = (outputs + kColumns - 1) / kColumns * kColumns;
    std::vector<bf16> ordered = weight;
    if (activation == kSwiglu) {
      const int64_t half = kColumns / 2;
      for (int64_t n = 0; n < outputs; ++n) {
        const int64_t panel = n / kColumns, at = n % kColumns;
        const int64_t from =
            at < half ? panel * half + at : outputs / 2 + panel * half + at - half;
        std::copy_n(weight.begin() + from * width, width, ordered.begin() + n * width);
      }
    }
    const int64_t bytes = form == kBf16 ? width * 2 : width;
    panels.resize(form == kInt4 ? int4_bytes(outputs, width) : padded * bytes);
    scale.resize(padded);
    offset.resize(padded);
    std::vector<int8_t> levels(outputs * width);
    if (form == kInt8)
      quantize_weight(ordered.data(), outputs, width, levels.data(), scale.data(), offset.data());
    if (form == kInt4)
      pack_int4(ordered.data(), outputs, width, panels.data(), scale.data());
    else
      pack_panels(form == kInt8 ? (const char*)levels.data() : (const char*)ordered.data(), outputs,
                bytes, panels.data());
    if (biased) {
      bias = widened(noise(outputs));
      padded_bias = bias;
      padded_bias.resize(padded);
    }
    linear = {panels.data(),  outputs,       bytes, biased ? padded_bias.data() : nullptr,
              scale.data(),   offset.data(), activation, 0};
  }

  int64_t y_width() const { return linear.activation == kSwiglu ? outputs / 2 : outputs; }

  template <class Out>
  std::vector<Out> run(const std::vector<bf16>& x, const bf16* residual) {
    const int64_t rows = x.size() / width;
    std::vector<Out> y(rows * y_width());
    linear.wide = sizeof(Out) == 4;
    if (form == kBf16) {
      std::vector<char> left(left_bytes() > 2 ? rows * width * left_bytes() : 0);
      linear_bf16(&linear, x.data(), rows, left.data(), y.data(), residual);
    } else if (form == kInt4) {
      const int64_t groups = (width + 63) / 64;
      std::vector<int8_t> levels(rows * groups * 64);
      std::vector<float> scales(rows), sums(rows * groups);
      linear_int4(&linear, x.data(), rows, levels.data(), scales.data(), sums.data(), y.data(),
                  residual);
    } else {
      std::vector<uint8_t> levels(rows * width);
      std::vector<float> scales(rows);
      linear_int8(&linear, x.data(), rows, levels.data(), scales.data(), y.data(), residual);
    }
    return y;
  }

  std::vector<float> exact(const std::vector<bf16>& x, const bf16* residual) const {
    const int64_t rows = x.size() / width;
    std::vector<float> y;
    for (int64_t m = 0; m < rows; ++m) {
      std::vector<double> sums(outputs);
      for (int64_t n = 0; n < outputs; ++n) {
        for (int64_t i = 0; i < width; ++i)
          sums[n] += (double)wide(x[m * width + i]) * wide(weight[n * width + i]);
        if (!bias.empty()) sums[n] += bias[n];
      }
      for (int64_t n = 0; n < y_width(); ++n) {
        double v = sums[n];
        if (linear.activation == kSwiglu) v = v / (1 + std::exp(-v)) * sums[outputs / 2 + n];
        if (linear.activation == kGelu)
          v = 0.5 * v * (1 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)));
        if (residual) v += wide(residual[m * outputs + n]);
        y.push_back(v);
      }
    }
    return y;
  }
};

void check_products(Form form, int64_t rows, int64_t outputs, int64_t width, Activation then,
                    bool with_more) {
  Layer layer(form, outputs, width, then, noise(outputs * width, 0.1f), with_more);
  const std::vector<bf16> x = noise(rows * width), residual = noise(rows * outputs);
  const bf16* added = with_more && then == kNone ? residual.data() : nullptr;
  const std::string what = std::string(kForms[form]) + " " + std::to_string(rows) + "x" +
                           std::to_string(width) + "x" + std::to_string(outputs) + " then " +
                           std::to_string(then);
  const std::vector<float> exact = layer.exact(x, added);
  // a product of two outputs has the errors of both
  const float tolerance = kTolerances[form] * (form == kInt4 && then == kSwiglu ? 2 : 1);
  compare(widened(layer.run<bf16>(x, added)), exact, tolerance, what);
  if (!added)
    compare(layer.run<float>(x, nullptr), exact, form == kBf16 ? 2e-4f : tolerance, what + " wide");
}

// each row for itself gives what it gives among others
void check_rows_alone(Form form) {
  const int64_t rows = 13, width = 2112;
  Layer layer(form, 130, width, kNone, noise(130 * width, 0.1f), false);
  const std::vector<bf16> x = noise(rows * width), together = layer.run<bf16>(x, nullptr);
  for (int64_t m = 0; m < rows; ++m) {
    const std::vector<bf16> row(x.begin() + m * width, x.begin() + (m + 1) * width);
    const std::vector<bf16> alone = layer.run<bf16>(row, nullptr);
    expect(std::equal(alone.begin(), alone.end(), together.begin() + m * 130), "a row alone");
  }
}

// levels at both ends of their range, which must not overflow anywhere
void check_largest_levels() {
  for (float sign : {1.f, -1.f}) {
    const int64_t width = 32;  // less than a block is not rotated
    std::vector<bf16> ones(16 * width, rounded(sign)), x(3 * width, rounded(1.f));
    for (int64_t i = 0; i < width; ++i) x[width + i] = rounded(-1.f);
    Layer layer(kInt8, 16, width, kNone, ones, false);
    const std::vector<float> y = layer.run<float>(x, nullptr);
    for (int64_t n = 0; n < 16; ++n)
      expect(std::abs(y[n] - 32 * sign) < 0.3f && std::abs(y[16 + n] + 32 * sign) < 0.3f,
             "the largest levels: " + std::to_string(y[n]));
  }
}

// weights that have only 16 values lose nothing by 4 bits: what is left is that of activations
void check_sixteen_values() {
  const int64_t width = 32, outputs = 20;  // less than a block is not rotated
  std::vector<bf16> weight(outputs * width);
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = rounded(0.5f * (int)(i * 7 % 16) - 2.f);
  Layer layer(kInt4, outputs, width, kNone, weight, false);
  const std::vector<bf16> x = noise(5 * width);
  compare(layer.run<float>(x, nullptr), layer.exact(x, nullptr), 0.012f, "sixteen values");
}

void check_odd_values(Form form) {
  const int64_t width = 160, outputs = 70;
  Layer layer(form, outputs, width, kNone, noise(outputs * width, 0.1f), false);
  std::vector<bf16> x = noise(6 * width);
  const std::vector<bf16> before = layer.run<bf16>(x, nullptr);
  std::fill_n(x.begin(), width, 0);                                    // row 0: zeros
  for (int64_t i = 0; i < width; ++i) x[width + i] = i % 2 ? 0x8001 : 1;  // row 1: denormals
  x[2 * width + 70] = 0x7f80;                                          // row 2: an infinity
  x[3 * width + 9] = 0x7fc0;                                           // row 3: no number
  const std::vector<bf16> after = layer.run<bf16>(x, nullptr);
  for (int64_t n = 0; n < outputs; ++n) {
    expect(wide(after[n]) == 0, "a row of zeros");
    expect(std::abs(wide(after[outputs + n])) < 1e-6f, "a row of denormals");
    expect(!std::isfinite(wide(after[2 * outputs + n])), "a row with an infinity looks right");
    expect(!std::isfinite(wide(after[3 * outputs + n])), "a row with no number looks right");
  }
  expect(std::equal(before.begin() + 4 * outputs, before.end(), after.begin() + 4 * outputs),
         "odd rows change their neighbours");
}

void check_head(int64_t rows, int64_t outputs, int64_t width) {
  Layer layer(kBf16, outputs, width, kNone, noise(outputs * width, 0.1f), false);
  const std::vector<bf16> x = noise(rows * width);
  std::vector<float> y(rows * outputs);
  linear_unpacked(layer.weight.data(), outputs, width, x.data(), rows, y.data());
  compare(y, layer.exact(x, nullptr), 1e-5f, "head of " + std::to_string(outputs));
}

void check_norms(int64_t rows, int64_t width) {
  const std::vector<bf16> x = noise(rows * width, 3), weight = noise(width), bias = noise(width);
  std::vector<bf16> y(rows * width), z(rows * width);
  rms_norm(x.data(), rows, width, weight.data(), 1e-6f, y.data());
  layer_norm(x.data(), rows, width, weight.data(), bias.data(), 1e-6f, z.data());
  std::vector<float> exact, centered;
  for (int64_t m = 0; m < rows; ++m) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < width; ++i) {
      sum += wide(x[m * width + i]) / width;
      squares += std::pow(wide(x[m * width + i]), 2) / width;
    }
    for (int64_t i = 0; i < width; ++i) {
      const double v = wide(x[m * width + i]);
      exact.push_back(v / std::sqrt(squares + 1e-6) * wide(weight[i]));
      centered.push_back((v - sum) / std::sqrt(squares - sum * sum + 1e-6) * wide(weight[i]) +
                         wide(bias[i]));
    }
  }
  compare(widened(y), exact, 0.01f, "rms norm");
  compare(widened(z), centered, 0.01f, "layer norm");
}

// softmax(q . k / sqrt(D)) . v over `count` keys
std::vector<double> attended(const float* q, const std::vector<const float*>& keys,
                             const std::vector<const float*>& values, int64_t width) {
  std::vector<double> weights, out(width);
  double total = 0;
  for (const float* key : keys) {
    double score = 0;
    for (int64_t i = 0; i < width; ++i) score += (double)q[i] * key[i];
    weights.push_back(std::exp(score / std::sqrt((double)width)));
    total += weights.back();
  }
  for (size_t k = 0; k < keys.size(); ++k)
    for (int64_t i = 0; i < width; ++i) out[i] += weights[k] / total * values[k][i];
  return out;
}

// how an image's patches attend to each other, and its tolerance
struct ImageForm {
  const char* name;
  decltype(&attend_patches) attend;
  float tolerance;
};
// signs on both sides leave 7 bits for probabilities
const float kNarrow = Int8Dot::kZeroPoint ? 0.04f : 0.06f;
const ImageForm kImageForms[] = {{"image", attend_patches, 0.015f},
                                 {"image in int8", attend_patches_int8, kNarrow}};

// what is hard for 8 bits: all keys alike but for a little, a wild channel of queries, keys and
// values, a patch that all look at, and values that are alike
std::vector<bf16> hard_patches(int64_t n, int64_t heads, int64_t width) {
  std::vector<bf16> qkv = noise(n * 3 * heads * width);
  for (int64_t m = 0; m < n; ++m)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < width; ++i) {
        bf16* at = &qkv[((m * 3 + 0) * heads + h) * width + i];
        bf16 &query = at[0], &key = at[heads * width], &value = at[2 * heads * width];
        if (i == 5) query = rounded(wide(query) * 4), key = rounded(300 + wide(key));
        if (i != 5) key = rounded(wide(key) * 0.5f + (m == n / 2 ? 0.3f : 0.f) * wide(query));
        value = rounded((i == 9 ? 20 : 1) * (3 + wide(value)));
      }
  return qkv;
}

void check_image(int64_t n, const ImageForm& form, bool hard) {
  const int64_t heads = 2, width = 64;
  const std::vector<bf16> qkv = hard ? hard_patches(n, heads, width) : noise(n * 3 * heads * width);
  // turning by nothing leaves the reference simple; store_keys' check turns
  const std::vector<float> cosine(n * width, 1.f), sine(n * width, 0.f), all = widened(qkv);
  std::vector<bf16> out(n * heads * width);
  form.attend(qkv.data(), n, heads, cosine.data(), sine.data(), out.data());
  std::vector<float> exact;
  for (int64_t m = 0; m < n; ++m)
    for (int64_t h = 0; h < heads; ++h) {
      std::vector<const float*> keys, values;
      for (int64_t k = 0; k < n; ++k) {
        keys.push_back(all.data() + ((k * 3 + 1) * heads + h) * width);
        values.push_back(all.data() + ((k * 3 + 2) * heads + h) * width);
      }
      for (double v : attended(all.data() + (m * 3 * heads + h) * width, keys, values, width))
        exact.push_back(v);
    }
  std::vector<float> ours = widened(out);
  if (hard)  // by what sets patches apart, in every channel
    for (std::vector<float>* side : {&ours, &exact})
      for (size_t i = 0; i < side->size(); ++i)
        (*side)[i] = (*side)[i] / (i % width == 9 ? 20 : 1) - 3;
  compare(ours, exact, hard ? kNarrow : form.tolerance,
          form.name + (" of " + std::to_string(n)) + (hard ? ", hard" : ""));
}

// zeros and denormals weigh all patches alike; what is no number must not look right
void check_odd_patches(const ImageForm& form) {
  const int64_t n = 270, width = 64, row = 3 * width;  // the last block is nearly empty
  const std::vector<float> cosine(n * width, 1.f), sine(n * width, 0.f);
  const std::vector<bf16> usual = noise(n * row);
  std::vector<bf16> before(n * width), after(n * width);
  auto attend = [&](const std::vector<bf16>& qkv) {
    form.attend(qkv.data(), n, 1, cosine.data(), sine.data(), after.data());
    return widened(after);
  };
  attend(usual);
  before = after;
  std::vector<bf16> odd = usual;
  std::fill_n(odd.begin(), width, 0);                                  // query 0: zeros
  for (int64_t i = 0; i < width; ++i) odd[row + i] = i % 2 ? 0x8001 : 1;  // query 1: denormals
  odd[2 * row + 7] = 0x7f80;                                           // query 2: an infinity
  odd[3 * row + 9] = 0x7fc0;                                           // query 3: no number
  const std::vector<float> y = attend(odd);
  for (int64_t i = 0; i < width; ++i) {
    float mean = 0;
    for (int64_t m = 0; m < n; ++m) mean += wide(usual[m * row + 2 * width + i]) / n;
    expect(std::abs(y[i] - mean) < 0.02f && std::abs(y[width + i] - mean) < 0.02f,
           std::string(form.name) + ": a query of zeros or denormals");
    expect(!std::isfinite(y[2 * width + i]) && !std::isfinite(y[3 * width + i]),
           std::string(form.name) + ": a query that is no number looks right");
  }
  expect(std::equal(before.begin() + 4 * width, before.end(), after.begin() + 4 * width),
         std::string(form.name) + ": odd queries change their neighbours");
  for (const int64_t part : {1, 2})
    for (const bf16 value : {0x7f80, 0x7fc0}) {
      odd = usual;
      odd[60 * row + part * width + 3] = value;
      const std::vector<float> spoilt = attend(odd);
      for (int64_t m = 0; m < n; ++m)
        expect(!std::isfinite(spoilt[m * width + 3]),
               std::string(form.name) + ": a key or value that is no number looks right");
    }
}

// two segments: `past` tokens and `count` new ones, and a single new token
void check_text(int64_t width, int64_t past, int64_t count) {
  const int64_t heads = 4, kv_heads = 2, layers = 2, layer = 1, rows = count + 1;
  const int64_t capacity[2] = {past + count, past + 1};
  std::vector<bf16> buffers[2];
  Segment segments[2] = {{nullptr, capacity[0], 0, count, past}, {nullptr, capacity[1], count, 1, past}};
  for (int s = 0; s < 2; ++s) {
    buffers[s] = noise(layers * 2 * kv_heads * capacity[s] * width);
    segments[s].data = buffers[s].data();
  }
  const std::vector<bf16> qkv = noise(rows * (heads + 2 * kv_heads) * width);
  const std::vector<bf16> query_norm = noise(width), key_norm = noise(width);
  std::vector<bf16> cosine, sine, queries(rows * heads * width), out(queries.size());
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t i = 0; i < width; ++i) {
      const float angle = 0.37f * (m + 1) / (1 + i % (width / 2));
      cosine.push_back(rounded(std::cos(angle)));
      sine.push_back(rounded(std::sin(angle)));
    }
  store_keys(qkv.data(), query_norm.data(), key_norm.data(), 1e-6f, cosine.data(), sine.data(),
             segments, 2, layer, heads, kv_heads, width, queries.data());
  std::vector<float> turned, narrow;
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t h = 0; h < heads; ++h) {
      const bf16* x = qkv.data() + (m * (heads + 2 * kv_heads) + h) * width;
      double squares = 1e-6;
      for (int64_t i = 0; i < width; ++i) squares += std::pow(wide(x[i]), 2) / width;
      for (int64_t i = 0; i < width; ++i) {
        const int64_t half = width / 2, other = i < half ? i + half : i - half;
        const double a = wide(x[i]) * wide(query_norm[i]) / std::sqrt(squares);
        const double b = wide(x[other]) * wide(query_norm[other]) / std::sqrt(squares);
        turned.push_back(a * wide(cosine[m * width + i]) +
                         (i < half ? -b : b) * wide(sine[m * width + i]));
      }
    }
  compare(widened(queries), turned, 0.01f, "queries");
  attend(queries.data(), segments, 2, layer, heads, kv_heads, width, out.data());
  const std::vector<float> q = widened(queries);
  std::vector<float> exact;
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t h = 0; h < heads; ++h) {
      const int s = m < count ? 0 : 1;
      narrow = widened(buffers[s]);
      std::vector<const float*> keys, values;
      const int64_t head = h / (heads / kv_heads), visible = past + (s ? 1 : m + 1);
      for (int64_t k = 0; k < visible; ++k) {
        keys.push_back(&narrow[(((layer * 2) * kv_heads + head) * capacity[s] + k) * width]);
        values.push_back(&narrow[(((layer * 2 + 1) * kv_heads + head) * capacity[s] + k) * width]);
      }
      for (double v : attended(&q[(m * heads + h) * width], keys, values, width))
        exact.push_back(v);
    }
  compare(widened(out), exact, 0.02f, "text of " + std::to_string(past) + "+" + std::to_string(count));
}

}  // namespace

int main(int argc, char** argv) {
  const bool brief = argc > 1 && std::string(argv[1]) == "brief";
  if (!prepare_process()) {
    std::printf("the system refuses these instructions\n");
    return 2;
  }
  set_threads(2);
  for (Form form : {kBf16, kInt8, kInt4}) {
    for (int64_t rows = 1; rows <= 97; rows += brief || rows > 13 ? 12 : 1)
      check_products(form, rows, 75, 96, kNone, rows % 2);
    // tiles of 16 and 32 rows, and more than stay in the cache
    for (int64_t rows : {8, 9, 15, 16, 17, 31, 32, 33, 49, 97})
      check_products(form, rows, 75, 128, kNone, true);
    check_products(form, 230, 65, 4224, kNone, true);
    for (int64_t width : {32, 64, 96, 160, 4224})
      check_products(form, 7, 33, width, kGelu, true);
    for (int64_t outputs : {1, 15, 16, 17, 63, 64, 65, 129})
      check_products(form, 5, outputs, 128, kNone, true);
    for (int64_t outputs : {64, 192}) check_products(form, 9, outputs, 64, kSwiglu, false);
    if (!brief) check_products(form, 490, 70, 64, kNone, true);
    check_rows_alone(form);
    check_odd_values(form);
  }
  check_largest_levels();
  check_sixteen_values();
  for (int64_t rows : {1, 2, 3, 7, 11}) check_head(rows, 75, 96);
  for (int64_t rows : {1, 9, 20}) check_norms(rows, 160);
  for (const ImageForm& form : kImageForms) {
    for (int64_t n : {1, 4, 17, 63, 64, 65, 255, 257, 391}) {
      check_image(n, form, false);
      if (n > 4) check_image(n, form, true);
    }
    for (int64_t n = 2; !brief && n <= 97; ++n) check_image(n, form, n % 2);
    if (!brief) check_image(1029, form, true);
    check_odd_patches(form);
  }
  for (int64_t width : {64, 128})
    for (int64_t count : {1, 2, 33}) {
      check_text(width, 0, count);
      check_text(width, 70, count);
      if (!brief) check_text(width, 511, count);
    }
  std::printf("%d checks, %d failed\n", checked, failed);
  return failed > 0;
}
