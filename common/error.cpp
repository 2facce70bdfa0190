#include "common/error.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/diagnosis/causes.hpp"

namespace sys {

namespace {

// Of a line that may hold a whole command.
constexpr std::size_t kLongest = 1000;

// One write(2), so that lines of two processes never mix. A lost line is no
// reason to fail: stderr may be closed, or full.
void print_line(const std::string& text) noexcept {
  std::string line;
  try {
    line = printable(text) + "\n";
  } catch (const std::exception&) {  // Out of memory: then without the words.
    line = "an error\n";             // Short enough to need none.
  }
  [[maybe_unused]] const auto n =
      ::write(STDERR_FILENO, line.data(), line.size());
}

std::string line_about(const std::exception& error) {
  const auto* failure = dynamic_cast<const Error*>(&error);
  if (failure == nullptr)
    return sys::format("{}: {}", ::program_invocation_short_name,
                       shorten(error.what()));
  const int errnum = failure->code().value();
  const auto line = sys::format(
      "{}: cannot {}: {} ({})", ::program_invocation_short_name,
      shorten(failure->doing()), std::strerror(errnum), errno_name(errnum));
  std::string hint = failure->hint();
  if (hint.empty()) hint = hint_for({failure->doing(), errnum});
  return hint.empty() ? line : sys::format("{}; hint: {}", line, hint);
}

}  // namespace

Error::Error(int errnum, const std::string& doing, std::string hint, int status)
    : std::system_error{errnum, std::generic_category(), doing},
      doing_{doing},
      hint_{std::move(hint)},
      status_{status} {}

void fail(int errnum, fmt::string_view doing, fmt::format_args args) {
  throw Error{errnum, fmt::vformat(doing, args)};
}

int report(const std::exception& error) noexcept {
  const auto first = std::exchange(first_error, nullptr);
  if (!first) return tell(error);
  try {
    std::rethrow_exception(first);
  } catch (const std::exception& earlier) {
    return tell(earlier);
  }
}

int tell(const std::exception& error) noexcept {
  try {
    print_line(line_about(error));
  } catch (const std::exception&) {  // Out of memory: then without the words.
    print_line("cannot even report an error");
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
  print_line(sys::format("[pid {}] {}", ::getpid(),
                         shorten(fmt::vformat(text, args), kLongest)));
}

void note(const std::string& text) {
  print_line(sys::format("{}: {}", ::program_invocation_short_name,
                         shorten(text, kLongest)));
}

}  // namespace sys
