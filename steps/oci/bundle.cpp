#include "steps/oci/bundle.hpp"

#include "common/file.hpp"

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
    else if (value != false && value.dump() != R"("")" && !value.empty())
      refuse_config("{}/{} is not supported", above, key);
  }
}

const Json& find_namespace(const Json& config, const std::string& type) {
  static const Json nothing;
  for (const Json& one : at(config, "/linux/namespaces"))
    if (need<std::string>(one, "/type") == type) return one;
  return nothing;
}

Json parse(const std::string& path) try {
  return Json::parse(sys::read_file(path));
} catch (const Json::exception& error) {
  throw std::runtime_error{sys::format("{}: {}", path, error.what())};
}

}  // namespace

const Json& at(const Json& json, const std::string& path) {
  static const Json nothing;
  const Json::json_pointer pointer{path};
  return json.contains(pointer) ? json.at(pointer) : nothing;
}

sys::Fd open_file(const std::string& path, int flags, mode_t mode) {
  return sys::Fd{sys::check(::open(path.c_str(), flags | O_CLOEXEC, mode),
                            "open(2) {}", path)};
}

std::vector<std::string> texts(const Json& json, const std::string& path) {
  return get<std::vector<std::string>>(json, path, {});
}

bool has_namespace(const Json& config, const std::string& type) {
  return !find_namespace(config, type).is_null();
}

bool makes_namespace(const Json& config, const std::string& type) {
  const Json& found = find_namespace(config, type);
  return !found.is_null() && get<std::string>(found, "/path", "").empty();
}

Json read_config(const std::string& bundle) {
  auto config = parse(bundle + "/config.json");
  if (!need<std::string>(config, "/ociVersion").starts_with("1."))
    refuse_config("ociVersion is not 1");
  for (const char* const path : kRefused) refuse(config, path);
  if (!makes_namespace(config, "mount"))
    refuse_config("/linux/namespaces lists no new mount namespace");
  for (const Json& one : at(config, "/linux/namespaces"))
    if (&one != &find_namespace(config, one.at("type")))
      refuse_config("/linux/namespaces lists one twice");
  return config;
}

Json read_process(const std::string& path) {
  const Json config{{"process", parse(path)}};
  for (const char* const refused : kRefused) refuse(config, refused);
  return config.at("process");
}
