// Who runs next.
//
// The threads of a cluster take turns: a thread runs until it waits at a gate (a barrier, a
// shuffle) or leaves. Seed 0 takes them in order. Any other seed draws who goes next, lets one warp
// lag behind, and now and then takes a thread off between two accesses: a kernel that is right
// gives the same bits under every seed. Blocks of a cluster need not start together, and a bulk
// copy happens at any moment up to the wait for it: under seed 0 both wait until no thread can go
// on.
#pragma once

#include "machine.hpp"

namespace mp {

inline unsigned draw() {  // xorshift64*
  auto& x = machine.random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  return static_cast<unsigned>((x * 0x2545f4914f6cdd1dULL) >> 32);
}

void land(std::size_t copy);

inline void start(Block& block) {
  const Index shape = machine.launch->block;
  block.live = static_cast<int>(shape.x * shape.y * shape.z);
  for (int i = 0; i < block.live; ++i) machine.ready.push_back(block.fibres + i);
}

// Let happen what is no thread's turn: a block starts, or a copy. False where there is nothing.
inline bool something_else() {
  Machine& m = machine;
  const std::size_t events = m.late.size() + m.copies.size();
  if (!events) return false;
  const std::size_t pick = m.launch->seed ? draw() % events : 0;
  if (pick < m.late.size()) {
    Block* block = m.late[pick];
    m.late.erase(m.late.begin() + pick);
    start(*block);
  } else {
    land(pick - m.late.size());
  }
  return true;
}

// Go on with a thread that can run, or home where there is none.
inline void next() {
  Machine& m = machine;
  if (m.launch->seed && draw() % m.patience == 0) something_else();
  while (m.head == m.ready.size() && something_else()) {
  }
  Fibre* before = m.current;
  Fibre* chosen = nullptr;
  if (m.head < m.ready.size()) {
    if (m.launch->seed) {
      std::size_t pick = draw() % m.ready.size();
      for (int again = 0; again < 4 && m.ready[pick]->warp == m.slow; ++again)
        pick = draw() % m.ready.size();
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

}  // namespace mp
