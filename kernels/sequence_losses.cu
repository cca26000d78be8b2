// Preference losses from logits in two launches.
//
// For every loss on sequences, d loss / d logits = coefficient[row] * (onehot - softmax): methods
// differ in the coefficient alone (paper 001, Eq. 1). So the first launch reads the logits once, a
// block a row, and the block that comes last of an item (a pair, or one sequence) adds up what all
// of them saw: log-probs of sequences, the loss, and each row's coefficient. The second launch
// writes the gradient, with the coefficient times what comes from above.
//
// The idea is the ticket: blocks come in any order, and whoever draws the last one knows that the
// others are done. It adds up in an order of its own, so that the order of coming changes no bit.
//
// Rows are those of logits (sequences, tokens, vocabulary). A pair is a sequence of the first half
// and one of the second, chosen and rejected. A row with target -100 is not read and adds nothing;
// a sequence without any other row has log-prob and mean 0.
//
// Bytes      losses: one read of the unmasked logits and one more logit a row; a row reads 8 bytes
//            of target a warp and writes 12 of result; its ticket is 4 read and 4 written. Then the
//            last block reads 20 bytes a row and writes 4 (GRPO: 32 and 8), and an item's inputs a
//            warp. Gradient: one read of the unmasked logits and one write of all; each warp reads
//            its row's 8 bytes of target and 16 of numbers.
// Prediction that of token_logps.cu: the ticket and the sums are hidden behind other blocks' reads
// Needs      online_softmax.cuh, softmax_gradient.cuh
// Run        minipref.fused.emulate, or minipref.fused.compiling for a GPU

constexpr int WARPS = THREADS / 32;
constexpr int DPO = 0;  // what pair_losses knows
constexpr int IPO = 1;
constexpr int SIMPO = 2;
constexpr float MOST = 20.0f;  // nats: a log-ratio above counts as this, without gradient

// A loss, and its slope in the one number that it depends on.
struct Push {
  float loss, slope;
};

// No intermediate result overflows, and NaN stays NaN.
MP_DEVICE float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
MP_DEVICE Push logistic(float margin) {  // -log(sigmoid(margin)), and its slope in margin
  const float hinge = margin < 0.0f ? -margin : 0.0f;
  return {hinge + log1pf(expf(-fabsf(margin))), -sigmoid(-margin)};
}

// By the difference of a pair's log-ratios, or of its mean log-ratios, or of its mean log-probs.
MP_DEVICE Push dpo(float difference, float beta) {
  const Push push = logistic(beta * difference);
  return {push.loss, beta * push.slope};
}
MP_DEVICE Push ipo(float difference, float tau) {
  const float excess = difference - 1.0f / (2.0f * tau);
  return {excess * excess, 2.0f * excess};
}
MP_DEVICE Push simpo(float difference, float beta, float gamma) {
  const Push push = logistic(beta * difference - gamma);
  return {push.loss, beta * push.slope};
}

// By the log-ratio of one response that was liked or not.
MP_DEVICE Push kto(float logratio, float kl, bool desirable, float beta, float lambda) {
  const float gain = beta * (logratio - kl), sign = desirable ? -1.0f : 1.0f;
  return {lambda * sigmoid(sign * gain), sign * lambda * beta * sigmoid(gain) * sigmoid(-gain)};
}

// By the log-prob of one token.
MP_DEVICE Push grpo(float logp, float old_logp, float ref_logp, float advantage, float clip_low,
                    float clip_high, float kl) {
  const float up = logp - old_logp, down = ref_logp - logp;
  const float ratio = expf(up > MOST ? MOST : up), d = down > MOST ? MOST : down;
  const float low = 1.0f - clip_low, high = 1.0f + clip_high;
  const float clipped = (ratio < low ? low : ratio > high ? high : ratio) * advantage;
  const bool active = ratio * advantage <= clipped;
  const float surrogate = active ? ratio * advantage : clipped;
  const float pull = active && !(up > MOST) ? ratio * advantage : 0.0f;
  return {kl * (expm1f(d) - d) - surrogate, (down > MOST ? 0.0f : -kl * expm1f(d)) - pull};
}

// Read this block's row, write down what was seen.
template <typename Logit>
MP_DEVICE void see_token(Global<const Logit> logits, Global<const long long> targets,
                         Global<float> logps, Global<float> tops, Global<float> log2_sums,
                         long long sequence_stride, long long token_stride, int tokens,
                         int vocabulary, float inverse_temperature) {
  const int at = blockIdx.x;
  const long long start = at / tokens * sequence_stride + at % tokens * token_stride;
  const Seen seen =
      see_row<Logit, false>(logits + start, targets[at], vocabulary, inverse_temperature);
  if (threadIdx.x == 0) {
    logps[at] = seen.logp;
    tops[at] = seen.top;
    log2_sums[at] = seen.log2_sum;
  }
}

