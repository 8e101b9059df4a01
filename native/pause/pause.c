// The process that holds a pod's namespaces open: sleeps until it is told to end, and reaps the children it inherits when
// the pod shares its process namespace. No libc, so that the image is a few kilobytes.
#include <asm/unistd.h>
#include <stddef.h>

enum { SIG_INT = 2, SIG_TERM = 15, SIG_CHLD = 17, SIG_BLOCK_SET = 0, NO_HANG = 1 };

static long call4(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "pause knows the system calls of x86_64 and aarch64 only"
#endif
}

__attribute__((noreturn, used)) void _start(void) {
  const unsigned long set = (1UL << (SIG_INT - 1)) | (1UL << (SIG_TERM - 1)) | (1UL << (SIG_CHLD - 1));
  // The first process of a PID namespace gets no signal it does not handle, except those it blocks and waits for.
  call4(__NR_rt_sigprocmask, SIG_BLOCK_SET, (long)&set, 0, sizeof set);
  for (;;) {
    const long signal = call4(__NR_rt_sigtimedwait, (long)&set, 0, 0, sizeof set);
    if (signal == SIG_INT || signal == SIG_TERM) call4(__NR_exit_group, 0, 0, 0, 0);
    while (call4(__NR_wait4, -1, 0, NO_HANG, 0) > 0) {
    }
  }
}
