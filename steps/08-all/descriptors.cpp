// The caller's open descriptors. No namespace separates them, so the child
// inherits them.

#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/process.hpp"
#include "steps/08-all/layers.hpp"

void leave_descriptors() {
  // We close the descriptors now. Close-on-exec would be too late, because
  // execve(2) opens the command before it closes them, and the path of the
  // command can be "/proc/self/fd/9/bin/sh". One descriptor stays open, the
  // pipe through which we report a failure to our parent. Its number is above
  // 3, because the terminal and the gate were opened before it. So neither of
  // the two ranges is empty. For an empty range, close_range(2) would fail.
  const auto kept = static_cast<unsigned>(sys::failure_descriptor());
  sys::check(::syscall(SYS_close_range, STDERR_FILENO + 1, kept - 1, 0),
             "close_range(2) from 3 on");
  sys::check(::syscall(SYS_close_range, kept + 1, ~0U, 0),
             "close_range(2) above {}", kept);
}