// Has this block come last of so many? Then all threads see what thread 0 of the others wrote.
MP_DEVICE bool last_to_come(Global<int> arrivals, int blocks) {
  MP_SHARED(int, ticket, 1);
  if (threadIdx.x == 0) {
    mp_fence();  // what this block wrote is there before its ticket is drawn
    ticket[0] = mp_atomic_add(arrivals, 1);
    mp_fence();  // what others wrote before theirs is read after this
  }
  mp_sync_block();  // thread 0 has drawn
  return ticket[0] == blocks - 1;
}

struct Total {
  float sum;   // over tokens that count
  int tokens;  // how many count
};

// Add up over a warp and show the result to the block.
MP_DEVICE void show_total(Total mine, Shared<Total> of_warps) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    mine.sum += mp_shfl_xor(mine.sum, mask);
    mine.tokens += mp_shfl_xor(mine.tokens, mask);
  }
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = mine;
}

MP_DEVICE Total total_of(Shared<Total> of_warps, int first, int warps) {
  Total total = {0.0f, 0};
  for (int warp = first; warp < first + warps; ++warp) {
    const Total other = of_warps[warp];
    total.sum += other.sum;
    total.tokens += other.tokens;
  }
  return total;
}

// A thread's share of a sequence's log-probs: every `threads`-th.
MP_DEVICE Total add_tokens(Global<const float> logps, Global<const long long> targets, int tokens,
                           int thread, int threads) {
  Total total = {0.0f, 0};
  for (int t = thread; t < tokens; t += threads) {
    total.sum += logps[t];  // 0 where left out
    total.tokens += targets[t] != IGNORED;
  }
  return total;
}

// Every token of a sequence gets the same coefficient.
MP_DEVICE void spread(float each, Global<float> coefficients, Global<const long long> targets,
                      int tokens, int thread, int threads) {
  for (int t = thread; t < tokens; t += threads)
    coefficients[t] = targets[t] == IGNORED ? 0.0f : each;
}

// DPO of sums, IPO (whose tau is `beta` here) and SimPO of means. Each half of a block adds up one
// response of the pair. grid.x: rows.
template <typename Logit>
MP_KERNEL(THREADS, 2)
void pair_losses(Global<const Logit> logits, Global<const long long> targets,
                 Global<const float> ref_chosen, Global<const float> ref_rejected,
                 Global<float> losses, Global<float> coefficients, Global<float> logps,
                 Global<float> tops, Global<float> log2_sums, Global<int> arrivals,
                 long long sequence_stride, long long token_stride, int pairs, int tokens,
                 int vocabulary, int loss, float inverse_temperature, float beta, float gamma) {
  MP_SHARED(Total, of_warps, WARPS);
  see_token<Logit>(logits, targets, logps, tops, log2_sums, sequence_stride, token_stride, tokens,
                   vocabulary, inverse_temperature);
  const int pair = blockIdx.x / tokens % pairs;
  if (!last_to_come(arrivals + pair, 2 * tokens)) return;

  const int half = THREADS / 2, thread = threadIdx.x % half;
  const bool rejects = threadIdx.x >= half;
  const long long first = (long long)(rejects ? pairs + pair : pair) * tokens;
  show_total(add_tokens(logps + first, targets + first, tokens, thread, half), of_warps);
  mp_sync_block();  // the totals of all warps are there
  const Total chosen = total_of(of_warps, 0, WARPS / 2);
  const Total rejected = total_of(of_warps, WARPS / 2, WARPS / 2);
  const float chosen_tokens = loss == DPO ? 1.0f : fmaxf((float)chosen.tokens, 1.0f);
  const float rejected_tokens = loss == DPO ? 1.0f : fmaxf((float)rejected.tokens, 1.0f);
  float up = chosen.sum / chosen_tokens, down = rejected.sum / rejected_tokens;
  if (loss != SIMPO) {
    up -= ref_chosen[pair];
    down -= ref_rejected[pair];
  }
  const Push push = loss == DPO   ? dpo(up - down, beta)
                    : loss == IPO ? ipo(up - down, beta)
                                  : simpo(up - down, beta, gamma);
  if (threadIdx.x == 0) losses[pair] = push.loss;
  const float each = rejects ? -push.slope / rejected_tokens : push.slope / chosen_tokens;
  spread(each, coefficients + first, targets + first, tokens, thread, half);
}

