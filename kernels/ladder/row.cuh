// What the upper rungs share: where a row's 16-byte accesses lie, the state of all its warps, and
// what its logits become. A row may start at any element and be of any length.

// `wide` accesses of 16 bytes, and `narrow` columns, fewer than 16, before and after them.
template <typename Logit>
struct Layout {
  static constexpr int PER = MP_PER_16<Logit>;
  int head, wide, narrow;

  MP_DEVICE Layout(Global<const Logit> x, int vocabulary) {
    head = (16 - mp_bytes_past_16(x)) % 16 / (int)sizeof(Logit);
    wide = (vocabulary - head) / PER;  // 0 also where the row ends before its first 16 bytes
    narrow = vocabulary - wide * PER;
  }
  MP_DEVICE int column(int k) const { return head + k * PER; }  // the first of access k
  MP_DEVICE int edge(int i) const { return i < head ? i : i + wide * PER; }
};

// Let a state see one more logit.
template <bool ENTROPY>
MP_DEVICE void add_one(Online& state, float x, float scale) {
  move_to<ENTROPY>(state, fmaxf(state.top, x * scale));
  add<ENTROPY>(state, x, scale);
}

// The states of `count` warps in one, which every lane gets.
template <bool ENTROPY>
MP_DEVICE Online merged(Shared<const Online> states, int count) {
  Online state = {LOWEST, 0.0f, 0.0f};
  for (int i = threadIdx.x % 32; i < count; i += 32) merge<ENTROPY>(state, states[i]);
  merge_warp<ENTROPY>(state);
  return state;
}

// (onehot - softmax) / T of one column. Whoever meets the target's column has the log-prob, nats.
MP_DEVICE float become(const Row& row, float x, int column, Global<float> logp) {
  if (column == row.target) logp[0] = (fmaf(x, row.scale, -row.top) - row.log2_sum) * MP_LN2;
  return slope<false>(row, x, column);
}

// The same for the 16 bytes from `first` on.
template <typename Logit>
MP_DEVICE Words become16(const Row& row, const Words& x, int first, Global<float> logp) {
  Words words;
#pragma unroll
  for (int i = 0; i < MP_PER_16<Logit>; ++i)
    mp_set<Logit>(words, i, become(row, mp_get<Logit>(x, i), first + i, logp));
  return words;
}
