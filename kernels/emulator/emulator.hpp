// The emulator: a kernel's source, unchanged, as C++17 that runs on a CPU.
//
// The twin of ../primitives.cuh: the same names, in C++. What it cannot show: time, the bits of
// ex2.approx (2 ulp), flushed denormals, and what is ordered only by a fence, since the threads of
// a launch take turns on one core.
#pragma once

#include <cmath>
#include <mutex>
#include <utility>

#include "bulk.hpp"

#define MP_EXPORT __attribute__((visibility("default")))
#define MP_DEVICE inline
#define MP_KERNEL(...) inline
#define MP_CLUSTER(blocks)
#define MP_SHARED(type, name, count)     \
  static const char name##_declaration = 0; \
  const auto name = mp::declare_shared<type>(&name##_declaration, count)
#define MP_DYNAMIC_SHARED(type, name) const auto name = mp::dynamic_shared<type>()

#define threadIdx (mp::machine.current->thread)
#define blockIdx (mp::machine.current->block->index)
#define blockDim (mp::machine.launch->block)
#define gridDim (mp::machine.launch->grid)

// Where a primitive was called, as default arguments of it.
#define MP_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

template <typename T>
using Global = mp::Pointer<T, mp::Space::GLOBAL>;
template <typename T>
using Shared = mp::Pointer<T, mp::Space::SHARED>;

struct alignas(16) Words {
  unsigned at[4];
};

namespace mp {

template <typename T>
Pointer<T, Space::SHARED> dynamic_shared() {
  Block& block = *machine.current->block;
  return {reinterpret_cast<T*>(block.shared.data()), machine.launch->dynamic_shared, 0,
          &block.live};
}

// Show a value to the warp and wait until all lanes have. What they show are this turn's values.
template <typename T>
const Shown* show(T value, const Site& site) {
  static_assert(sizeof(T) <= sizeof(Shown::bytes), "a shuffle takes at most 8 bytes");
  Fibre& self = *machine.current;
  Shown* all = self.warp->shown[++self.turn % 2];
  all[self.lane].turn = self.turn;
  std::memcpy(all[self.lane].bytes, &value, sizeof value);
  wait(self.warp->gate, self.warp->live, site);
  return all;
}

// What lane `from` shows while this one shows `value`; poison, if that lane has left.
template <typename T>
T exchange(T value, int from, const Site& site) {
  const Shown& other = show(value, site)[from % WARP];
  if (other.turn == machine.current->turn)
    std::memcpy(&value, other.bytes, sizeof value);
  else
    std::memset(&value, POISON, sizeof value);
  return value;
}

inline bool left_out(int line) { return machine.launch->without == line; }

// What a caller passes, as the kernel's parameter wants it; counted from 1 in messages.
template <typename P>
struct Parameter {
  static bool fits(const Argument& given, int number) {
    if (given.element == 0 && given.bytes == sizeof(P)) return true;
    fault("argument %d: the kernel takes a number of %zu bytes, got %s of %lld", number, sizeof(P),
          given.element ? "a buffer" : "a number", given.bytes);
    return false;
  }
  static P of(const Argument& given, int) { return *static_cast<const P*>(given.data); }
};

template <typename T>
struct Parameter<Pointer<T, Space::GLOBAL>> {
  static bool fits(const Argument& given, int number) {
    if (given.element == sizeof(T) || !given.data) return true;
    fault("argument %d: the kernel takes elements of %zu bytes, got %s of %d", number, sizeof(T),
          given.element ? "elements" : "a number", given.element);
    return false;
  }
  static Pointer<T, Space::GLOBAL> of(const Argument& given, int number) {
    return {static_cast<T*>(given.data), given.bytes, number};
  }
};

template <auto KERNEL>
struct Entry;

template <typename... P, void (*KERNEL)(P...)>
struct Entry<KERNEL> {
  template <std::size_t... I>
  static bool fits(std::index_sequence<I...>) {
    const Argument* given = machine.launch->arguments;
    return (Parameter<P>::fits(given[I], I + 1) && ...);
  }
  template <std::size_t... I>
  static void call(std::index_sequence<I...>) {
    const Argument* given = machine.launch->arguments;
    KERNEL(Parameter<P>::of(given[I], I + 1)...);
  }
  static void body() { call(std::index_sequence_for<P...>{}); }

  static int start(Launch* launch) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> lock(one_at_a_time);
    machine.launch = launch;
    machine.current = nullptr;
    if (launch->count != int(sizeof...(P)))
      fault("the kernel takes %zu arguments, got %d", sizeof...(P), launch->count);
    else if (fits(std::index_sequence_for<P...>{}))
      return run(*launch, body) ? 0 : 1;
    return 1;
  }
};

}  // namespace mp

