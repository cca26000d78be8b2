// One row of logits, read once by a block: log-prob of its target, log-sum-exp, entropy on demand.
//
// A row's bits depend on nothing around it: a column always belongs to the same thread, wherever
// the row starts in memory. Rows that are not 16-byte aligned (an odd vocabulary) are read as two
// aligned words around each 16 bytes, the second of which is in L1. So log-probs before and after
// an update agree to the bit where the policy does.
//
// Log-sum-exp leaves in two parts, base 2: `top` + `log2_sum` = log2(sum of exp(x / T)). In one
// float it would lose 1e-3 of every probability where logits are around 1e4, and partial results of
// a split vocabulary merge from the parts.

constexpr int THREADS = 512;           // of a forward block
constexpr int BATCH = 8;               // 16-byte loads that a thread has in flight
constexpr long long IGNORED = -100;
constexpr float LOWEST = -3e38f;    // stands for -inf, and may be subtracted from itself
constexpr float NOTHING = -150.0f;  // 2 to it is 0, and unlike -inf it can be multiplied by 0

struct Online {
  float top;       // near the largest z = x * log2(e) / T so far
  float sum;       // of 2^(z - top)
  float weighted;  // sum of 2^(z - top) * (z - top), for the entropy
};

// Let a state refer to another top.
template <bool ENTROPY>
MP_DEVICE void move_to(Online& state, float top) {
  const float down = fmaxf(state.top - top, NOTHING), scale = mp_exp2(down);
  if (ENTROPY) state.weighted = fmaf(state.sum, down, state.weighted) * scale;
  state.sum *= scale;
  state.top = top;
}

template <bool ENTROPY>
MP_DEVICE void add(Online& state, float x, float scale) {
  float below = fmaf(x, scale, -state.top);
  if (ENTROPY) below = fmaxf(below, NOTHING);
  const float e = mp_exp2(below);
  state.sum += e;
  if (ENTROPY) state.weighted = fmaf(e, below, state.weighted);
}

// Add 16 bytes LOADS times: one new top for all of them.
template <typename Logit, bool ENTROPY, int LOADS>
MP_DEVICE void add_batch(Online& state, const Words (&batch)[LOADS], float scale) {
  constexpr int PER = MP_PER_16<Logit>;
  Words top = batch[0];
#pragma unroll
  for (int j = 1; j < LOADS; ++j) top = mp_max16<Logit>(top, batch[j]);
  move_to<ENTROPY>(state, fmaxf(state.top, mp_top<Logit>(top) * scale));
#pragma unroll
  for (int i = 0; i < LOADS * PER; ++i)
    add<ENTROPY>(state, mp_get<Logit>(batch[i / PER], i % PER), scale);
}

// What one thread sees of a row: every THREADS-th 16 bytes, whatever the row's alignment.
template <typename Logit, bool ENTROPY, bool ALIGNED>
MP_DEVICE Online read_row(Global<const Logit> x, int vocabulary, float scale) {
  constexpr int PER = MP_PER_16<Logit>;
  const int wide = vocabulary / PER;
  Online state = {LOWEST, 0.0f, 0.0f};
  for (int start = threadIdx.x; start < wide; start += BATCH * THREADS) {
    Words batch[BATCH];
#pragma unroll
    for (int j = 0; j < BATCH; ++j) {
      const int k = start + j * THREADS;
      const Global<const Logit> place = x + (long long)k * PER;
      if (k >= wide) batch[j] = mp_lowest16<Logit>();
      else if (ALIGNED) batch[j] = mp_load16(place);
      else batch[j] = mp_load16_anywhere(place);
    }
    add_batch<Logit, ENTROPY>(state, batch, scale);
  }
  if (threadIdx.x < vocabulary % PER) {
    const float last = mp_float(x[wide * PER + threadIdx.x]);
    move_to<ENTROPY>(state, fmaxf(state.top, last * scale));
    add<ENTROPY>(state, last, scale);
  }
  return state;
}

// Two states in one. The larger top stays, and its sums with it: one exponential.
template <bool ENTROPY>
MP_DEVICE void merge(Online& state, const Online& other) {
  Online smaller = other.top > state.top ? state : other;
  if (other.top > state.top) state = other;
  move_to<ENTROPY>(smaller, state.top);
  state.sum += smaller.sum;
  if (ENTROPY) state.weighted += smaller.weighted;
}

// The states of all lanes, in every lane.
template <bool ENTROPY>
MP_DEVICE void merge_warp(Online& state) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    Online other = {mp_shfl_xor(state.top, mask), mp_shfl_xor(state.sum, mask), 0.0f};
    if (ENTROPY) other.weighted = mp_shfl_xor(state.weighted, mask);
    merge<ENTROPY>(state, other);
  }
}

// What is kept of a row. Log-probs and entropies are in nats, and 0 where the row is left out.
struct Seen {
  float logp, top, log2_sum, entropy;
};

// log2(sum) to more digits than a float has: its whole part stands in the float's exponent.
MP_DEVICE double log2_of_sum(float sum) {
  const unsigned bits = mp_bits(sum);
  const int whole = (int)(bits >> 23) - 127;
  if (whole < 0 || whole > 127) return mp_log2(sum);  // below 1, or inf or NaN
  return whole + (double)mp_log2(mp_from_bits((bits & 0x7fffff) | 0x3f800000));
}

// The log-prob of a logit in nats, from what its whole row came to. In double: float would round
// numbers of the logits' size, once more than log_softmax does.
MP_DEVICE float logp_of(float x, float top, double log2_sum, float scale,
                        float inverse_temperature) {
  const double below = x - top / (double)scale;
  const double logp = below * inverse_temperature - log2_sum * MP_LN2_DOUBLE;
  return logp > 0.0 ? 0.0f : (float)logp;  // rounded up past 0, or NaN
}

// Read a row with the whole block; thread 0 gets the result. A row with target -100 is not read; a
// target that is no column gets NaN.
template <typename Logit, bool ENTROPY>
MP_DEVICE Seen see_row(Global<const Logit> x, long long target, int vocabulary,
                       float inverse_temperature) {
  MP_SHARED(Online, of_warps, THREADS / 32);
  Seen seen = {0.0f, 0.0f, 0.0f, 0.0f};
  if (target == IGNORED) return seen;
  const float scale = inverse_temperature * MP_LOG2E;
  Online state = mp_bytes_past_16(x) == 0 ? read_row<Logit, ENTROPY, true>(x, vocabulary, scale)
                                          : read_row<Logit, ENTROPY, false>(x, vocabulary, scale);
  merge_warp<ENTROPY>(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_block();  // the states of all warps are there
  if (threadIdx.x >= 32) return seen;
  state = {LOWEST, 0.0f, 0.0f};
  if (threadIdx.x < THREADS / 32) state = of_warps[threadIdx.x];
  merge_warp<ENTROPY>(state);

  if (threadIdx.x == 0) {
    const double log2_sum = log2_of_sum(state.sum);
    seen.top = state.top;
    seen.log2_sum = (float)log2_sum;
    seen.logp = mp_from_bits(0x7fffffff);
    if (target >= 0 && target < vocabulary)
      seen.logp = logp_of(mp_float(x[target]), state.top, log2_sum, scale, inverse_temperature);
    if (ENTROPY) {
      const double entropy = (log2_sum - state.weighted / (double)state.sum) * MP_LN2_DOUBLE;
      seen.entropy = entropy < 0.0 ? 0.0f : (float)entropy;
    }
  }
  return seen;
}
