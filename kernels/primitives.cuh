// What a kernel needs besides C++, for a GPU: CUDA built-ins and inline PTX, no include.
//
// Prepended as text to every kernel. emulator/emulator.hpp gives the same names to a CPU.

#define MP_DEVICE __device__ __forceinline__
#define MP_KERNEL(...) __global__ __launch_bounds__(__VA_ARGS__)  // threads, blocks an SM
#define MP_SHARED(type, name, count) __shared__ type name[count]
#define MP_DYNAMIC_SHARED(type, name)                        \
  extern __shared__ __align__(16) unsigned char mp_dynamic[]; \
  const Shared<type> name = reinterpret_cast<type*>(mp_dynamic)
#if __CUDA_ARCH__ >= 900
#define MP_CLUSTER(blocks) __cluster_dims__(blocks, 1, 1)
#else
#define MP_CLUSTER(blocks)
#endif

template <typename T>
using Global = T*;  // a pointer into the GPU's memory
template <typename T>
using Shared = T*;  // a pointer into shared memory

struct alignas(16) Words {
  unsigned at[4];
};

// Barriers of the warp, the block, the cluster.
MP_DEVICE void mp_sync_warp() { __syncwarp(); }
MP_DEVICE void mp_sync_block() { __syncthreads(); }

// Shuffles and votes of a whole warp.
template <typename T>
MP_DEVICE T mp_shfl(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}
template <typename T>
MP_DEVICE T mp_shfl_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
MP_DEVICE unsigned mp_ballot(bool vote) { return __ballot_sync(0xffffffffu, vote); }

// The cluster: which block of it this is, how many there are, another block's shared array.
#if __CUDA_ARCH__ >= 900
MP_DEVICE void mp_sync_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}
MP_DEVICE int mp_cluster_rank() {
  int rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
MP_DEVICE int mp_cluster_size() {
  int size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
template <typename T>
MP_DEVICE Shared<T> mp_peer(T* array, int rank) {
  T* peer;
  asm("mapa.u64 %0, %1, %2;" : "=l"(peer) : "l"(array), "r"(rank));
  return peer;
}

// Bulk copies, which run on their own while the threads go on. Both addresses and the size are
// multiples of 16 bytes. A load reports to a barrier in shared memory, whose phase is over once all
// its arrivals have come and all bytes that they announced. The stores of a thread go in groups.
struct mp_barrier {
  unsigned long long state;
};

template <typename T>
MP_DEVICE unsigned shared_address(T* place) {
  return (unsigned)__cvta_generic_to_shared(place);
}
MP_DEVICE void mp_barrier_init(mp_barrier* barrier, int arrivals) {  // and let copies see it
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\nfence.mbarrier_init.release.cluster;" ::
                   "r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}
MP_DEVICE void mp_barrier_expect(mp_barrier* barrier, int bytes) {  // arrive, and announce bytes
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::
                   "r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
MP_DEVICE void mp_barrier_wait(mp_barrier* barrier, int parity) {  // of the phase: 0, 1, 0, ...
  unsigned over;
  do {
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(over)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!over);
}
template <typename T, typename U>
MP_DEVICE void mp_bulk_load(T* shared, U* global, int bytes, mp_barrier* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)), "l"(global), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}
template <typename T, typename U>
MP_DEVICE void mp_bulk_store(T* global, U* shared, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
               "r"(shared_address(shared)), "r"(bytes)
               : "memory");
}
MP_DEVICE void mp_bulk_commit() {  // the thread's stores since the last one are a group
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
template <int PENDING>
MP_DEVICE void mp_bulk_wait() {  // until all groups but the last few have left shared memory
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}
MP_DEVICE void mp_fence_bulk() {  // let copies see what this thread wrote to shared memory
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
#else  // no clusters yet: a block is one by itself
MP_DEVICE void mp_sync_cluster() { __syncthreads(); }
MP_DEVICE int mp_cluster_rank() { return 0; }
MP_DEVICE int mp_cluster_size() { return 1; }
template <typename T>
MP_DEVICE Shared<T> mp_peer(T* array, int) {
  return array;
}
#endif

// Numbers.
MP_DEVICE float mp_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
MP_DEVICE float mp_log2(float x) { return log2f(x); }
MP_DEVICE unsigned mp_bits(float x) { return __float_as_uint(x); }
MP_DEVICE float mp_from_bits(unsigned bits) { return __uint_as_float(bits); }
MP_DEVICE unsigned short mp_bf16_bits(float x) {  // round to nearest, ties to even
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
MP_DEVICE unsigned short mp_fp16_bits(float x) {  // round to nearest, ties to even
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
MP_DEVICE float mp_fp16_to_float(unsigned short half) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
  return x;
}
MP_DEVICE unsigned mp_max_bf16_pair(unsigned a, unsigned b) {  // two numbers in 32 bits
  unsigned larger;
  asm("max.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
  return larger;
}
MP_DEVICE unsigned mp_max_fp16_pair(unsigned a, unsigned b) {
  unsigned larger;
  asm("max.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
  return larger;
}

// Memory: 16 bytes at once, atomic sums, order.
template <typename T>
MP_DEVICE int mp_bytes_past_16(T* place) {
  return (int)((unsigned long long)place & 15);
}
template <typename T>
MP_DEVICE Words mp_load16(T* place) {  // not kept in L1: a row is read once
  Words w;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(w.at[0]), "=r"(w.at[1]), "=r"(w.at[2]), "=r"(w.at[3])
               : "l"(place));
  return w;
}
template <typename T>
MP_DEVICE void mp_store16(T* place, const Words& w) {  // .cs: the first to leave the caches
  asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(place), "r"(w.at[0]),
               "r"(w.at[1]), "r"(w.at[2]), "r"(w.at[3])
               : "memory");
}
template <typename T>
MP_DEVICE void mp_load32_around(T* place, Words& low, Words& high) {  // the second one hits L1
  const unsigned long long start = (unsigned long long)place & ~15ull;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(low.at[0]), "=r"(low.at[1]), "=r"(low.at[2]), "=r"(low.at[3])
               : "l"(start));
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(high.at[0]), "=r"(high.at[1]), "=r"(high.at[2]), "=r"(high.at[3])
               : "l"(start + 16));
}
template <typename T>
MP_DEVICE T mp_atomic_add(T* place, T value) {
  return atomicAdd(place, value);
}
MP_DEVICE void mp_fence() { __threadfence(); }
