// Rung 7: a row in registers.
//
// A block cannot hold a row of 128256 logits, but eight blocks can: a cluster, whose blocks run at
// the same time and may write to each other's shared memory. Each thread keeps four 16-byte pieces
// of the row in registers. Its warp's state goes to all eight blocks, so that after one barrier of
// the cluster everybody has all states, and the logits that are still in registers become the
// gradient without a second read.
//
// A cluster holds 8 * 512 * 4 * 16 bytes: 131072 logits of 2 bytes or 65536 floats. The log-prob of
// a longer row is NaN and its logits stay what they are. A short row leaves most threads idle.
//
// Bytes      one read of the unmasked logits and one write of all; each warp reads the 8 bytes of
//            its row's target
// Prediction 85 to 92 % of the floor (one read and one write at copy speed)
// Needs      online_softmax.cuh, softmax_gradient.cuh, ladder/row.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU of capability 9.0

constexpr int CLUSTER = 8;
constexpr int PIECES = 4;  // of 16 bytes, that a thread holds
constexpr int WARPS = THREADS / 32;

// Log-prob of each row's target, nats; the row's logits become its gradient, zeros where the target
// is -100. grid.x: 8 * rows.
template <typename Logit>
MP_CLUSTER(CLUSTER)
MP_KERNEL(THREADS, 2)
void row_in_registers(Global<Logit> logits, Global<const long long> targets, Global<float> logps,
                      long long row_stride, int vocabulary, float inverse_temperature) {
  MP_SHARED(Online, of_warps, CLUSTER * WARPS);
  const long long at = blockIdx.x / CLUSTER;
  const int rank = mp_cluster_rank();
  const int thread = rank * THREADS + threadIdx.x;
  const Global<Logit> x = logits + at * row_stride;
  const Layout<Logit> layout(x, vocabulary);
  if (layout.wide > PIECES * CLUSTER * THREADS) {
    if (thread == 0) logps[at] = mp_from_bits(0x7fffffff);
    return;
  }
  Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], inverse_temperature};
  const bool masked = row.target == IGNORED;

  Words pieces[PIECES];
  float edge = 0.0f;
  if (!masked) {
#pragma unroll
    for (int j = 0; j < PIECES; ++j) {
      const int k = j * CLUSTER * THREADS + thread;
      pieces[j] = k < layout.wide ? mp_load16(x + layout.column(k)) : mp_lowest16<Logit>();
    }
    if (thread < layout.narrow) edge = mp_float(x[layout.edge(thread)]);
    Online state = {LOWEST, 0.0f, 0.0f};
    add_batch<Logit, false>(state, pieces, row.scale);
    if (thread < layout.narrow) add_one<false>(state, edge, row.scale);
    merge_warp<false>(state);
    mp_sync_cluster();  // all blocks have started: there is somewhere to write to
    if (threadIdx.x % 32 < CLUSTER)
      mp_peer(of_warps, threadIdx.x % 32)[rank * WARPS + threadIdx.x / 32] = state;
    mp_sync_cluster();  // the states of all warps of all blocks are here, and none comes later
    state = merged<false>(of_warps, CLUSTER * WARPS);
    row.top = state.top;
    row.log2_sum = mp_log2(state.sum);
  } else if (thread == 0) {
    logps[at] = 0.0f;
  }

#pragma unroll
  for (int j = 0; j < PIECES; ++j) {
    const int k = j * CLUSTER * THREADS + thread;
    Words words = {{0, 0, 0, 0}};
    if (k >= layout.wide) break;
    if (!masked) words = become16<Logit>(row, pieces[j], layout.column(k), logps + at);
    mp_store16(x + layout.column(k), words);
  }
  if (thread < layout.narrow) {
    const int column = layout.edge(thread);
    x[column] = mp_round<Logit>(masked ? 0.0f : become(row, edge, column, logps + at));
  }
}
