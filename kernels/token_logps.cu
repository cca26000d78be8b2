// Token log-probs from logits, and their gradient.
//
// Forward    a block a row reads the logits once: log-prob of the target, log-sum-exp, entropy on
//            demand. A masked row (target -100) is not read at all.
// Backward   each element on its own, in place or not: coefficient * (onehot - softmax) and, on
//            demand, the entropy's gradient. Masked rows are written as zeros.
//
// The idea beyond rung 4 is that a row's bits depend on nothing around it: a column always belongs
// to the same thread, wherever the row starts in memory. Rows that are not 16-byte aligned (an odd
// vocabulary) are read as two aligned words around each 16 bytes, the second of which is in L1.
// So log-probs before and after an update agree to the bit where the policy does.
//
// Log-sum-exp leaves in two parts, base 2: `tops` + `log2_sums` = log2(sum of exp(x / T)). In one
// float it would lose 1e-3 of every probability where logits are around 1e4, and partial results of
// a split vocabulary merge from the parts.
//
// Bytes      forward: one read of the unmasked logits, one more logit a row, 8 bytes of target a
//            warp, and 12 bytes of result (16 with entropy). Backward: one read of the unmasked
//            logits and one write of all; each warp reads its row's 8 bytes of target and 12 (or
//            20) of numbers.
// Prediction forward 85 to 92 % of copy speed, 1 exponential an element; backward 92 to 96 %
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int THREADS = 512;           // of a forward block
constexpr int BATCH = 8;               // 16-byte loads that a thread has in flight
constexpr int BACKWARD_THREADS = 256;  // of a backward block
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
    Words top = batch[0];
#pragma unroll
    for (int j = 1; j < BATCH; ++j) top = mp_max16<Logit>(top, batch[j]);
    move_to<ENTROPY>(state, fmaxf(state.top, mp_top<Logit>(top) * scale));
#pragma unroll
    for (int i = 0; i < BATCH * PER; ++i)
      add<ENTROPY>(state, mp_get<Logit>(batch[i / PER], i % PER), scale);
  }
  if (threadIdx.x < vocabulary % PER) {
    const float last = mp_float(x[wide * PER + threadIdx.x]);
    move_to<ENTROPY>(state, fmaxf(state.top, last * scale));
    add<ENTROPY>(state, last, scale);
  }
  return state;
}

template <bool ENTROPY>
MP_DEVICE void merge_warp(Online& state) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    Online other = {mp_shfl_xor(state.top, mask), mp_shfl_xor(state.sum, mask), 0.0f};
    if (ENTROPY) other.weighted = mp_shfl_xor(state.weighted, mask);
    const float top = fmaxf(state.top, other.top);
    move_to<ENTROPY>(state, top);
    move_to<ENTROPY>(other, top);
    state.sum += other.sum;
    state.weighted += other.weighted;
  }
}

