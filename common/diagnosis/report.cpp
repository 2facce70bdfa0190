// What a program says of the error that ends it. It stands here and not in
// common/error.cpp, because it asks the host for a hint.

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/diagnosis/causes.hpp"
#include "common/error.hpp"

namespace sys {

namespace {

// "mount(2) proc on /proc: Operation not permitted (EPERM)".
std::string words_of(const std::exception& error) {
  const auto* failure = dynamic_cast<const Error*>(&error);
  if (failure == nullptr) return shorten(error.what());
  const auto& attempt = failure->attempt();
  return sys::format("{}{}: {} ({})", attempt.call().empty() ? "cannot " : "",
                     shorten(attempt.text), std::strerror(attempt.errnum),
                     errno_name(attempt.errnum));
}

std::string line_about(const std::exception& error) {
  const auto* failure = dynamic_cast<const Error*>(&error);
  const auto line =
      sys::format("{}: {}", ::program_invocation_short_name, words_of(error));
  const auto hint = failure == nullptr ? "" : hint_of(*failure);
  return hint.empty() ? line : sys::format("{}; hint: {}", line, hint);
}

// For scripts/doctor: strings only, and no quote in a name.
std::string json_about(const std::exception& error) {
  std::string object = "{\"message\": " + json_string(words_of(error));
  const auto add = [&](const std::string& name, std::string_view value) {
    object += ", \"" + name + "\": " + json_string(value);
  };
  if (const auto* failure = dynamic_cast<const Error*>(&error)) {
    const auto& attempt = failure->attempt();
    add("call", attempt.call());
    add("subject", shorten(attempt.subject()));
    add("errno", errno_name(attempt.errnum));
    add("hint", failure->hint());
    if (const auto cause = cause_of(attempt);
        cause && failure->hint().empty()) {
      add("why", cause->why);
      add("mend", cause->mend);
      add("stops", name_of(cause->stops));
    }
  }
  return object + "}";
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
    print_line(speaks_json() ? json_about(error) : line_about(error));
  } catch (const std::exception&) {  // Out of memory: then without the words.
    print_line("an error");
  }
  const auto* failure = dynamic_cast<const Error*>(&error);
  return failure == nullptr ? kOurFailure : failure->status();
}

}  // namespace sys
