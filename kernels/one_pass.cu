// Log-probs and their gradient from one read of the logits, written over them.
//
// d logp / d logits = onehot - softmax(logits / T), divided by T, needs nothing that comes later:
// what a loss says of a row is one number, a factor of the whole row. So a row is read once, kept
// in shared memory until its softmax is known, and replaced by onehot - softmax. Whoever multiplies
// this matrix by another applies the factor, and 1 / T, to that one's rows, which are shorter.
//
// A cluster of blocks holds a row, a slice of it each. Every thread keeps what it has read in
// places of its own; what it tells others are the states of its warp, which each warp of the
// cluster reads from all of them and merges in the same order: all arrive at the same bits.
//
// Rows start at multiples of 16 bytes. None is left out: whoever calls makes logits of rows that
// count, and of no others.
//
// Bytes      one read and one write of the logits, one more logit a row, 8 bytes of target a warp,
//            and 4 bytes of result a row
// Prediction 85 to 92 % of copy speed: while a block merges, only the other one on its
//            multiprocessor keeps the memory busy
// Needs      online_softmax.cuh, softmax_gradient.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int CLUSTERS[] = {1, 2, 4, 8};  // blocks that hold a row: what CLUSTER may be

// grid.x: rows * CLUSTER. Dynamic shared memory: 16 bytes for each 16 of a slice.
template <typename Logit, int CLUSTER>
MP_CLUSTER(CLUSTER)
MP_KERNEL(THREADS, 2)
void one_pass(Global<Logit> logits, Global<const long long> targets, Global<float> logps,
              long long row_stride, int vocabulary, float inverse_temperature) {
  constexpr int PER = MP_PER_16<Logit>, WARPS = THREADS / 32;
  MP_DYNAMIC_SHARED(Words, kept);
  MP_SHARED(Online, of_warps, WARPS);
  const long long row = blockIdx.x / CLUSTER;
  const int rank = blockIdx.x % CLUSTER;
  const int wide = vocabulary / PER, slice = (wide + CLUSTER - 1) / CLUSTER;
  const int first = rank * slice, end = first + slice < wide ? first + slice : wide;
  const int rest = wide * PER + threadIdx.x;  // a column beyond the last 16 bytes, if it is one
  const bool has_rest = rank == CLUSTER - 1 && rest < vocabulary;
  const Global<Logit> x = logits + row * row_stride;
  const float scale = inverse_temperature * MP_LOG2E;
  const long long target = targets[row];
  const bool answers = rank == 0 && threadIdx.x == 0;
  float chosen = mp_from_bits(0x7fffffff);  // NaN where the target is no column
  if (answers && target >= 0 && target < vocabulary) chosen = mp_float(x[target]);

  Online state = {LOWEST, 0.0f, 0.0f};
  for (int start = first + threadIdx.x; start < end; start += BATCH * THREADS) {
    Words batch[BATCH];
#pragma unroll
    for (int j = 0; j < BATCH; ++j) {
      const int k = start + j * THREADS;
      batch[j] = k < end ? mp_load16(x + (long long)k * PER) : mp_lowest16<Logit>();
    }
    add_batch<Logit, false>(state, batch, scale);
#pragma unroll
    for (int j = 0; j < BATCH; ++j) {
      const int k = start + j * THREADS;
      if (k < end) kept[k - first] = batch[j];
    }
  }
  float last = 0.0f;
  if (has_rest) {
    last = mp_float(x[rest]);
    move_to<false>(state, fmaxf(state.top, last * scale));
    add<false>(state, last, scale);
  }
  merge_warp<false>(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_cluster();  // the states of all warps are there, and all logits have been read

  state = {LOWEST, 0.0f, 0.0f};
  for (int i = threadIdx.x % 32; i < CLUSTER * WARPS; i += 32) {
    const Online other = mp_peer(of_warps, i / WARPS)[i % WARPS];
    merge<false>(state, other);
  }
  merge_warp<false>(state);
  const double log2_sum = log2_of_sum(state.sum);
  const Row seen = {scale, state.top, (float)log2_sum, target, 1.0f, 0.0f, 0.0f};
  if (answers) logps[row] = logp_of(chosen, state.top, log2_sum, scale, inverse_temperature);
  for (int k = first + threadIdx.x; k < end; k += THREADS) {
    const Words read = kept[k - first];
    Words words;
#pragma unroll
    for (int i = 0; i < PER; ++i)
      mp_set<Logit>(words, i, slope<false>(seen, mp_get<Logit>(read, i), k * PER + i));
    mp_store16(x + (long long)k * PER, words);
  }
  if (has_rest) x[rest] = mp_round<Logit>(slope<false>(seen, last, rest));
  mp_sync_cluster();  // until here, a peer may read what this block's warps have left
}
