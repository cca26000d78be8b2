// Rung 5: the memory never waits.
//
// In rung 4 a block loads nothing while it puts its states together, and the block that takes its
// place starts with nothing under way. Here a grid of as many blocks as the GPU holds at once walks
// over the rows. Before a batch is used, the one after it has been asked for: of the same row, or,
// after the row's last batch, of the block's next row. So loads are under way through every
// reduction, up to the last row's. The states of the warps have two places, used in turns: a warp
// that is ahead writes the next row's while the first warp still reads.
//
// Bytes      one read of the logits
// Prediction 95 to 100 % of the floor
// Needs      online_softmax.cuh, softmax_gradient.cuh, ladder/row.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int LOADS = 4;  // 16-byte loads of a batch; one batch is in use, one under way
constexpr int WARPS = THREADS / 32;

template <typename Logit>
MP_DEVICE void load(Words (&batch)[LOADS], Global<const Logit> x, const Layout<Logit>& layout,
                    int start) {
#pragma unroll
  for (int j = 0; j < LOADS; ++j) {
    const int k = start + j * THREADS + threadIdx.x;
    batch[j] = k < layout.wide ? mp_load16(x + layout.column(k)) : mp_lowest16<Logit>();
  }
}

// The first row from `row` on, in steps of the grid, that is not masked, and its target.
MP_DEVICE long long next_row(long long row, long long rows, Global<const long long> targets,
                             Global<float> logps, Global<float> entropies, long long& target) {
  for (; row < rows; row += gridDim.x) {
    target = targets[row];
    if (target != IGNORED) break;
    if (threadIdx.x == 0) logps[row] = 0.0f, entropies[row] = 0.0f;
  }
  return row;
}

// Log-prob of each row's target and entropy of each row, nats. grid.x: blocks that share the rows.
template <typename Logit>
MP_KERNEL(THREADS, 2)
void never_idle(Global<const Logit> logits, Global<const long long> targets, Global<float> logps,
                Global<float> entropies, long long rows, long long row_stride, int vocabulary,
                float inverse_temperature) {
  MP_SHARED(Online, of_warps, 2 * WARPS);
  const float scale = inverse_temperature * MP_LOG2E;

  long long target = 0;
  long long row = next_row(blockIdx.x, rows, targets, logps, entropies, target);
  if (row >= rows) return;
  Global<const Logit> x = logits + row * row_stride;
  Layout<Logit> layout(x, vocabulary);
  Words ahead[LOADS];
  load(ahead, x, layout, 0);
  for (int turn = 0; row < rows; turn = 1 - turn) {
    long long next_target = 0;
    const long long next =
        next_row(row + gridDim.x, rows, targets, logps, entropies, next_target);
    const Global<const Logit> next_x = logits + next * row_stride;
    const Layout<Logit> next_layout(next_x, vocabulary);

    Online state = {LOWEST, 0.0f, 0.0f};
    for (int start = 0; start == 0 || start < layout.wide; start += LOADS * THREADS) {
      Words batch[LOADS];
#pragma unroll
      for (int j = 0; j < LOADS; ++j) batch[j] = ahead[j];
      const int after = start + LOADS * THREADS;
      if (after < layout.wide) load(ahead, x, layout, after);
      else if (next < rows) load(ahead, next_x, next_layout, 0);
      add_batch<Logit, true>(state, batch, scale);
    }
    if (threadIdx.x < layout.narrow)
      add_one<true>(state, mp_float(x[layout.edge(threadIdx.x)]), scale);

    merge_warp<true>(state);
    const Shared<Online> states = of_warps + turn * WARPS;
    if (threadIdx.x % 32 == 0) states[threadIdx.x / 32] = state;
    mp_sync_block();  // the states of all warps are there
    if (threadIdx.x < 32) {
      state = merged<true>(states, WARPS);
      if (threadIdx.x == 0) {
        const float log2_sum = mp_log2(state.sum);
        const float target_below = fmaf(mp_float(x[target]), scale, -state.top);
        logps[row] = (target_below - log2_sum) * MP_LN2;
        entropies[row] = (log2_sum - state.weighted / state.sum) * MP_LN2;
      }
    }
    row = next, target = next_target, x = next_x, layout = next_layout;
  }
}
