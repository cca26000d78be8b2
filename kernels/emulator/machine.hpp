// The machine: grid, clusters, blocks, warps and threads, and who runs next.
//
// Clusters run one after the other, the threads of one cluster in turns: a thread runs until it
// waits at a gate (a barrier, a shuffle) or leaves. Seed 0 takes them in order. Any other seed
// draws who goes next, in which order blocks come, and now and then takes a thread off between two
// accesses: a kernel that is right gives the same bits under every seed. Blocks of two clusters are
// never there at once, so a kernel that waits for another block spins for ever.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "fibres.hpp"

namespace mp {

constexpr int WARP = 32;
constexpr int STATIC_SHARED_LIMIT = 48 * 1024;
constexpr int SHARED_LIMIT = 227 * 1024;  // of a block on compute capability 9.0
constexpr int STREAMS = 10;  // five sizes of a global access, read or written
constexpr int POISON = 0xff;  // as a byte; floats of it are NaN

struct Index {
  unsigned x, y, z;
};

// A place in a kernel's source, as the compiler names it.
struct Site {
  const char* primitive;
  const char* file;
  int line;
};

struct Fibre;

// Where threads wait until all that are left of their group have come.
struct Gate {
  Site site{};
  std::vector<Fibre*> waiting;
};

// A value that a lane shows to its warp, and in which of its turns.
struct Shown {
  unsigned turn;
  unsigned char bytes[8];
};

struct Warp {
  Gate gate;
  int live = 0;
  Shown shown[2][WARP];  // by even and odd turns: a slow lane still reads while others go on
};

struct Block {
  Index index{};
  Gate gate;
  int live = 0;
  std::vector<Warp> warps;
  std::vector<char> shared;
};

struct Fibre {
  Context context;
  char* stack = nullptr;
  Index thread{};
  int linear = 0, lane = 0;
  Block* block = nullptr;
  Warp* warp = nullptr;
  Gate* waits_at = nullptr;
  unsigned turn = 0;  // how many values it has shown to its warp
  std::vector<std::uintptr_t> accesses[STREAMS];  // global ones, by size and direction
};

// One launch, as the caller describes it. The layout is known to minipref/fused/emulate.py.
struct Argument {
  void* data;  // a buffer's first byte, or where a number stands
  long long bytes;
  int element;  // bytes of a buffer's element; 0 for a number
};

struct Traffic {
  long long global_read, global_written, sectors_read, sectors_written, shared_read, shared_written;
};

struct Launch {
  Index grid, block;
  unsigned cluster;
  unsigned dynamic_shared;
  unsigned long long seed;
  int without;  // line of a barrier to leave out; 0 for none
  int count;
  const Argument* arguments;
  Traffic traffic;
  char message[1000];
};

struct Machine {
  Launch* launch = nullptr;
  void (*body)() = nullptr;
  std::vector<Block> blocks;  // of the cluster that runs
  std::vector<Fibre> fibres;
  std::vector<Fibre*> ready;
  std::size_t head = 0;  // of `ready`, when taken in order
  std::vector<const void*> declarations;  // of shared arrays, with where each one starts
  std::vector<int> offsets;
  int shared_used = 0, live = 0;
  unsigned long long random = 0;
  Gate cluster_gate;
  Context home;
  Fibre* current = nullptr;
  char* stacks = nullptr;
  std::size_t stack_count = 0;
  bool failed = false;
};

inline Machine machine;

inline unsigned draw() {  // xorshift64*
  auto& x = machine.random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  return static_cast<unsigned>((x * 0x2545f4914f6cdd1dULL) >> 32);
}

// Go on with a thread that can run, or home where there is none.
inline void next() {
  Machine& m = machine;
  Fibre* before = m.current;
  Fibre* chosen = nullptr;
  if (m.head < m.ready.size()) {
    if (m.launch->seed) {
      std::size_t pick = draw() % m.ready.size();
      chosen = m.ready[pick];
      m.ready[pick] = m.ready.back();
      m.ready.pop_back();
    } else {
      chosen = m.ready[m.head++];
      if (m.head == m.ready.size()) m.ready.clear(), m.head = 0;
    }
  }
  if (chosen == before) return;
  m.current = chosen;
  swap(before ? before->context : m.home, chosen ? chosen->context : m.home);
}

// End the launch with a message; the threads are left where they stand.
[[gnu::format(printf, 1, 2)]] inline void fault(const char* format, ...) {
  Machine& m = machine;
  char* text = m.launch->message;
  int used = 0;
  if (m.current) {
    const Index block = m.current->block->index, thread = m.current->thread;
    used = std::snprintf(text, sizeof m.launch->message,
                         "block (%u, %u, %u), thread (%u, %u, %u): ", block.x, block.y, block.z,
                         thread.x, thread.y, thread.z);
  }
  va_list rest;
  va_start(rest, format);
  std::vsnprintf(text + used, sizeof m.launch->message - used, format, rest);
  va_end(rest);
  m.failed = true;
  if (m.current) {
    Context lost;
    m.current = nullptr;
    swap(lost, m.home);
  }
}

// Now and then, another thread first: what happens between two accesses is nobody's to rely on.
inline void perhaps_yield() {
  Machine& m = machine;
  if (m.launch->seed && (draw() & 31) == 0) {
    m.ready.push_back(m.current);
    next();
  }
}

inline void open(Gate& gate) {
  for (Fibre* fibre : gate.waiting) {
    fibre->waits_at = nullptr;
    machine.ready.push_back(fibre);
  }
  gate.waiting.clear();
}

// Wait until all `live` threads of a group have come to the same line.
inline void wait(Gate& gate, int live, const Site& site) {
  Fibre* self = machine.current;
  if (gate.waiting.empty()) {
    gate.site = site;
  } else if (gate.site.line != site.line || std::strcmp(gate.site.file, site.file) != 0) {
    fault("divergent: it came to %s at %s:%d while thread %d waits for it in %s at %s:%d",
          site.primitive, site.file, site.line, gate.waiting[0]->linear, gate.site.primitive,
          gate.site.file, gate.site.line);
  }
  gate.waiting.push_back(self);
  self->waits_at = &gate;
  if (static_cast<int>(gate.waiting.size()) == live) open(gate);
  next();
}

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

// Put one block's threads at the kernel's first line.
inline void seat(Block& block, Index index, Fibre* fibres, char* stacks) {
  const Index shape = machine.launch->block;
  const int threads = static_cast<int>(shape.x * shape.y * shape.z);
  block.index = index;
  block.gate.waiting.clear();
  block.live = threads;
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
    fibre.turn = 0;
    for (auto& stream : fibre.accesses) stream.clear();
    fibre.stack = stacks + i * STACK_BYTES;
    prepare(fibre.context, fibre.stack, live_and_leave);
    machine.ready.push_back(&fibre);
  }
}

inline void run_cluster(std::size_t first) {
  Machine& m = machine;
  const Index grid = m.launch->grid, shape = m.launch->block;
  const std::size_t threads = std::size_t(shape.x) * shape.y * shape.z;
  m.ready.clear(), m.head = 0;
  m.cluster_gate.waiting.clear();
  m.live = static_cast<int>(threads * m.launch->cluster);
  for (unsigned rank = 0; rank < m.launch->cluster; ++rank) {
    const std::size_t at = first + rank;
    const Index index = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y),
                         unsigned(at / grid.x / grid.y)};
    seat(m.blocks[rank], index, m.fibres.data() + rank * threads,
         m.stacks + rank * threads * STACK_BYTES);
  }
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
