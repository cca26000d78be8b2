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
