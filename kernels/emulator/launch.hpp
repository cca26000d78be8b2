// A launch: clusters run one after the other, each from its threads' first line to their last.
//
// The order of the clusters is drawn from the seed. Blocks of two of them are never there at once,
// so a kernel that waits for another block spins for ever.
#pragma once

#include "turns.hpp"

namespace mp {

void count_global(const Fibre* fibres, std::size_t threads);

// The whole life of a thread. It never returns: its stack is used again by a later block.
inline void live_and_leave() {
  Machine& m = machine;
  m.body();
  Fibre* self = m.current;
  std::uint64_t canary;
  std::memcpy(&canary, self->stack, sizeof canary);
  std::memcpy(self->stack, &CANARY, sizeof CANARY);
  if (canary != CANARY) fault("its locals need more than the %zu bytes of a stack", STACK_BYTES);
  const auto leave = [](int& live, Gate& gate) {
    if (--live == static_cast<int>(gate.waiting.size()) && live) open(gate);
  };
  leave(self->warp->live, self->warp->gate);
  leave(self->block->live, self->block->gate);
  for (const Copy& copy : m.copies)
    if (!self->block->live && copy.block == self->block)
      fault("its block has left, and nobody has waited for a bulk copy of %d bytes", copy.bytes);
  leave(m.live, m.cluster_gate);
  next();
}

// Nobody can run, yet not all have left: say who waits where.
inline void report_deadlock() {
  std::string text;
  const Gate* said = nullptr;
  for (const Fibre& fibre : machine.fibres) {
    const Gate* gate = fibre.waits_at;
    if (!gate || gate == said || gate->waiting.front() != &fibre || text.size() > 700) continue;
    said = gate;
    char line[200];
    std::snprintf(line, sizeof line,
                  "; block (%u, %u, %u): %zu wait in %s at %s:%d, first thread %d",
                  fibre.block->index.x, fibre.block->index.y, fibre.block->index.z,
                  gate->waiting.size(), gate->site.primitive, gate->site.file, gate->site.line,
                  fibre.linear);
    text += line;
  }
  fault("divergent: nobody can go on%s", text.c_str());
}

inline void make_room(std::size_t threads) {
  Machine& m = machine;
  if (m.stack_count < threads) {
    free_stacks(m.stacks, m.stack_count);
    m.stacks = new_stacks(threads);
    m.stack_count = m.stacks ? threads : 0;
    if (!m.stacks) return fault("no memory for %zu threads", threads);
    for (std::size_t i = 0; i < threads; ++i)
      std::memcpy(m.stacks + i * STACK_BYTES, &CANARY, sizeof CANARY);
  }
  if (m.fibres.size() < threads) m.fibres = std::vector<Fibre>(threads);
}

// Put one block's threads before the kernel's first line.
inline void seat(Block& block, Index index, Fibre* fibres, char* stacks) {
  const Index shape = machine.launch->block;
  const int threads = static_cast<int>(shape.x * shape.y * shape.z);
  block.index = index;
  block.gate.waiting.clear();
  block.live = 0;
  block.fibres = fibres;
  block.writers.assign(SHARED_LIMIT / 16, 0);
  block.warps.resize((threads + WARP - 1) / WARP);
  block.shared.resize(SHARED_LIMIT, static_cast<char>(POISON));
  std::memset(block.shared.data(), POISON, machine.shared_used);
  for (Warp& warp : block.warps) {
    warp.gate.waiting.clear();
    warp.live = 0;
    std::memset(warp.shown, 0, sizeof warp.shown);
  }
  for (int i = 0; i < threads; ++i) {
    Fibre& fibre = fibres[i];
    fibre.thread = {i % shape.x, i / shape.x % shape.y, i / (shape.x * shape.y)};
    fibre.linear = i;
    fibre.lane = i % WARP;
    fibre.block = &block;
    fibre.warp = &block.warps[i / WARP];
    fibre.warp->live++;
    fibre.waits_at = nullptr;
    fibre.turn = fibre.fences = 0;
    fibre.groups = 0;
    for (auto& stream : fibre.accesses) stream.clear();
    fibre.stack = stacks + i * STACK_BYTES;
    prepare(fibre.context, fibre.stack, live_and_leave);
  }
}

inline void run_cluster(std::size_t first) {
  Machine& m = machine;
  const Index grid = m.launch->grid, shape = m.launch->block;
  const std::size_t threads = std::size_t(shape.x) * shape.y * shape.z;
  m.ready.clear(), m.head = 0;
  m.late.clear(), m.copies.clear(), m.barriers.clear();
  m.cluster_gate.waiting.clear();
  m.live = static_cast<int>(threads * m.launch->cluster);
  for (unsigned rank = 0; rank < m.launch->cluster; ++rank) {
    const std::size_t at = first + rank;
    const Index index = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y),
                         unsigned(at / grid.x / grid.y)};
    seat(m.blocks[rank], index, m.fibres.data() + rank * threads,
         m.stacks + rank * threads * STACK_BYTES);
    if (rank && !(m.launch->seed && draw() % 2)) m.late.push_back(&m.blocks[rank]);
    else start(m.blocks[rank]);
  }
  const auto& warps = m.blocks[draw() % m.launch->cluster].warps;
  m.slow = &warps[draw() % 2 ? 0 : draw() % warps.size()];  // often the one that puts all together
  m.current = nullptr;
  next();
  if (!m.failed && m.live) report_deadlock();
  for (unsigned rank = 0; rank < m.launch->cluster; ++rank)
    count_global(m.fibres.data() + rank * threads, threads);
}

// Run a launch whose threads each call `body`; false with a message where something went wrong.
inline bool run(Launch& launch, void (*body)()) {
  Machine& m = machine;
  const std::size_t blocks = std::size_t(launch.grid.x) * launch.grid.y * launch.grid.z;
  const std::size_t threads = std::size_t(launch.block.x) * launch.block.y * launch.block.z;
  m.launch = &launch;
  m.body = body;
  m.current = nullptr;
  m.failed = false;
  m.random = launch.seed * 0x9e3779b97f4a7c15ULL + 1;
  m.patience = 1u << (8 + draw() % 16);
  if (threads < 1 || threads > 1024) fault("a block of %zu threads: 1 to 1024 fit", threads);
  if (launch.cluster < 1 || launch.cluster > 16 || launch.grid.x % launch.cluster)
    fault("grid.x is %u: not a multiple of a cluster of %u", launch.grid.x, launch.cluster);
  if (launch.grid.y > 65535 || launch.grid.z > 65535) fault("grid.y and grid.z end at 65535");
  if (launch.dynamic_shared > SHARED_LIMIT) fault("a block has %d bytes shared", SHARED_LIMIT);
  m.declarations.clear(), m.offsets.clear();
  m.shared_used = static_cast<int>((launch.dynamic_shared + 15) / 16 * 16);
  if (!m.failed) make_room(threads * launch.cluster);
  if (m.blocks.size() < launch.cluster) m.blocks = std::vector<Block>(launch.cluster);
  std::vector<std::size_t> order(blocks / (launch.cluster ? launch.cluster : 1));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i * launch.cluster;
  if (launch.seed)
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw() % i]);
  for (std::size_t i = 0; i < order.size() && !m.failed; ++i) run_cluster(order[i]);
  return !m.failed;
}

}  // namespace mp
