// Rung 2: a block a row.
//
// The same three loops, but 256 threads share a row and take every 256th column: the lanes of a
// warp read neighbours, so that each sector is used whole. What the threads found is put together
// in shared memory, half as many threads at each step, with a barrier between the steps.
//
// Bytes      three reads of the logits, coalesced
// Prediction 25 to 30 % of the floor: three reads where one would do
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int THREADS = 256;
constexpr long long IGNORED = -100;

// Put one number of each thread together; every thread gets the result.
template <bool MAXIMUM>
MP_DEVICE float reduce(float mine, Shared<float> all) {
  mp_sync_block();  // the last result has been read by all
  all[threadIdx.x] = mine;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    mp_sync_block();  // what the other half wrote is there
    if (threadIdx.x < half) {
      const float other = all[threadIdx.x + half];
      mine = MAXIMUM ? fmaxf(mine, other) : mine + other;
      all[threadIdx.x] = mine;
    }
  }
  mp_sync_block();  // the result is there
  return all[0];
}

// Log-prob of each row's target and entropy of each row, nats.
template <typename Logit>
MP_KERNEL(THREADS)
void block_per_row(Global<const Logit> logits, Global<const long long> targets,
                   Global<float> logps, Global<float> entropies, long long rows,
                   long long row_stride, int vocabulary, float inverse_temperature) {
  MP_SHARED(float, all, THREADS);
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

  float top = -3e38f;
  for (int i = threadIdx.x; i < vocabulary; i += THREADS)
    top = fmaxf(top, mp_float(x[i]) * inverse_temperature);
  top = reduce<true>(top, all);

  float sum = 0.0f;
  for (int i = threadIdx.x; i < vocabulary; i += THREADS)
    sum += expf(mp_float(x[i]) * inverse_temperature - top);
  const float log_sum = logf(reduce<false>(sum, all));

  float entropy = 0.0f;
  for (int i = threadIdx.x; i < vocabulary; i += THREADS) {
    const float logp = mp_float(x[i]) * inverse_temperature - top - log_sum;
    const float p = expf(logp);
    if (p > 0.0f) entropy -= p * logp;
  }
  entropy = reduce<false>(entropy, all);

  if (threadIdx.x == 0) {
    logps[row] = mp_float(x[target]) * inverse_temperature - top - log_sum;
    entropies[row] = entropy;
  }
}
