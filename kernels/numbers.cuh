// Element types and their conversions: the same on both sides, on top of the primitives.

struct mp_bf16 {
  unsigned short bits;
};

struct mp_fp16 {
  unsigned short bits;
};

constexpr float MP_LOG2E = 1.4426950408889634f;
constexpr float MP_LN2 = 0.6931471805599453f;
constexpr double MP_LN2_DOUBLE = 0.6931471805599453;

MP_DEVICE float mp_float(float x) { return x; }
MP_DEVICE float mp_float(mp_bf16 x) { return mp_from_bits((unsigned)x.bits << 16); }
MP_DEVICE float mp_float(mp_fp16 x) { return mp_fp16_to_float(x.bits); }

MP_DEVICE unsigned mp_max_pair(mp_bf16, unsigned a, unsigned b) { return mp_max_bf16_pair(a, b); }
MP_DEVICE unsigned mp_max_pair(mp_fp16, unsigned a, unsigned b) { return mp_max_fp16_pair(a, b); }

// The nearest `T` to a float.
template <typename T>
MP_DEVICE T mp_round(float x);
template <>
MP_DEVICE float mp_round<float>(float x) { return x; }
template <>
MP_DEVICE mp_bf16 mp_round<mp_bf16>(float x) { return {mp_bf16_bits(x)}; }
template <>
MP_DEVICE mp_fp16 mp_round<mp_fp16>(float x) { return {mp_fp16_bits(x)}; }

// How many elements 16 bytes hold.
template <typename T>
constexpr int MP_PER_16 = 16 / sizeof(T);

// Element i of 16 bytes of `T`, as a float.
template <typename T>
MP_DEVICE float mp_get(const Words& words, int i) {
  if constexpr (sizeof(T) == 4) {
    return mp_from_bits(words.at[i]);
  } else {
    return mp_float(T{(unsigned short)(words.at[i / 2] >> (i % 2 * 16))});
  }
}

// Write a float, rounded, as element i of 16 bytes of `T`; elements are written from 0 up.
template <typename T>
MP_DEVICE void mp_set(Words& words, int i, float x) {
  if constexpr (sizeof(T) == 4) {
    words.at[i] = mp_bits(x);
  } else {
    const unsigned bits = mp_round<T>(x).bits;
    words.at[i / 2] = i % 2 ? words.at[i / 2] | bits << 16 : bits;
  }
}

// The larger of each two elements. Pairs stay packed: half the instructions, no registers.
template <typename T>
MP_DEVICE Words mp_max16(const Words& a, const Words& b) {
  Words larger;
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(T) == 4) {
      larger.at[i] = mp_bits(fmaxf(mp_from_bits(a.at[i]), mp_from_bits(b.at[i])));
    } else {
      larger.at[i] = mp_max_pair(T{}, a.at[i], b.at[i]);
    }
  }
  return larger;
}

// The largest element of 16 bytes.
template <typename T>
MP_DEVICE float mp_top(const Words& words) {
  float top = mp_get<T>(words, 0);
  for (int i = 1; i < MP_PER_16<T>; ++i) top = fmaxf(top, mp_get<T>(words, i));
  return top;
}

// 16 bytes of elements that are smaller than any other: -inf.
template <typename T>
MP_DEVICE Words mp_lowest16() {
  Words words;
  for (int i = 0; i < MP_PER_16<T>; ++i) mp_set<T>(words, i, mp_from_bits(0xff800000));
  return words;
}

// 16 bytes that start at any element: the two aligned 16-byte words around them, shifted.
template <typename T>
MP_DEVICE Words mp_load16_anywhere(Global<const T> place) {
  const int past = mp_bytes_past_16(place);
  Words low, high;
  mp_load32_around(place, low, high);
  unsigned all[8];
  for (int i = 0; i < 4; ++i) all[i] = low.at[i], all[i + 4] = high.at[i];
  if (past & 8) {
    for (int i = 0; i < 6; ++i) all[i] = all[i + 2];
  }
  if (past & 4) {
    for (int i = 0; i < 5; ++i) all[i] = all[i + 1];
  }
  if (past & 2) {
    for (int i = 0; i < 4; ++i) all[i] = all[i] >> 16 | all[i + 1] << 16;
  }
  return {{all[0], all[1], all[2], all[3]}};
}
