#include "common/error.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sys {

namespace {

// Of a line that may hold a whole command.
constexpr std::size_t kLongest = 1000;

}  // namespace

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

std::string_view Attempt::call() const noexcept {
  const std::string_view all{text};
  const auto end = all.find(')');
  // "mount(2)": a name, and one digit in brackets.
  if (end == all.npos || end < 3 || all[end - 2] != '(' || all.find(' ') < end)
    return {};
  return all.substr(0, end + 1);
}

std::string_view Attempt::subject() const noexcept {
  const auto behind = std::string_view{text}.substr(call().size());
  return behind.substr(std::min(behind.find_first_not_of(": "), behind.size()));
}

Error::Error(Attempt attempt, std::string hint, int status)
    : std::system_error{attempt.errnum, std::generic_category(), attempt.text},
      attempt_{std::move(attempt)},
      hint_{std::move(hint)},
      status_{status} {}

Error::Error(int errnum, const std::string& text, std::string hint, int status)
    : Error{Attempt{text, errnum}, std::move(hint), status} {}

void fail(int errnum, fmt::string_view text, fmt::format_args args) {
  throw Error{errnum, fmt::vformat(text, args)};
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

bool speaks_json() noexcept {
  const char* const wanted = std::getenv("BOX_MESSAGES");
  return wanted != nullptr && std::string_view{wanted} == "json";
}

std::string json_string(std::string_view text) {
  std::string quoted{'"'};
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

void lack(const std::string& what, const std::string& why) {
  if (speaks_json())
    print_line("{\"lacks\": " + json_string(what) + "}");
  else
    note("no " + what + ": " + why);
}

void note(const std::string& text) {
  print_line(sys::format("{}: {}", ::program_invocation_short_name,
                         shorten(text, kLongest)));
}

}  // namespace sys
