// A bundle, as the OCI runtime specification has it: a root filesystem, and a
// config.json that says how the container shall be.

#include <set>

#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace {

// The keys of the specification that we do not obey, with * for each member of
// a list or an object. The Makefile cuts them out of keys.txt.
constexpr const char* kRefused[] = {
#include "build/oci-refused.inc"
};

// Throws if `json` asks for something at `path`. false, "" and an empty list
// ask for nothing.
void refuse(const Json& json, const std::string& path,
            const std::string& above = "") {
  const auto end = std::min(path.find('/', 1), path.size());
  const auto name = path.substr(1, end - 1);
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    if (name != key && name != "*") continue;
    if (end != path.size())
      refuse(value, path.substr(end), above + "/" + key);
    else if (value != false && value != "" && !value.empty())
      refuse_config("{}/{} is not supported", above, key);
  }
}

// What the file at `path` holds, as the member `name` of config.json if it is
// only a part of that.
Json read(const std::string& path, const std::string& name = "") try {
  const auto json = Json::parse(sys::read_file(path));
  const auto config = name.empty() ? json : Json{{name, json}};
  for (const char* const refused : kRefused) refuse(config, refused);
  return json;
} catch (const Json::exception& error) {
  throw std::runtime_error{sys::format("{}: {}", path, error.what())};
}

}  // namespace

const Json& at(const Json& json, const std::string& path) {
  static const Json nothing;
  const Json::json_pointer pointer{path};
  return json.contains(pointer) ? json.at(pointer) : nothing;
}

bool makes_namespace(const Json& config, const std::string& type) {
  for (const Json& one : at(config, "/linux/namespaces"))
    if (need<std::string>(one, "/type") == type)
      return get<std::string>(one, "/path", "").empty();
  return false;
}

Json read_config(const std::string& bundle) {
  auto config = read(bundle + "/config.json");
  if (!need<std::string>(config, "/ociVersion").starts_with("1."))
    refuse_config("ociVersion is not 1");
  if (!makes_namespace(config, "mount"))
    refuse_config("/linux/namespaces lists no new mount namespace");
  std::set<std::string> types;
  for (const Json& one : at(config, "/linux/namespaces"))
    if (!types.insert(one.at("type")).second)
      refuse_config("/linux/namespaces lists one twice");
  return config;
}

Json read_process(const std::string& path) {
  return read(path, "process");
}

sys::Fd open_file(const std::string& path, int flags, mode_t mode) {
  return sys::Fd{sys::check(::open(path.c_str(), flags | O_CLOEXEC, mode),
                            "open(2) {}", path)};
}
