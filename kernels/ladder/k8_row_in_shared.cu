// Rung 8: a row in shared memory, one on its way in, one on its way out.
//
// Registers hold one row, and while it is reduced and written nothing is loaded. Shared memory
// holds three: clusters of four blocks walk over the rows, and a block keeps three slices, of the
// row that it works on, of the next one, which is being loaded, and of the last one, whose gradient
// is being stored. One thread asks for these copies; the hardware makes them while the others
// compute. A load reports to a barrier in shared memory, whose phase everybody waits for. Before a
// place is used again its store must have left it. Before a store the threads make a fence: copies
// go another way to shared memory than what threads write.
//
// Four blocks hold three rows in the 227 KB that each may have: 153920 logits of 2 bytes or 76960
// floats. The launch gives a block three slices of dynamic shared memory, each a quarter of a row's
// whole 16-byte pieces, rounded up. A masked row is read like any other.
//
// Bytes      one read and one write of the logits; each warp reads the 8 bytes of its row's target
// Prediction 93 to 97 % of the floor (one read and one write at copy speed)
// Needs      online_softmax.cuh, softmax_gradient.cuh, ladder/row.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU of capability 9.0

constexpr int CLUSTER = 4;
constexpr int SLICES = 3;  // in shared memory: loading, in use, storing
constexpr int WARPS = THREADS / 32;

// The 16-byte pieces of a row that one block of the cluster has.
struct Slice {
  int first, count;
  MP_DEVICE Slice(int wide, int rank) {
    const int each = (wide + CLUSTER - 1) / CLUSTER, left = wide - rank * each;
    first = rank * each;
    count = left < 0 ? 0 : left < each ? left : each;
  }
};

// Log-prob of each row's target, nats; the row's logits become its gradient, zeros where the target
// is -100. grid.x: 4 * clusters that share the rows.
template <typename Logit>
MP_CLUSTER(CLUSTER)
MP_KERNEL(THREADS, 1)
void row_in_shared(Global<Logit> logits, Global<const long long> targets, Global<float> logps,
                   long long rows, long long row_stride, int vocabulary,
                   float inverse_temperature) {
  MP_SHARED(mp_barrier, loaded, SLICES);
  MP_SHARED(Online, of_warps, 2 * CLUSTER * WARPS);
  MP_DYNAMIC_SHARED(Words, ring);
  const int room = Slice(vocabulary / MP_PER_16<Logit>, 0).count;
  const int rank = mp_cluster_rank();
  const long long step = gridDim.x / CLUSTER;

  const auto load = [&](long long at, int place) {
    const Global<Logit> x = logits + at * row_stride;
    const Layout<Logit> layout(x, vocabulary);
    const Slice slice(layout.wide, rank);
    mp_barrier_expect(loaded + place, 16 * slice.count);
    if (slice.count > 0)
      mp_bulk_load(ring + place * room, x + layout.column(slice.first), 16 * slice.count,
                   loaded + place);
  };

  if (threadIdx.x == 0)
    for (int place = 0; place < SLICES; ++place) mp_barrier_init(loaded + place, 1);
  mp_sync_cluster();  // all barriers are there, and all blocks have started
  long long at = blockIdx.x / CLUSTER;
  if (threadIdx.x == 0 && at < rows) load(at, 0);

  for (int n = 0; at < rows; at += step, ++n) {
    const int place = n % SLICES, turn = n % 2;
    if (threadIdx.x == 0 && at + step < rows) {
      mp_bulk_wait<1>();  // the row before the last has left the next row's place
      load(at + step, (n + 1) % SLICES);
    }
    const Global<Logit> x = logits + at * row_stride;
    const Layout<Logit> layout(x, vocabulary);
    const Slice slice(layout.wide, rank);
    const Shared<Words> pieces = ring + place * room;
    const bool has_edge = rank == 0 && threadIdx.x < layout.narrow;
    const int column = layout.edge(threadIdx.x);
    Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], inverse_temperature};
    const bool masked = row.target == IGNORED;

    float edge = 0.0f;
    Online state = {LOWEST, 0.0f, 0.0f};
    if (has_edge) {
      edge = mp_float(x[column]);
      add_one<false>(state, edge, row.scale);
    }
    mp_barrier_wait(loaded + place, n / SLICES % 2);  // the slice has come
    for (int k = threadIdx.x; k < slice.count; k += THREADS) {
      const Words piece[1] = {pieces[k]};
      add_batch<Logit, false>(state, piece, row.scale);
    }
    merge_warp<false>(state);
    const Shared<Online> states = of_warps + turn * CLUSTER * WARPS;
    if (threadIdx.x % 32 < CLUSTER)
      mp_peer(states, threadIdx.x % 32)[rank * WARPS + threadIdx.x / 32] = state;
    mp_sync_cluster();  // the states of all warps of all blocks are here
    state = merged<false>(states, CLUSTER * WARPS);
    row.top = state.top;
    row.log2_sum = mp_log2(state.sum);

    for (int k = threadIdx.x; k < slice.count; k += THREADS) {
      Words words = {{0, 0, 0, 0}};
      if (!masked)
        words = become16<Logit>(row, pieces[k], layout.column(slice.first + k), logps + at);
      pieces[k] = words;
    }
    if (has_edge)
      x[column] = mp_round<Logit>(masked ? 0.0f : become(row, edge, column, logps + at));
    if (masked && rank == 0 && threadIdx.x == 0) logps[at] = 0.0f;
    mp_fence_bulk();
    mp_sync_block();  // the slice's gradient is whole, and a copy sees it
    if (threadIdx.x == 0) {
      if (slice.count > 0)
        mp_bulk_store(x + layout.column(slice.first), pieces, 16 * slice.count);
      mp_bulk_commit();
    }
  }
  if (threadIdx.x == 0) mp_bulk_wait<0>();  // shared memory lasts as long as its block
}
