// A bundle, as the OCI runtime specification has it: a root filesystem, and a
// config.json that says how the container shall be.

#include <fnmatch.h>

#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace {

// The keys of the specification that we do not obey, with * for each member of
// a list or an object. The Makefile cuts them out of keys.txt.
constexpr const char* kRefused[] = {
#include "oci-refused.inc"
};

// flatten() makes one list of all values, with their paths. false, "" and an
// empty list ask for nothing. A call of the kernel would cut a text at a NUL.
void refuse(const Json& config) {
  const Json all = config.flatten();
  for (const auto& [path, value] : all.items()) {
    const auto text = value.is_string() ? value.get<std::string>() : "";
    if ((path + text).find('\0') != path.npos)
      refuse_config("{} has a NUL, which is not supported", path.c_str());
    if (value.is_null() || value == false || value == "") continue;
    for (const char* const refused : kRefused)
      if (::fnmatch(refused, path.c_str(), FNM_PATHNAME | FNM_LEADING_DIR) == 0)
        refuse_config("{} is not supported", path);
  }
}

// The library goes down into each level by a call, and the stack has an end.
bool is_not_too_deep(int depth, Json::parse_event_t /*event*/, Json& /*one*/) {
  constexpr int kDeepest = 50;
  if (depth > kDeepest) refuse_config("more than {} levels", kDeepest);
  return true;
}

}  // namespace

const Json& at(const Json& json, const std::string& path) {
  static const Json nothing;
  const Json::json_pointer pointer{path};
  if (json.contains(pointer)) return json.at(pointer);
  // A text or a list in the place of an object would hide what is asked for.
  const Json& above = at(json, pointer.parent_pointer().to_string());
  const bool is_in_list = above.is_array() && pointer.back() == "0";
  if (!above.is_null() && !above.is_object() && !is_in_list)
    refuse_config("what is above {} is {}", path, above.dump());
  return nothing;
}

Json read_config(const std::string& file, const std::string& place) try {
  Json config;
  auto& part = config[Json::json_pointer{place}];
  part = Json::parse(sys::read_file(file), is_not_too_deep);
  refuse(config);
  return part;
} catch (const Json::exception& error) {
  throw std::runtime_error{sys::format("{}: {}", file, error.what())};
}

sys::Fd open_file(const std::string& path, int flags, mode_t mode) {
  return sys::Fd{sys::check(::open(path.c_str(), flags | O_CLOEXEC, mode),
                            "open(2) {}", path)};
}
