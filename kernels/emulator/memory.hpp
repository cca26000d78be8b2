// Pointers that count what goes through them, and stop at the end of what they point to.
//
// `Global<T>` and `Shared<T>` are plain `T*` on a GPU. Here they know their bounds, so that a read
// of x[-100] or of a column beyond the buffer is an error and not a wrong number, and they count.
// Global accesses are counted as a warp makes them: the k-th one of each lane (of one size and
// direction) is taken for one instruction, which moves an address once however many lanes name it,
// and which touches 32-byte sectors, the pieces that the GPU's memory moves.
#pragma once

#include <algorithm>
#include <type_traits>

#include "launch.hpp"

namespace mp {

enum class Space { GLOBAL, SHARED };

constexpr int SECTOR = 32;

template <typename T, Space SPACE>
class Pointer;

void wrote_shared(const void* at);

// What an access of `bytes` at `at` does besides reading or writing.
template <Space SPACE>
inline void touch(const void* at, int bytes, bool write) {
  if constexpr (SPACE == Space::GLOBAL) {
    const int size = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : bytes == 8 ? 3 : 4;
    machine.current->accesses[2 * size + write].push_back(reinterpret_cast<std::uintptr_t>(at));
  } else {
    Traffic& traffic = machine.launch->traffic;
    (write ? traffic.shared_written : traffic.shared_read) += bytes;
    if (write) wrote_shared(at);
  }
  perhaps_yield();
}

// Add up one block's global accesses, warp by warp.
inline void count_global(const Fibre* fibres, std::size_t threads) {
  for (std::size_t first = 0; first < threads; first += WARP) {
    const std::size_t last = std::min(first + WARP, threads);
    for (int stream = 0; stream < STREAMS; ++stream) {
      long long bytes = 0, sectors = 0;
      for (std::size_t step = 0;; ++step) {
        std::uintptr_t at[WARP];
        int lanes = 0;
        for (std::size_t i = first; i < last; ++i)
          if (step < fibres[i].accesses[stream].size())
            at[lanes++] = fibres[i].accesses[stream][step];
        if (!lanes) break;
        if (!std::is_sorted(at, at + lanes)) std::sort(at, at + lanes);
        lanes = int(std::unique(at, at + lanes) - at);
        bytes += lanes << stream / 2;
        for (int i = 0; i < lanes; ++i) sectors += !i || at[i] / SECTOR != at[i - 1] / SECTOR;
      }
      Traffic& traffic = machine.launch->traffic;
      (stream % 2 ? traffic.global_written : traffic.global_read) += bytes;
      (stream % 2 ? traffic.sectors_written : traffic.sectors_read) += sectors;
    }
  }
}

// An element that has been named but not yet read or written.
template <typename T, Space SPACE>
class Element {
 public:
  explicit Element(Pointer<T, SPACE> place) : place_(place) {}
  operator T() const { return place_.read(); }
  void operator=(const T& value) const { place_.write(value); }
  void operator=(const Element& other) const { place_.write(T(other)); }
  void operator+=(const T& value) const { place_.write(static_cast<T>(place_.read() + value)); }

 private:
  Pointer<T, SPACE> place_;
};

template <typename T, Space SPACE>
class Pointer {
  using Value = std::remove_const_t<T>;

 public:
  Pointer() = default;
  Pointer(T* at, long long bytes, int argument, const int* live = nullptr)
      : at_(at), begin_(address(at)), end_(begin_ + bytes), argument_(argument), live_(live) {}
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  Pointer(const Pointer<U, SPACE>& other)
      : at_(other.at_), begin_(other.begin_), end_(other.end_), argument_(other.argument_),
        live_(other.live_) {}

  explicit operator bool() const { return at_ != nullptr; }
  T* raw() const { return at_; }
  Pointer operator+(long long count) const {
    Pointer moved = *this;
    moved.at_ = reinterpret_cast<T*>(address(at_) + count * (long long)sizeof(T));
    return moved;
  }
  auto operator[](long long index) const {
    if constexpr (std::is_const_v<T>) {
      return (*this + index).read();
    } else {
      return Element<T, SPACE>(*this + index);
    }
  }
  auto operator*() const { return (*this)[0]; }

  Value read() const {
    check(sizeof(T), alignof(T), "read");
    touch<SPACE>(at_, sizeof(T), false);
    return *at_;
  }
  void write(const Value& value) const {
    check(sizeof(T), alignof(T), "write");
    touch<SPACE>(at_, sizeof(T), true);
    *at_ = value;
  }
  // Stop unless `bytes` from here on are inside, and start at a multiple of `alignment`.
  void check(long long bytes, int alignment, const char* verb) const {
    const std::uintptr_t at = address(at_);
    if (at >= begin_ && at + bytes <= end_ && at % alignment == 0 && (!live_ || *live_)) return;
    const long long offset = (long long)(at - begin_), size = (long long)(end_ - begin_);
    if (live_ && !*live_)
      fault("%s of the shared memory of a block that has not started, or has left", verb);
    else if (at % alignment)
      fault("%s of %lld bytes at an address that is not a multiple of %d", verb, bytes, alignment);
    else if (SPACE == Space::SHARED)
      fault("%s at byte %lld of a shared array of %lld bytes", verb, offset, size);
    else
      fault("%s at byte %lld of argument %d, which has %lld bytes", verb, offset, argument_, size);
  }
  // The same array in the shared memory of another block.
  Pointer in(Block& here, Block& there) const {
    const auto move = [&](std::uintptr_t at) {
      return address(there.shared.data()) + (at - address(here.shared.data()));
    };
    Pointer peer = *this;
    peer.at_ = reinterpret_cast<T*>(move(address(at_)));
    peer.begin_ = move(begin_), peer.end_ = move(end_);
    peer.live_ = &there.live;
    return peer;
  }

 private:
  template <typename, Space>
  friend class Pointer;
  template <typename U>
  static std::uintptr_t address(U* at) {
    return reinterpret_cast<std::uintptr_t>(at);
  }

  T* at_ = nullptr;
  std::uintptr_t begin_ = 0, end_ = 0;
  int argument_ = 0;
  const int* live_ = nullptr;  // threads left of the block whose shared memory this is
};

// A shared array of the current block. Each declaration has one place, the same in every block.
template <typename T>
Pointer<T, Space::SHARED> declare_shared(const void* declaration, int count) {
  Machine& m = machine;
  const int bytes = count * static_cast<int>(sizeof(T));
  std::size_t known = 0;
  while (known < m.declarations.size() && m.declarations[known] != declaration) ++known;
  if (known == m.declarations.size()) {
    const int dynamic = static_cast<int>(m.launch->dynamic_shared);
    const int after = m.shared_used + bytes;
    if (after > SHARED_LIMIT || after - dynamic > STATIC_SHARED_LIMIT)
      fault("shared arrays of %d bytes: %d fit", after - dynamic, STATIC_SHARED_LIMIT);
    for (unsigned rank = 0; rank < m.launch->cluster; ++rank)
      std::memset(m.blocks[rank].shared.data() + m.shared_used, POISON, bytes);
    m.declarations.push_back(declaration);
    m.offsets.push_back(m.shared_used);
    m.shared_used += (bytes + 15) / 16 * 16;
  }
  Block& block = *m.current->block;
  T* at = reinterpret_cast<T*>(block.shared.data() + m.offsets[known]);
  return {at, bytes, 0, &block.live};
}

}  // namespace mp
