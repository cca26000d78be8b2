// Small kernels that between them use every primitive: what the emulator's tests run, and what
// tests of the compilers compile.

MP_KERNEL(1024) void add_up(Global<const float> x, Global<float> out, int n) {
  MP_SHARED(float, parts, 1024);
  float sum = 0.0f;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  parts[threadIdx.x] = sum;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    mp_sync_block();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = parts[0];
}

MP_KERNEL(64) void shuffles(Global<int> out) {
  const int lane = threadIdx.x;
  out[lane] = mp_shfl(lane, 5);
  out[64 + lane] = mp_shfl_xor(lane, 3);
  out[128 + lane] = (int)mp_ballot(lane % 3 == 0);
}

MP_KERNEL(32) void shuffle_after_leaving(Global<float> out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = mp_shfl(1.0f, 7);
}

MP_CLUSTER(4) MP_KERNEL(8) void sum_over_cluster(Global<const float> x, Global<float> out) {
  MP_DYNAMIC_SHARED(float, mine);
  if (threadIdx.x == 0) mine[0] = x[blockIdx.x];
  mp_sync_cluster();
  float sum = 0.0f;
  for (int rank = 0; rank < mp_cluster_size(); ++rank) sum += mp_peer(mine, rank)[0];
  mp_sync_cluster();
  if (threadIdx.x == 0) out[blockIdx.x] = sum + 100 * mp_cluster_rank();
}

MP_KERNEL(8) void peer_that_left(Global<float> out) {
  MP_SHARED(float, mine, 1);
  mine[0] = 1.0f;
  mp_sync_cluster();
  if (mp_cluster_rank() == 1) return;
  for (int i = 0; i < 9; ++i) mp_sync_block();
  out[0] = mp_peer(mine, 1)[0];
}

MP_KERNEL(8) void peer_that_has_not_started(Global<float> out) {
  MP_SHARED(float, mine, 1);
  mp_peer(mine, 1)[0] = 1.0f;
  mp_sync_cluster();
  out[0] = mine[0];
}

// Add 1 to `parts` times `count` floats on their way through shared memory, or make a mistake.
MP_KERNEL(32) void add_1_in_bulk(Global<const float> x, Global<float> out, int count, int parts,
                                 int mistake) {
  MP_SHARED(mp_barrier, loaded, 1);
  MP_SHARED(Words, place, 64);
  const int lane = threadIdx.x, bytes = 4 * count;
  if (lane == 0 && mistake != 1) mp_barrier_init(loaded, parts);
  mp_sync_block();
  if (lane < parts) {
    mp_barrier_expect(loaded, mistake == 2 ? bytes + 16 : bytes);
    mp_bulk_load(place + lane * (count / 4), x + lane * count, bytes, loaded);
  }
  if (mistake != 3) mp_barrier_wait(loaded, mistake == 4);
  for (int k = lane; k < parts * count / 4; k += 32) {
    Words words = place[k];
    for (int i = 0; i < 4; ++i) words.at[i] = mp_bits(mp_from_bits(words.at[i]) + 1.0f);
    place[k] = words;
  }
  if (mistake != 5) mp_fence_bulk();
  mp_sync_block();
  if (lane >= parts) return;
  const int mine = mistake == 6 ? 0 : lane;
  mp_bulk_store(out + lane * count, place + mine * (count / 4), bytes);
  mp_bulk_commit();
  if (mistake == 7) place[mine * (count / 4)] = Words{{0, 0, 0, 0}};
  if (mistake != 8) mp_bulk_wait<0>();
}

// The second warp is busy before it writes: only where the first one lags is it overtaken.
MP_KERNEL(64) void overtaken(Global<int> out) {
  MP_SHARED(int, place, 1);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) mp_shfl_xor(round, 1);
    if (threadIdx.x == 32) place[0] = round;
    mp_sync_block();
    if (threadIdx.x < 32 && place[0] != round) out[0] = 1;
  }
}

MP_KERNEL(1) void look_too_early(Global<const float> x, Global<float> out) {
  MP_SHARED(mp_barrier, loaded, 1);
  MP_SHARED(Words, place, 1);
  mp_barrier_init(loaded, 1);
  place[0] = Words{{0, 0, 0, 0}};
  mp_fence_bulk();
  mp_barrier_expect(loaded, 16);
  mp_bulk_load(place, x, 16, loaded);
  const Words early = place[0];
  mp_barrier_wait(loaded, 0);
  const Words late = place[0];
  out[0] = mp_from_bits(early.at[0]), out[1] = mp_from_bits(late.at[0]);
}

MP_KERNEL(32) void tickets(Global<int> counter, Global<int> last, Global<int> careless) {
  MP_SHARED(int, ticket, 1);
  mp_fence();
  if (threadIdx.x == 0) ticket[0] = mp_atomic_add(counter, 1);
  mp_sync_block();
  if (ticket[0] == (int)gridDim.x - 1 && threadIdx.x == 0) last[0] = blockIdx.x;
  careless[0] += 1;
}

MP_KERNEL(64) void two_barriers(Global<int> out) {
  if (threadIdx.x < 40) mp_sync_block();
  else mp_sync_block(
  );
}

MP_KERNEL(64) void never_met(Global<int> out) {
  if (threadIdx.x < 3) mp_sync_block();
  else mp_shfl_xor(1, 1);
}

MP_KERNEL(8) void touch(Global<const float> x, Global<float> out, long long at, int wide) {
  if (wide) mp_store16(out, mp_load16(x + at));
  else out[0] = x[at];
}

MP_KERNEL(8) void too_deep(Global<float> out) {
  volatile char locals[66000];
  for (int i = 0; i < 66000; ++i) locals[i] = 1;
  out[0] = locals[0];
}

MP_KERNEL(32) void in_three(Global<int> out) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

MP_KERNEL(1) void rounded(Global<const float> x, Global<unsigned short> bf16,
                          Global<unsigned short> fp16, int n) {
  for (int i = 0; i < n; ++i) bf16[i] = mp_bf16_bits(x[i]), fp16[i] = mp_fp16_bits(x[i]);
}

MP_KERNEL(1) void widened(Global<const mp_fp16> x, Global<float> out, int n) {
  for (int i = 0; i < n; ++i) out[i] = mp_float(x[i]);
}

MP_KERNEL(96) void some_leave(Global<int> out) {
  MP_SHARED(int, numbers, 96);
  numbers[threadIdx.x] = threadIdx.x;
  mp_sync_warp();
  const int neighbour = numbers[threadIdx.x ^ 1];
  if (threadIdx.x >= 48) return;
  mp_sync_block();
  out[threadIdx.x] = neighbour;
}
