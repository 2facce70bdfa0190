// Hooks: programs of the caller, which run at fixed points of a container's
// life with its state on their standard input.

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "common/process.hpp"
#include "steps/oci/layers.hpp"

namespace {

void run_hook(const Json& hook, const std::string& state) {
  const auto path = need<std::string>(hook, "/path");
  sys::Pipe input;
  sys::Child child = sys::clone(0, [&] {
    sys::check(::dup2(input.read_end.get(), STDIN_FILENO), "dup2(2)");
    std::signal(SIGPIPE, SIG_DFL);
    exec_with(path, get(hook, "/args", std::vector{path}), texts(hook, "/env"));
  });
  input.read_end.reset();
  std::signal(SIGPIPE, SIG_IGN);  // A hook need not read its state.
  [[maybe_unused]] const auto n =
      ::write(input.write_end.get(), state.data(), state.size());
  input.write_end.reset();
  const int seconds = get(hook, "/timeout", 0);
  const sys::Fd process{
      static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0))};
  pollfd end{process.get(), POLLIN, 0};
  if (seconds > 0 && ::poll(&end, 1, seconds * 1000) == 0)
    throw std::runtime_error{"the hook " + path + " took too long"};
  if (const int status = child.wait(); status != 0)
    throw std::runtime_error{
        sys::format("the hook {} ended with status {}", path, status)};
}

}  // namespace

void run_hooks(const Container& container, const std::string& kind) {
  for (const Json& hook : at(container.config(), "/hooks/" + kind)) try {
      run_hook(hook, container.state().dump());
    } catch (const std::exception& error) {
      if (!kind.starts_with("post")) throw;
      sys::note(error.what());
    }
}