// Barriers of the warp, the block, the cluster.
inline void mp_sync_warp(MP_HERE) {
  mp::Warp& warp = *mp::machine.current->warp;
  if (!mp::left_out(line)) mp::wait(warp.gate, warp.live, {"mp_sync_warp", file, line});
}
inline void mp_sync_block(MP_HERE) {
  mp::Block& block = *mp::machine.current->block;
  if (!mp::left_out(line)) mp::wait(block.gate, block.live, {"mp_sync_block", file, line});
}
inline void mp_sync_cluster(MP_HERE) {
  mp::Machine& machine = mp::machine;
  if (!mp::left_out(line))
    mp::wait(machine.cluster_gate, machine.live, {"mp_sync_cluster", file, line});
}

// Shuffles and votes of a whole warp.
template <typename T>
T mp_shfl(T value, int lane, MP_HERE) {
  return mp::exchange(value, lane, {"mp_shfl", file, line});
}
template <typename T>
T mp_shfl_xor(T value, int mask, MP_HERE) {
  return mp::exchange(value, mp::machine.current->lane ^ mask, {"mp_shfl_xor", file, line});
}
inline unsigned mp_ballot(bool vote, MP_HERE) {
  const mp::Shown* all = mp::show(vote, {"mp_ballot", file, line});
  unsigned votes = 0;
  for (int lane = 0; lane < mp::WARP; ++lane)
    votes |= unsigned(all[lane].turn == mp::machine.current->turn && all[lane].bytes[0]) << lane;
  return votes;
}

// The cluster: which block of it this is, how many there are, another block's shared array.
inline int mp_cluster_rank() {
  return int(mp::machine.current->block - mp::machine.blocks.data());
}
inline int mp_cluster_size() { return int(mp::machine.launch->cluster); }
template <typename T>
Shared<T> mp_peer(Shared<T> array, int rank) {
  return array.in(*mp::machine.current->block, mp::machine.blocks[rank]);
}

// Bulk copies.
using mp_barrier = mp::Barrier;

inline void mp_barrier_init(Shared<mp_barrier> barrier, int arrivals) {
  barrier.check(sizeof(mp_barrier), alignof(mp_barrier), "write");
  *barrier.raw() = {0, unsigned(arrivals), unsigned(arrivals), 0};
}
inline void mp_barrier_expect(Shared<mp_barrier> barrier, int bytes) {
  mp_barrier& known = mp::known(barrier);
  known.bytes += bytes;
  known.missing -= 1;
  mp::settle(known);
}
inline void mp_barrier_wait(Shared<mp_barrier> barrier, int parity, MP_HERE) {
  mp::perhaps_yield();
  if (mp::left_out(line) || mp::known(barrier).phase != unsigned(parity)) return;
  mp::Gate& gate = mp::machine.barriers[barrier.raw()];
  gate.site = {"mp_barrier_wait", file, line};
  gate.waiting.push_back(mp::machine.current);
  mp::machine.current->waits_at = &gate;
  mp::next();
}
template <typename T, typename U>
void mp_bulk_load(Shared<T> shared, Global<U> global, int bytes, Shared<mp_barrier> barrier) {
  mp::check_bulk(shared, global, bytes, true);
  const mp::Fibre& self = *mp::machine.current;
  mp::ask({shared.raw(), global.raw(), bytes, self.block, &mp::known(barrier), nullptr, 0});
}
template <typename T, typename U>
void mp_bulk_store(Global<T> global, Shared<U> shared, int bytes) {
  mp::check_bulk(shared, global, bytes, false);
  const mp::Fibre& self = *mp::machine.current;
  mp::ask({global.raw(), shared.raw(), bytes, self.block, nullptr, &self, self.groups});
}
inline void mp_bulk_commit() { mp::machine.current->groups += 1; }
template <int PENDING>
void mp_bulk_wait(MP_HERE) {
  mp::perhaps_yield();
  const mp::Fibre* self = mp::machine.current;
  auto& copies = mp::machine.copies;
  for (std::size_t i = 0; i < copies.size() && !mp::left_out(line);)
    if (copies[i].owner == self && copies[i].group < self->groups - PENDING) mp::land(i);
    else ++i;
}
inline void mp_fence_bulk(MP_HERE) {
  if (!mp::left_out(line)) mp::machine.current->fences += 1;
}

