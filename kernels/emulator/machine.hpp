// The machine: grid, clusters, blocks, warps and threads, what each of them keeps, and its faults.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
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
struct Barrier;

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
  int live = 0;  // threads that are left; none before it starts
  Fibre* fibres = nullptr;
  std::vector<Warp> warps;
  std::vector<char> shared;
  std::vector<unsigned> writers;  // of each 16 shared bytes: see bulk.hpp
};

// A bulk copy that has been asked for and has not happened yet.
struct Copy {
  void* to;
  const void* from;
  int bytes;
  const Block* block;  // whose shared memory it reads or writes
  Barrier* barrier;    // that a load reports to
  const Fibre* owner;  // whose store it is
  int group;
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
  int groups = 0;     // of bulk stores that it has committed
  unsigned fences = 0;
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
  std::size_t head = 0;      // of `ready`, when taken in order
  std::vector<Block*> late;  // blocks of the cluster that have not started
  std::vector<Copy> copies;
  std::map<const void*, Gate> barriers;  // in shared memory, by address
  const Warp* slow = nullptr;  // the one that lags behind
  unsigned patience = 1;  // turns of threads, about, until a block starts or a copy happens
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

}  // namespace mp
