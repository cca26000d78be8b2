// Rung 1: a thread a row.
//
// The loops as one would write them in C, for each row: the largest logit, the sum of the
// exponentials, the entropy. Neighbouring threads read from neighbouring rows, a whole row apart,
// so a warp's 32 loads touch 32 sectors of 32 bytes and use one element of each.
//
// Bytes      three reads of the logits; the sectors that they touch are 32 bytes an element
// Prediction under 5 % of the floor (one read of the logits at copy speed)
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int THREADS = 128;
constexpr long long IGNORED = -100;

// Log-prob of each row's target and entropy of each row, nats.
template <typename Logit>
MP_KERNEL(THREADS)
void thread_per_row(Global<const Logit> logits, Global<const long long> targets,
                    Global<float> logps, Global<float> entropies, long long rows,
                    long long row_stride, int vocabulary, float inverse_temperature) {
  const long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const long long target = targets[row];
  if (target == IGNORED) {
    logps[row] = 0.0f;
    entropies[row] = 0.0f;
    return;
  }
  const Global<const Logit> x = logits + row * row_stride;

  float top = -3e38f;
  for (int i = 0; i < vocabulary; ++i) top = fmaxf(top, mp_float(x[i]) * inverse_temperature);

  float sum = 0.0f;
  for (int i = 0; i < vocabulary; ++i) sum += expf(mp_float(x[i]) * inverse_temperature - top);
  const float log_sum = logf(sum);

  float entropy = 0.0f;
  for (int i = 0; i < vocabulary; ++i) {
    const float logp = mp_float(x[i]) * inverse_temperature - top - log_sum;
    const float p = expf(logp);
    if (p > 0.0f) entropy -= p * logp;  // a logit of -inf has neither
  }

  logps[row] = mp_float(x[target]) * inverse_temperature - top - log_sum;
  entropies[row] = entropy;
}
