// Token log-probs from logits, and their gradient.
//
// Forward    a block a row reads the logits once: log-prob of the target, log-sum-exp, entropy on
//            demand. A masked row (target -100) is not read at all.
// Backward   each element on its own, in place or not: coefficient * (onehot - softmax) and, on
//            demand, the entropy's gradient. Masked rows are written as zeros.
//
// The idea beyond rung 4 is that a row's bits depend on nothing around it (online_softmax.cuh).
//
// Bytes      forward: one read of the unmasked logits, one more logit a row, 8 bytes of target a
//            warp, and 12 bytes of result (16 with entropy). Backward: one read of the unmasked
//            logits and one write of all; each warp reads its row's 8 bytes of target and 12 (or
//            20) of numbers.
// Prediction forward 85 to 92 % of copy speed, 1 exponential an element; backward 92 to 96 %
// Needs      online_softmax.cuh, softmax_gradient.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

// Log-probs and entropies in nats; a target that is no column gets NaN. grid.x: rows.
template <typename Logit, bool ENTROPY>
MP_KERNEL(THREADS, 2)
void token_logps_forward(Global<const Logit> logits, Global<const long long> targets,
                         Global<float> logps, Global<float> tops, Global<float> log2_sums,
                         Global<float> entropies, long long row_stride, int vocabulary,
                         float inverse_temperature) {
  const long long row = blockIdx.x;
  const Seen seen = see_row<Logit, ENTROPY>(logits + row * row_stride, targets[row], vocabulary,
                                            inverse_temperature);
  if (threadIdx.x == 0) {
    logps[row] = seen.logp;
    tops[row] = seen.top;
    log2_sums[row] = seen.log2_sum;
    if (ENTROPY) entropies[row] = seen.entropy;
  }
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
  const long long at = blockIdx.x;
  Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], 0.0f, 0.0f, 0.0f};
  if (row.target != IGNORED) {
    row.top = tops[at];
    row.log2_sum = log2_sums[at];
    row.coefficient = coefficients[at * coefficient_stride] * inverse_temperature;
    if (ENTROPY) {
      row.entropy = entropies[at];
      row.entropy_coefficient =
          entropy_coefficients[at * entropy_coefficient_stride] * inverse_temperature;
    }
  }
  write_row<Logit, ENTROPY>(logits + at * row_stride, gradient + at * gradient_stride, row,
                            vocabulary);
}