// Log-probs and entropies in nats; a target that is no column gets NaN. grid.x: rows.
template <typename Logit, bool ENTROPY>
MP_KERNEL(THREADS, 2)
void token_logps_forward(Global<const Logit> logits, Global<const long long> targets,
                         Global<float> logps, Global<float> tops, Global<float> log2_sums,
                         Global<float> entropies, long long row_stride, int vocabulary,
                         float inverse_temperature) {
  MP_SHARED(Online, of_warps, THREADS / 32);
  const long long row = blockIdx.x;
  const long long target = targets[row];
  if (target == IGNORED) {
    if (threadIdx.x == 0) {
      logps[row] = 0.0f;
      tops[row] = 0.0f;
      log2_sums[row] = 0.0f;
      if (ENTROPY) entropies[row] = 0.0f;
    }
    return;
  }
  const Global<const Logit> x = logits + row * row_stride;
  const float scale = inverse_temperature * MP_LOG2E;
  Online state = mp_bytes_past_16(x) == 0 ? read_row<Logit, ENTROPY, true>(x, vocabulary, scale)
                                          : read_row<Logit, ENTROPY, false>(x, vocabulary, scale);
  merge_warp<ENTROPY>(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_block();  // the states of all warps are there
  if (threadIdx.x >= 32) return;
  state = {LOWEST, 0.0f, 0.0f};
  if (threadIdx.x < THREADS / 32) state = of_warps[threadIdx.x];
  merge_warp<ENTROPY>(state);

  if (threadIdx.x == 0) {
    const float log2_sum = mp_log2(state.sum);
    float log2_p = mp_from_bits(0x7fffffff);
    if (target >= 0 && target < vocabulary)
      log2_p = fmaf(mp_float(x[target]), scale, -state.top) - log2_sum;
    logps[row] = (log2_p > 0.0f ? 0.0f : log2_p) * MP_LN2;  // rounded up past 0, or NaN
    tops[row] = state.top;
    log2_sums[row] = log2_sum;
    if (ENTROPY) {
      const float entropy = (log2_sum - state.weighted / state.sum) * MP_LN2;
      entropies[row] = entropy < 0.0f ? 0.0f : entropy;
    }
  }
}

struct Row {
  float scale, top, log2_sum;
  long long target;
  float coefficient;          // dL/dlogp / T
  float entropy_coefficient;  // dL/dentropy / T
  float entropy;              // nats
};

// dL/dx of one column, in float until it is stored: where p is nearly 1, 1 - p is still exact.
template <bool ENTROPY>
MP_DEVICE float slope(const Row& row, float x, int column) {
  float log2_p = fmaf(x, row.scale, -row.top) - row.log2_sum;
  if (ENTROPY) log2_p = fmaxf(log2_p, NOTHING);
  const float p = mp_exp2(log2_p);
  float d = row.coefficient * ((column == row.target ? 1.0f : 0.0f) - p);
  if (ENTROPY) d -= row.entropy_coefficient * p * fmaf(log2_p, MP_LN2, row.entropy);
  return d;
}

// `gradient` may be `logits`. grid.x: rows, grid.y: as many blocks as share one row.
template <typename Logit, bool ENTROPY>
MP_KERNEL(BACKWARD_THREADS)
void token_logps_backward(Global<const Logit> logits, Global<Logit> gradient,
                          Global<const long long> targets, Global<const float> tops,
                          Global<const float> log2_sums, Global<const float> entropies,
                          Global<const float> coefficients,
                          Global<const float> entropy_coefficients, long long row_stride,
                          long long gradient_stride, long long coefficient_stride,
                          long long entropy_coefficient_stride, int vocabulary,
                          float inverse_temperature) {
  constexpr int PER = MP_PER_16<Logit>;
  const long long at = blockIdx.x;
  const Global<const Logit> x = logits + at * row_stride;
  const Global<Logit> dx = gradient + at * gradient_stride;
  const int past = mp_bytes_past_16(dx);
  const int before = (16 - past) % 16 / (int)sizeof(Logit);
  const int head = before < vocabulary ? before : vocabulary;
  int wide = (vocabulary - head) / PER;
  const int thread = blockIdx.y * BACKWARD_THREADS + threadIdx.x;
  const int threads = gridDim.y * BACKWARD_THREADS;

  Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], 0.0f, 0.0f, 0.0f};
  const bool masked = row.target == IGNORED;
  if (!masked) {
    row.top = tops[at];
    row.log2_sum = log2_sums[at];
    row.coefficient = coefficients[at * coefficient_stride] * inverse_temperature;
    if (ENTROPY) {
      row.entropy = entropies[at];
      row.entropy_coefficient =
          entropy_coefficients[at * entropy_coefficient_stride] * inverse_temperature;
    }
    if (mp_bytes_past_16(x) != past) wide = 0;  // the two are not aligned alike: one by one
  }

  for (int k = thread; k < wide; k += threads) {
    const long long column = head + (long long)k * PER;
    Words words = {{0, 0, 0, 0}};
    if (!masked) {
      const Words read = mp_load16(x + column);
#pragma unroll
      for (int i = 0; i < PER; ++i)
        mp_set<Logit>(words, i, slope<ENTROPY>(row, mp_get<Logit>(read, i), (int)column + i));
    }
    mp_store16(dx + column, words);
  }
  for (int k = thread; k < vocabulary - wide * PER; k += threads) {
    const int column = k < head ? k : k + wide * PER;
    dx[column] = mp_round<Logit>(masked ? 0.0f : slope<ENTROPY>(row, mp_float(x[column]), column));
  }
}
