// The gradient of one row, each element on its own: coefficient * (onehot - softmax) and, on
// demand, the entropy's. In place or not.

constexpr int BACKWARD_THREADS = 256;  // of a backward block

struct Row {
  float scale, top, log2_sum;
  long long target;
  float coefficient;          // dL/dlogp / T
  float entropy_coefficient;  // dL/dentropy / T
  float entropy;              // nats
};

// dL/dx of one column, in float until it is stored: where p is nearly 1, 1 - p is still exact.
template <bool ENTROPY>
MP_DEVICE float slope(const Row& row, float x, int column) {
  float log2_p = fmaf(x, row.scale, -row.top) - row.log2_sum;
  if (ENTROPY) log2_p = fmaxf(log2_p, NOTHING);
  const float p = mp_exp2(log2_p);
  float d = row.coefficient * ((column == row.target ? 1.0f : 0.0f) - p);
  if (ENTROPY) d -= row.entropy_coefficient * p * fmaf(log2_p, MP_LN2, row.entropy);
  return d;
}

// Write a row's gradient with all blocks of one blockIdx.x; `dx` may be `x`. A row with target -100
// is not read, and written as zeros.
template <typename Logit, bool ENTROPY>
MP_DEVICE void write_row(Global<const Logit> x, Global<Logit> dx, const Row& row, int vocabulary) {
  constexpr int PER = MP_PER_16<Logit>;
  const bool masked = row.target == IGNORED;
  const int past = mp_bytes_past_16(dx);
  const int before = (16 - past) % 16 / (int)sizeof(Logit);
  const int head = before < vocabulary ? before : vocabulary;
  int wide = (vocabulary - head) / PER;
  if (!masked && mp_bytes_past_16(x) != past) wide = 0;  // not aligned alike: one by one
  const int thread = blockIdx.y * BACKWARD_THREADS + threadIdx.x;
  const int threads = gridDim.y * BACKWARD_THREADS;

  for (int k = thread; k < wide; k += threads) {
    const long long column = head + (long long)k * PER;
    Words words = {{0, 0, 0, 0}};
    if (!masked) {
      const Words read = mp_load16(x + column);
#pragma unroll
      for (int i = 0; i < PER; ++i)
        mp_set<Logit>(words, i, slope<ENTROPY>(row, mp_get<Logit>(read, i), (int)column + i));
    }
    mp_store16(dx + column, words);
  }
  for (int k = thread; k < vocabulary - wide * PER; k += threads) {
    const int column = k < head ? k : k + wide * PER;
    dx[column] = mp_round<Logit>(masked ? 0.0f : slope<ENTROPY>(row, mp_float(x[column]), column));
  }
}
