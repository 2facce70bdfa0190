// A bundle, as the OCI runtime specification has it: a root filesystem, and a
// config.json that says how the container shall be.

#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/text.hpp"

using Json = nlohmann::json;

/// What `json` holds at a path such as "/linux/seccomp", or null.
const Json& at(const Json& json, const std::string& path);

/// Throws an error about config.json.
template <typename... Args>
[[noreturn]] void refuse_config(fmt::format_string<Args...> text,
                                const Args&... args) {
  throw std::runtime_error{"config.json: " + sys::format(text, args...)};
}

/// Whether a T can hold the number. The library would cut it, and 2^32 is root.
template <typename T>
bool fits(const Json& number) {
  if (number.is_number_unsigned())
    return std::in_range<T>(number.get<std::uint64_t>());
  return number.is_number_integer() &&
         std::in_range<T>(number.get<std::int64_t>());
}

/// What `json` holds at a path, as a T, or `otherwise` if it holds nothing.
/// Throws if it holds something else than a T.
template <typename T>
T get(const Json& json, const std::string& path, T otherwise) {
  const Json& found = at(json, path);
  if (found.is_null()) return otherwise;
  if constexpr (std::integral<T> && !std::same_as<T, bool>)
    if (!fits<T>(found)) refuse_config("{} is {}", path, found.dump());
  return found.get<T>();
}

/// The same for what must be there.
template <typename T>
T need(const Json& json, const std::string& path) {
  if (at(json, path).is_null()) refuse_config("there is no {}", path);
  return get<T>(json, path, {});
}

/// A list of texts, such as /process/env. An empty one if there is none.
std::vector<std::string> texts(const Json& json, const std::string& path);

/// Whether config.json lists a namespace of this type, "pid" say.
bool has_namespace(const Json& config, const std::string& type);

/// Whether it lists one that is new, and not one that is joined by its path.
bool makes_namespace(const Json& config, const std::string& type);

/// Reads BUNDLE/config.json. Throws if config.json asks for what we do not do:
/// see keys.txt.
Json read_config(const std::string& bundle);

/// Reads the description of a process for exec, and checks it likewise.
Json read_process(const std::string& path);
