// Rung 4: 16 bytes a load, one exponential an element.
//
// A thread loads eight times 16 bytes before it uses the first, so that enough is in flight to hide
// the memory's latency. It takes the largest of these 32 or 64 logits first and moves its sums once
// a batch, not once an element: one exponential each is left. exp(x / T - top) becomes
// 2^(x * log2(e) / T - top): one fused multiply-add and the unit's own base-2 exponential.
// 16-byte loads want addresses that are multiples of 16; the few columns before the first such
// address and after the last are read one by one.
//
// Bytes      one read of the logits
// Prediction 85 to 92 % of the floor
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int THREADS = 512;
constexpr int BATCH = 8;
constexpr long long IGNORED = -100;
constexpr float NOTHING = -150.0f;  // 2 to it is 0, and unlike -inf it can be multiplied by 0

struct Online {
  float top;       // near the largest z = x * log2(e) / T so far
  float sum;       // of 2^(z - top)
  float weighted;  // sum of 2^(z - top) * (z - top): what the entropy needs
};

// Let a state refer to another top.
MP_DEVICE void move_to(Online& state, float top) {
  const float down = fmaxf(state.top - top, NOTHING), scale = mp_exp2(down);
  state.weighted = (state.weighted + state.sum * down) * scale;
  state.sum *= scale;
  state.top = top;
}

MP_DEVICE void add(Online& state, float x, float scale) {
  const float below = fmaxf(fmaf(x, scale, -state.top), NOTHING), e = mp_exp2(below);
  state.sum += e;
  state.weighted = fmaf(e, below, state.weighted);
}

MP_DEVICE void merge_warp(Online& state) {
  for (int mask = 16; mask > 0; mask /= 2) {
    Online other = {mp_shfl_xor(state.top, mask), mp_shfl_xor(state.sum, mask),
                    mp_shfl_xor(state.weighted, mask)};
    const float top = fmaxf(state.top, other.top);
    move_to(state, top);
    move_to(other, top);
    state.sum += other.sum;
    state.weighted += other.weighted;
  }
}

// Log-prob of each row's target and entropy of each row, nats.
template <typename Logit>
MP_KERNEL(THREADS, 2)
void wide_loads(Global<const Logit> logits, Global<const long long> targets, Global<float> logps,
                Global<float> entropies, long long rows, long long row_stride, int vocabulary,
                float inverse_temperature) {
  constexpr int PER = MP_PER_16<Logit>;
  MP_SHARED(Online, of_warps, THREADS / 32);
  const long long row = blockIdx.x;
  const long long target = targets[row];
  if (target == IGNORED) {
    if (threadIdx.x == 0) {
      logps[row] = 0.0f;
      entropies[row] = 0.0f;
    }
    return;
  }
  const Global<const Logit> x = logits + row * row_stride;
  const float scale = inverse_temperature * MP_LOG2E;

  const int before = (16 - mp_bytes_past_16(x)) % 16 / (int)sizeof(Logit);
  const int head = before < vocabulary ? before : vocabulary;
  const int wide = (vocabulary - head) / PER;
  Online state = {-3e38f, 0.0f, 0.0f};
  for (int start = threadIdx.x; start < wide; start += BATCH * THREADS) {
    Words batch[BATCH];
#pragma unroll
    for (int j = 0; j < BATCH; ++j) {
      const int k = start + j * THREADS;
      batch[j] = k < wide ? mp_load16(x + head + (long long)k * PER) : mp_lowest16<Logit>();
    }
    Words top = batch[0];
#pragma unroll
    for (int j = 1; j < BATCH; ++j) top = mp_max16<Logit>(top, batch[j]);
    move_to(state, fmaxf(state.top, mp_top<Logit>(top) * scale));
#pragma unroll
    for (int j = 0; j < BATCH * PER; ++j) add(state, mp_get<Logit>(batch[j / PER], j % PER), scale);
  }
  const int narrow = vocabulary - wide * PER;  // columns that are read one by one
  if (threadIdx.x < narrow) {
    const int skipped = threadIdx.x < head ? 0 : wide * PER;
    const float z = mp_float(x[threadIdx.x + skipped]);
    move_to(state, fmaxf(state.top, z * scale));
    add(state, z, scale);
  }

  merge_warp(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_block();  // the states of all warps are there
  if (threadIdx.x >= 32) return;
  state = {-3e38f, 0.0f, 0.0f};
  if (threadIdx.x < THREADS / 32) state = of_warps[threadIdx.x];
  merge_warp(state);

  if (threadIdx.x == 0) {
    const float log2_sum = mp_log2(state.sum);
    const float target_below = fmaf(mp_float(x[target]), scale, -state.top);
    logps[row] = (target_below - log2_sum) * MP_LN2;
    entropies[row] = (log2_sum - state.weighted / state.sum) * MP_LN2;
  }
}
