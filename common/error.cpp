#include "common/error.hpp"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/cause.hpp"

namespace sys {

namespace {

// One write(2), so that lines of two processes never mix. A lost line is no
// reason to fail: stderr may be closed, or full.
void print_line(std::string line) noexcept {
  // A name may be anybody's, and write to the terminal whatever it likes.
  for (std::size_t i = 0; i + 1 < line.size(); ++i)
    if (std::iscntrl(static_cast<unsigned char>(line[i])) != 0) line[i] = '?';
  [[maybe_unused]] const auto n =
      ::write(STDERR_FILENO, line.data(), line.size());
}

std::string line_about(const std::exception& error) {
  const auto* failure = dynamic_cast<const Error*>(&error);
  if (failure == nullptr)
    return sys::format("{}: {}\n", ::program_invocation_short_name,
                       error.what());
  const int errnum = failure->code().value();
  auto line =
      sys::format("{}: cannot {}: {} ({})", ::program_invocation_short_name,
                  failure->doing(), std::strerror(errnum), errno_name(errnum));
  std::string hint = failure->hint();
  if (hint.empty()) hint = hint_for({failure->doing(), errnum});
  return hint.empty() ? line + "\n" : sys::format("{}; hint: {}\n", line, hint);
}

}  // namespace

std::string vformat(fmt::string_view text, fmt::format_args args) {
  return fmt::vformat(text, args);
}

Error::Error(int errnum, const std::string& doing, std::string hint, int status)
    : std::system_error{errnum, std::generic_category(), doing},
      doing_{doing},
      hint_{std::move(hint)},
      status_{status} {}

void fail(int errnum, fmt::string_view doing, fmt::format_args args) {
  throw Error{errnum, fmt::vformat(doing, args)};
}

int report(const std::exception& error) noexcept {
  try {
    print_line(line_about(error));
  } catch (const std::exception&) {  // Out of memory: then without the words.
    print_line("cannot even report an error\n");
  }
  const auto* failure = dynamic_cast<const Error*>(&error);
  return failure == nullptr ? kOurFailure : failure->status();
}

std::string errno_name(int errnum) {
#ifdef __GLIBC__  // Alpine's musl has no strerrorname_np(3).
  if (const char* name = ::strerrorname_np(errnum)) return name;
#endif
  return common_errno_name(errnum);
}

std::string common_errno_name(int errnum) {
#define NAME(name) \
  { name, #name }
  static constexpr std::pair<int, const char*> kNames[] = {
      NAME(EPERM),       NAME(ENOENT),     NAME(ESRCH),
      NAME(EINTR),       NAME(EIO),        NAME(ENXIO),
      NAME(E2BIG),       NAME(ENOEXEC),    NAME(EBADF),
      NAME(ECHILD),      NAME(EAGAIN),     NAME(ENOMEM),
      NAME(EACCES),      NAME(EFAULT),     NAME(EBUSY),
      NAME(EEXIST),      NAME(EXDEV),      NAME(ENODEV),
      NAME(ENOTDIR),     NAME(EISDIR),     NAME(EINVAL),
      NAME(ENFILE),      NAME(EMFILE),     NAME(ENOTTY),
      NAME(ETXTBSY),     NAME(EFBIG),      NAME(ENOSPC),
      NAME(ESPIPE),      NAME(EROFS),      NAME(EMLINK),
      NAME(EPIPE),       NAME(ERANGE),     NAME(ENAMETOOLONG),
      NAME(ENOSYS),      NAME(ENOTEMPTY),  NAME(ELOOP),
      NAME(ENODATA),     NAME(EOVERFLOW),  NAME(EUSERS),
      NAME(EOPNOTSUPP),  NAME(EADDRINUSE), NAME(EADDRNOTAVAIL),
      NAME(ENETUNREACH), NAME(ENOBUFS),    NAME(ECONNREFUSED),
      NAME(ETIMEDOUT),   NAME(EDQUOT)};
#undef NAME
  for (const auto& [number, name] : kNames)
    if (number == errnum) return name;
  return sys::format("errno {}", errnum);
}

void vnarrate(fmt::string_view text, fmt::format_args args) {
  print_line(
      sys::format("[pid {}] {}\n", ::getpid(), fmt::vformat(text, args)));
}

void note(const std::string& text) {
  print_line(sys::format("{}: {}\n", ::program_invocation_short_name, text));
}

}  // namespace sys