// KTO; `kl` is one number that all share. grid.x: rows.
template <typename Logit>
MP_KERNEL(THREADS, 2)
void kto_losses(Global<const Logit> logits, Global<const long long> targets,
                Global<const float> ref_logps, Global<const bool> desirable,
                Global<const float> kl, Global<float> losses, Global<float> coefficients,
                Global<float> logps, Global<float> tops, Global<float> log2_sums,
                Global<int> arrivals, long long sequence_stride, long long token_stride, int tokens,
                int vocabulary, float inverse_temperature, float beta, float lambda_desirable,
                float lambda_undesirable) {
  MP_SHARED(Total, of_warps, WARPS);
  see_token<Logit>(logits, targets, logps, tops, log2_sums, sequence_stride, token_stride, tokens,
                   vocabulary, inverse_temperature);
  const int sequence = blockIdx.x / tokens;
  if (!last_to_come(arrivals + sequence, tokens)) return;

  const long long first = (long long)sequence * tokens;
  show_total(add_tokens(logps + first, targets + first, tokens, threadIdx.x, THREADS), of_warps);
  mp_sync_block();  // the totals of all warps are there
  const bool liked = desirable[sequence];
  const Push push = kto(total_of(of_warps, 0, WARPS).sum - ref_logps[sequence], kl[0], liked, beta,
                        liked ? lambda_desirable : lambda_undesirable);
  if (threadIdx.x == 0) losses[sequence] = push.loss;
  spread(push.slope, coefficients + first, targets + first, tokens, threadIdx.x, THREADS);
}

// GRPO; without a reference, kl is 0 and any log-probs stand for it. A sequence's sum is divided by
// the tokens a sequence among `averaged` rows: its own, or those of the batch. grid.x: rows.
template <typename Logit>
MP_KERNEL(THREADS, 2)
void grpo_losses(Global<const Logit> logits, Global<const long long> targets,
                 Global<const float> old_logps, Global<const float> advantages,
                 Global<const float> ref_logps, Global<float> losses, Global<float> coefficients,
                 Global<float> logps, Global<float> tops, Global<float> log2_sums,
                 Global<int> arrivals, long long sequence_stride, long long token_stride,
                 int averaged, int tokens, int vocabulary, float inverse_temperature,
                 float clip_low, float clip_high, float kl) {
  MP_SHARED(Total, of_warps, WARPS);
  see_token<Logit>(logits, targets, logps, tops, log2_sums, sequence_stride, token_stride, tokens,
                   vocabulary, inverse_temperature);
  const int sequence = blockIdx.x / tokens;
  if (!last_to_come(arrivals + sequence, tokens)) return;

  const int first = sequence * tokens, around = blockIdx.x / averaged * averaged;
  const float advantage = advantages[sequence];
  Total mine = {0.0f, 0};
  for (int t = first + threadIdx.x; t < first + tokens; t += THREADS) {
    Push push = {0.0f, 0.0f};
    if (targets[t] != IGNORED)
      push = grpo(logps[t], old_logps[t], ref_logps[t], advantage, clip_low, clip_high, kl);
    mine.sum += push.loss;
    coefficients[t] = push.slope;
  }
  for (int t = around + threadIdx.x; t < around + averaged; t += THREADS)
    mine.tokens += targets[t] != IGNORED;
  show_total(mine, of_warps);
  mp_sync_block();  // the totals of all warps are there
  const Total total = total_of(of_warps, 0, WARPS);
  const float divisor = fmaxf((float)total.tokens, 1.0f) / (float)(averaged / tokens);
  if (threadIdx.x == 0) losses[sequence] = total.sum / divisor;
  for (int t = first + threadIdx.x; t < first + tokens; t += THREADS)
    coefficients[t] = coefficients[t] / divisor;
}

// `gradient` may be `logits`; `upstream` is what each item's loss counts. Sequences i and items + i
// are those of item i. grid.x: rows, grid.y: as many blocks as share one row.
template <typename Logit>
MP_KERNEL(BACKWARD_THREADS)
void sequence_losses_backward(Global<const Logit> logits, Global<Logit> gradient,
                              Global<const long long> targets, Global<const float> tops,
                              Global<const float> log2_sums, Global<const float> coefficients,
                              Global<const float> upstream, long long sequence_stride,
                              long long token_stride, long long gradient_sequence_stride,
                              long long gradient_token_stride, long long upstream_stride, int items,
                              int tokens, int vocabulary, float inverse_temperature) {
  const int at = blockIdx.x, sequence = at / tokens, token = at % tokens;
  Row row = {inverse_temperature * MP_LOG2E, 0.0f, 0.0f, targets[at], 0.0f, 0.0f, 0.0f};
  if (row.target != IGNORED) {
    row.top = tops[at];
    row.log2_sum = log2_sums[at];
    row.coefficient = coefficients[at] * upstream[sequence % items * upstream_stride];
    row.coefficient *= inverse_temperature;
  }
  write_row<Logit, false>(
      logits + (sequence * sequence_stride + token * token_stride),
      gradient + (sequence * gradient_sequence_stride + token * gradient_token_stride), row,
      vocabulary);
}
