// Rung B1: the gradient, element by element.
//
// dL/dx = coefficient / T * (onehot - softmax), where the forward has left the softmax's
// log-sum-exp in two numbers a row. No element needs another one: no barrier, no shared memory, and
// as many blocks on a row as keep the GPU busy. The gradient takes the place of the logits, so that
// no second tensor of that size is needed. A store says .cs: nobody here reads it again, let it
// leave the caches first. Masked rows become zeros and are not read.
//
// Bytes      one read of the unmasked logits and one write of all; each warp reads its row's 8
//            bytes of target and 12 of numbers
// Prediction 92 to 96 % of the floor (one read and one write at copy speed)
// Needs      online_softmax.cuh, softmax_gradient.cuh, ladder/row.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

// Let a row's logits become their gradient. grid.x: rows, grid.y: blocks that share a row.
template <typename Logit>
MP_KERNEL(BACKWARD_THREADS)
void backward(Global<Logit> logits, Global<const long long> targets, Global<const float> tops,
              Global<const float> log2_sums, Global<const float> coefficients,
              long long row_stride, int vocabulary, float inverse_temperature) {
  constexpr int PER = MP_PER_16<Logit>;
  const long long at = blockIdx.x;
  const Global<Logit> x = logits + at * row_stride;
  const Layout<Logit> layout(x, vocabulary);
  const int thread = blockIdx.y * BACKWARD_THREADS + threadIdx.x;
  const int threads = gridDim.y * BACKWARD_THREADS;

  Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], 0.0f, 0.0f, 0.0f};
  const bool masked = row.target == IGNORED;
  if (!masked) {
    row.top = tops[at];
    row.log2_sum = log2_sums[at];
    row.coefficient = coefficients[at] * inverse_temperature;
  }
  for (int k = thread; k < layout.wide; k += threads) {
    const int first = layout.column(k);
    Words words = {{0, 0, 0, 0}};
    if (!masked) {
      const Words read = mp_load16(x + first);
#pragma unroll
      for (int i = 0; i < PER; ++i)
        mp_set<Logit>(words, i, slope<false>(row, mp_get<Logit>(read, i), first + i));
    }
    mp_store16(x + first, words);
  }
  if (thread < layout.narrow) {
    const int column = layout.edge(thread);
    x[column] = mp_round<Logit>(masked ? 0.0f : slope<false>(row, mp_float(x[column]), column));
  }
}
