// Fibres: functions that hand the processor to one another by name and come back where they left.
//
// A switch saves the registers that a called function must preserve, changes the stack and restores
// the other fibre's registers: about ten nanoseconds. Where neither assembly below fits, or with
// -DMP_UCONTEXT, the system's ucontext does the same thirty times slower.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(MP_UCONTEXT)
#define MP_UCONTEXT
#endif

#if defined(MP_UCONTEXT)
#include <ucontext.h>
#endif

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

namespace mp {

constexpr std::size_t STACK_BYTES = 64 * 1024;  // pages are taken only when touched
constexpr std::uint64_t CANARY = 0x5ca1ab1e0ddba11;  // overwritten when a stack was too small

#if defined(MP_UCONTEXT)

using Context = ucontext_t;

inline void prepare(Context& context, char* stack, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = STACK_BYTES;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}

inline void swap(Context& from, Context& to) { swapcontext(&from, &to); }

#else

// Where a fibre that does not run left its registers: the top of its stack.
using Context = void*;

extern "C" void mp_switch(void** from, void* to) __asm__("mp_switch");

#if defined(__x86_64__)
__asm__(
    ".text\n"
    "mp_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");
constexpr int SAVED = 8, RETURN = 6;  // words on a new stack, and the one that is returned to
#else
__asm__(
    ".text\n.balign 4\n"
    "mp_switch:\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n"
    "  stp d14, d15, [sp, #144]\n"
    "  mov x9, sp\n  str x9, [x0]\n"
    "  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
    "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n"
    "  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n"
    "  ret\n");
constexpr int SAVED = 20, RETURN = 11;
#endif

inline void prepare(Context& context, char* stack, void (*entry)()) {
  auto* top = reinterpret_cast<std::uintptr_t*>(stack + STACK_BYTES) - SAVED;
  for (int word = 0; word < SAVED; ++word) top[word] = 0;
  top[RETURN] = reinterpret_cast<std::uintptr_t>(entry);
  context = top;
}

inline void swap(Context& from, Context& to) { mp_switch(&from, to); }

#endif

// Address space for `count` stacks, and for one below them into which the lowest may overflow;
// nullptr where there is none.
inline char* new_stacks(std::size_t count) {
  void* area = mmap(nullptr, (count + 1) * STACK_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return area == MAP_FAILED ? nullptr : static_cast<char*>(area) + STACK_BYTES;
}

inline void free_stacks(char* stacks, std::size_t count) {
  if (stacks) munmap(stacks - STACK_BYTES, (count + 1) * STACK_BYTES);
}

}  // namespace mp
