// Rung 3: online softmax, and warps that talk without memory.
//
// One loop instead of three: a thread keeps the largest logit so far and sums relative to it, and
// scales the sums down when a larger one comes. Two such states merge into one the same way, so the
// lanes of a warp put theirs together in five shuffles, and the warps through 8 small states in
// shared memory with a single barrier.
//
// Bytes      one read of the logits
// Prediction 45 to 55 % of the floor: two exponentials an element keep the special-function units
//            busier than the memory
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int THREADS = 256;
constexpr long long IGNORED = -100;
constexpr float NOTHING = -150.0f;  // exp of it is 0, and unlike -inf it can be multiplied by 0

struct Online {
  float top;       // the largest z so far
  float sum;       // of exp(z - top)
  float weighted;  // sum of exp(z - top) * (z - top): what the entropy needs
};

MP_DEVICE Online merge(const Online& a, const Online& b) {
  const float top = fmaxf(a.top, b.top);
  const float down_a = fmaxf(a.top - top, NOTHING), down_b = fmaxf(b.top - top, NOTHING);
  const float scale_a = expf(down_a), scale_b = expf(down_b);
  return {top, a.sum * scale_a + b.sum * scale_b,
          (a.weighted + a.sum * down_a) * scale_a + (b.weighted + b.sum * down_b) * scale_b};
}

MP_DEVICE Online merge_warp(Online state) {
  for (int mask = 16; mask > 0; mask /= 2)
    state = merge(state, {mp_shfl_xor(state.top, mask), mp_shfl_xor(state.sum, mask),
                          mp_shfl_xor(state.weighted, mask)});
  return state;
}

// Log-prob of each row's target and entropy of each row, nats.
template <typename Logit>
MP_KERNEL(THREADS)
void online(Global<const Logit> logits, Global<const long long> targets, Global<float> logps,
            Global<float> entropies, long long rows, long long row_stride, int vocabulary,
            float inverse_temperature) {
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

  Online state = {-3e38f, 0.0f, 0.0f};
  for (int i = threadIdx.x; i < vocabulary; i += THREADS)
    state = merge(state, {mp_float(x[i]) * inverse_temperature, 1.0f, 0.0f});

  state = merge_warp(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_block();  // the states of all warps are there
  if (threadIdx.x >= 32) return;
  state = {-3e38f, 0.0f, 0.0f};
  if (threadIdx.x < THREADS / 32) state = of_warps[threadIdx.x];
  state = merge_warp(state);

  if (threadIdx.x == 0) {
    const float log_sum = logf(state.sum);
    logps[row] = mp_float(x[target]) * inverse_temperature - state.top - log_sum;
    entropies[row] = log_sum - state.weighted / state.sum;
  }
}
