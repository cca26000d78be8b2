// Bulk copies and the barriers that they report to.
//
// A copy happens late: at a moment that the seed draws, or when no thread can go on, or when its
// thread waits for it. A load's destination is poison until then, and a store reads shared memory
// only then, so that what comes without a wait is wrong. A GPU's copies do not see what threads
// wrote to shared memory before a fence; here that is a fault.
#pragma once

#include "memory.hpp"

namespace mp {

// The 8 bytes of a barrier. A phase is over when all arrivals and all bytes have come.
struct alignas(8) Barrier {
  int bytes;
  unsigned missing : 11, arrivals : 11, phase : 10;  // phase is 0 or 1; poison is neither
};

inline Barrier& known(Pointer<Barrier, Space::SHARED> place) {
  place.check(sizeof(Barrier), alignof(Barrier), "use");
  if (place.raw()->phase > 1) fault("a barrier is used before mp_barrier_init");
  return *place.raw();
}

inline void settle(Barrier& barrier) {
  if (barrier.missing || barrier.bytes) return;
  barrier.phase ^= 1;
  barrier.missing = barrier.arrivals;
  open(machine.barriers[&barrier]);
}

// Who wrote to 16 shared bytes last, and how many fences that thread had made before.
inline unsigned writer(const Fibre& fibre) {
  return unsigned(fibre.linear + 1) << 20 | (fibre.fences & 0xfffff);
}

inline void wrote_shared(const void* at) {
  Block& block = *machine.current->block;
  const auto offset = static_cast<const char*>(at) - block.shared.data();
  if (offset >= 0 && offset < SHARED_LIMIT) block.writers[offset / 16] = writer(*machine.current);
}

template <typename T, typename U>
void check_bulk(Pointer<T, Space::SHARED> shared, Pointer<U, Space::GLOBAL> global, int bytes,
                bool load) {
  if (bytes <= 0 || bytes % 16) fault("a bulk copy of %d bytes: not a multiple of 16", bytes);
  shared.check(bytes, 16, load ? "bulk write" : "bulk read");
  global.check(bytes, 16, load ? "bulk read" : "bulk write");
  const Block& block = *machine.current->block;
  const auto first = (reinterpret_cast<const char*>(shared.raw()) - block.shared.data()) / 16;
  for (auto i = first; i < first + bytes / 16; ++i) {
    const int by = int(block.writers[i] >> 20) - 1;
    if (by >= 0 && block.writers[i] == writer(block.fibres[by]))
      fault("a bulk copy of what thread %d wrote to shared memory without mp_fence_bulk", by);
  }
}

// Ask for a copy, a load where it has a barrier.
inline void ask(const Copy& copy) {
  const bool load = copy.barrier;
  const auto global = reinterpret_cast<std::uintptr_t>(load ? copy.from : copy.to);
  const auto sectors = (long long)((global + copy.bytes - 1) / SECTOR - global / SECTOR + 1);
  Traffic& traffic = machine.launch->traffic;
  (load ? traffic.global_read : traffic.global_written) += copy.bytes;
  (load ? traffic.sectors_read : traffic.sectors_written) += sectors;
  (load ? traffic.shared_written : traffic.shared_read) += copy.bytes;
  if (load) std::memset(copy.to, POISON, copy.bytes);
  machine.copies.push_back(copy);
}

// A copy happens.
inline void land(std::size_t which) {
  const Copy copy = machine.copies[which];
  machine.copies.erase(machine.copies.begin() + which);
  std::memcpy(copy.to, copy.from, copy.bytes);
  if (!copy.barrier) return;
  copy.barrier->bytes -= copy.bytes;
  settle(*copy.barrier);
}

}  // namespace mp
