// The caller's open descriptors. No namespace separates them, so the child
// inherits them.

#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

void leave_descriptors() {
  // The pipe to our parent, through which we report a failure.
  leave_descriptors(sys::failure_descriptor());
}

void leave_descriptors(int but) {
  // Close-on-exec would be too late. execve(2) opens the command first, and the
  // path of the command can be "/proc/self/fd/9/bin/sh". The gate was opened
  // before `kept`, so `kept` is above 3. close_range(2) would fail from 3 to 2.
  const auto kept = static_cast<unsigned>(but);
  sys::check(::syscall(SYS_close_range, STDERR_FILENO + 1, kept - 1, 0),
             "close_range(2) from 3 on");
  sys::check(::syscall(SYS_close_range, kept + 1, ~0U, 0),
             "close_range(2) above {}", kept);
}