// Numbers.
inline float mp_exp2(float x) { return exp2f(x); }
inline float mp_log2(float x) { return log2f(x); }
inline unsigned mp_bits(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float mp_from_bits(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned short mp_bf16_bits(float x) {  // round to nearest, ties to even
  const unsigned bits = mp_bits(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline unsigned short mp_fp16_bits(float x) {  // round to nearest, ties to even
  const unsigned sign = mp_bits(x) >> 16 & 0x8000, size = mp_bits(x) & 0x7fffffff;
  unsigned half;
  if (size > 0x7f800000) return 0x7fff;
  if (size >= 0x477ff000) half = 0x7c00;  // from 65520 on: infinity
  else if (size >= 0x38800000) half = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
  else half = static_cast<unsigned>(nearbyintf(fabsf(x) * 0x1p24f));  // below 2^-14: subnormal
  return static_cast<unsigned short>(sign | half);
}
inline float mp_fp16_to_float(unsigned short half) {
  const unsigned sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, digits = half & 0x3ff;
  if (exponent == 31) return mp_from_bits(sign | 0x7f800000 | digits << 13);
  if (exponent) return mp_from_bits(sign | (exponent + 112) << 23 | digits << 13);
  return (sign ? -1.0f : 1.0f) * float(digits) * 0x1p-24f;
}
inline unsigned mp_max_bf16_pair(unsigned a, unsigned b) {  // two numbers in 32 bits
  const float low = fmaxf(mp_from_bits(a << 16), mp_from_bits(b << 16));
  const float high = fmaxf(mp_from_bits(a & 0xffff0000), mp_from_bits(b & 0xffff0000));
  return mp_bits(low) >> 16 | (mp_bits(high) & 0xffff0000);
}
inline unsigned mp_max_fp16_pair(unsigned a, unsigned b) {
  const auto larger = [](unsigned short x, unsigned short y) {
    return unsigned(mp_fp16_bits(fmaxf(mp_fp16_to_float(x), mp_fp16_to_float(y))));
  };
  const auto half = [](unsigned pair, int i) { return (unsigned short)(pair >> 16 * i); };
  return larger(half(a, 0), half(b, 0)) | larger(half(a, 1), half(b, 1)) << 16;
}

// Memory: 16 bytes at once, atomic sums, order.
template <typename T>
int mp_bytes_past_16(Global<T> place) {
  return int(reinterpret_cast<std::uintptr_t>(place.raw()) % 16);
}
template <typename T>
Words mp_load16(Global<T> place) {
  place.check(16, 16, "read");
  mp::touch<mp::Space::GLOBAL>(place.raw(), 16, false);
  Words words;
  std::memcpy(&words, place.raw(), 16);
  return words;
}
template <typename T>
void mp_store16(Global<T> place, Words words) {
  place.check(16, 16, "write");
  mp::touch<mp::Space::GLOBAL>(place.raw(), 16, true);
  std::memcpy(place.raw(), &words, 16);
}
template <typename T>
void mp_load32_around(Global<T> place, Words& low, Words& high) {
  place.check(16, sizeof(T), "read");
  mp::touch<mp::Space::GLOBAL>(place.raw(), 16, false);
  const auto* start = reinterpret_cast<const char*>(place.raw()) - mp_bytes_past_16(place);
  std::memcpy(&low, start, 16);
  std::memcpy(&high, start + 16, 16);
}
template <typename T, mp::Space SPACE>
T mp_atomic_add(mp::Pointer<T, SPACE> place, T value) {  // nobody comes between: no access yields
  place.check(sizeof(T), sizeof(T), "atomic");
  const T before = *place.raw();
  *place.raw() = before + value;
  mp::touch<SPACE>(place.raw(), sizeof(T), false);
  mp::touch<SPACE>(place.raw(), sizeof(T), true);
  return before;
}
inline void mp_fence() {}
