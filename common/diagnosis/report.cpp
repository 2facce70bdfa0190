// What a program says of the error that ends it. It stands here and not in
// common/error.cpp, because it asks the host for a hint.

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/diagnosis/causes.hpp"
#include "common/error.hpp"

namespace sys {

namespace {

std::string line_about(const std::exception& error) {
  const auto* failure = dynamic_cast<const Error*>(&error);
  if (failure == nullptr)
    return sys::format("{}: {}", ::program_invocation_short_name,
                       shorten(error.what()));
  const int errnum = failure->code().value();
  const auto& attempt = failure->attempt();
  const auto line = sys::format(
      "{}: {}{}: {} ({})", ::program_invocation_short_name,
      attempt.call().empty() ? "cannot " : "", shorten(attempt.text),
      std::strerror(errnum), errno_name(errnum));
  const auto hint = hint_of(*failure);
  return hint.empty() ? line : sys::format("{}; hint: {}", line, hint);
}

}  // namespace

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
    print_line("an error");
  }
  const auto* failure = dynamic_cast<const Error*>(&error);
  return failure == nullptr ? kOurFailure : failure->status();
}

}  // namespace sys
