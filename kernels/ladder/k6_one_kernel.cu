// Rung 6: forward and gradient in one kernel.
//
// Every loss of a sequence has dL/dx = coefficient * (onehot - softmax), and the coefficient can
// wait: it is one number a row, and folds into a far smaller operand later. So the kernel that
// finds a row's softmax also writes (onehot - softmax) / T over its logits: one launch for two. The
// row is read from its end to its beginning and then from its beginning to its end, so that what
// was read last, and most likely is still in L2, is read again first. It is there only if all rows
// under way fit into L2 together, which the number of blocks decides: at 128256 bf16 logits a row,
// 132 blocks hold 34 MB of the 50 MB of an H100.
//
// Bytes      two reads of the unmasked logits, the second one hopefully from L2, and one write of
//            all; each warp reads the 8 bytes of its row's target
// Prediction 60 to 75 % of the floor (one read and one write at copy speed)
// Needs      online_softmax.cuh, softmax_gradient.cuh, ladder/row.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int WARPS = THREADS / 32;

// The softmax's log-sum-exp of the row, known to every thread.
template <typename Logit>
MP_DEVICE void find_softmax(Row& row, Global<const Logit> x, const Layout<Logit>& layout,
                            Shared<Online> of_warps) {
  Online state = {LOWEST, 0.0f, 0.0f};
  for (int end = layout.wide - 1; end >= 0; end -= BATCH * THREADS) {
    Words batch[BATCH];
#pragma unroll
    for (int j = 0; j < BATCH; ++j) {
      const int k = end - j * THREADS - (int)threadIdx.x;
      batch[j] = k >= 0 ? mp_load16(x + layout.column(k)) : mp_lowest16<Logit>();
    }
    add_batch<Logit, false>(state, batch, row.scale);
  }
  if (threadIdx.x < layout.narrow)
    add_one<false>(state, mp_float(x[layout.edge(threadIdx.x)]), row.scale);
  merge_warp<false>(state);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = state;
  mp_sync_block();  // the states of all warps are there, and the logits have been read
  state = merged<false>(of_warps, WARPS);
  row.top = state.top;
  row.log2_sum = mp_log2(state.sum);
}

// Log-prob of each row's target, nats; the row's logits become its gradient, zeros where the target
// is -100. grid.x: rows under way at once.
template <typename Logit>
MP_KERNEL(THREADS, 1)
void one_kernel(Global<Logit> logits, Global<const long long> targets, Global<float> logps,
                long long rows, long long row_stride, int vocabulary, float inverse_temperature) {
  MP_SHARED(Online, of_warps, 2 * WARPS);
  int turn = 0;
  for (long long at = blockIdx.x; at < rows; at += gridDim.x) {
    const Global<Logit> x = logits + at * row_stride;
    const Layout<Logit> layout(x, vocabulary);
    Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], inverse_temperature};
    const bool masked = row.target == IGNORED;
    if (!masked) {
      find_softmax<Logit>(row, x, layout, of_warps + turn * WARPS);
      turn = 1 - turn;  // a warp that is ahead writes there while others still read here
    } else if (threadIdx.x == 0) {
      logps[at] = 0.0f;
    }
    for (int k = threadIdx.x; k < layout.wide; k += THREADS) {
      const int first = layout.column(k);
      Words words = {{0, 0, 0, 0}};
      if (!masked) words = become16<Logit>(row, mp_load16(x + first), first, logps + at);
      mp_store16(x + first, words);
    }
    if (threadIdx.x < layout.narrow) {
      const int column = layout.edge(threadIdx.x);
      x[column] = mp_round<Logit>(
          masked ? 0.0f : become(row, mp_float(x[column]), column, logps + at));
    }
  }
}
