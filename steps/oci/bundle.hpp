// A bundle, as the OCI runtime specification has it: a root filesystem, and a
// config.json that says how the container shall be.

#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/fd.hpp"

using Json = nlohmann::json;

/// What `json` holds at a path such as "/linux/seccomp", or null.
const Json& at(const Json& json, const std::string& path);

/// Throws an error about config.json.
template <typename... Args>
[[noreturn]] void refuse_config(fmt::format_string<Args...> text,
                                const Args&... args) {
  throw std::runtime_error{"config.json: " + sys::format(text, args...)};
}

/// What `json` holds at a path, which must be there. A number must fit: the
/// library would cut user 2^32 to user 0.
template <typename T>
T need(const Json& json, const std::string& path) {
  const Json& found = at(json, path);
  bool fits = !found.is_null();
  if constexpr (std::integral<T> && !std::same_as<T, bool>)
    fits = found.is_number_unsigned()
               ? std::in_range<T>(found.get<std::uint64_t>())
               : found.is_number_integer() &&
                     std::in_range<T>(found.get<std::int64_t>());
  if (!fits) refuse_config("{} is {}", path, found.dump());
  return found.get<T>();
}

/// The same, but `otherwise` if it is not there.
template <typename T>
T get(const Json& json, const std::string& path, T otherwise) {
  return at(json, path).is_null() ? otherwise : need<T>(json, path);
}

/// A list of texts, such as /process/env. An empty one if there is none.
inline std::vector<std::string> texts(const Json& json,
                                      const std::string& path) {
  return get<std::vector<std::string>>(json, path, {});
}

/// Whether config.json lists a namespace of this type, "pid" say, that is new,
/// and not one that is joined by its path.
bool makes_namespace(const Json& config, const std::string& type);

/// Reads BUNDLE/config.json. Throws if it asks for what we do not do.
Json read_config(const std::string& bundle);

/// The same for the description of a process, which exec is given.
Json read_process(const std::string& path);

/// open(2) with O_CLOEXEC, checked and narrated. Throws sys::Error.
sys::Fd open_file(const std::string& path, int flags, mode_t mode = 0);
