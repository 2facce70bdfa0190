// What we remember of a container between two commands, in a directory below
// --root.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "common/file.hpp"
#include "common/signals.hpp"
#include "steps/oci/layers.hpp"

namespace fs = std::filesystem;

namespace {

// When a process was started, which is field 22 of /proc/PID/stat: see
// proc_pid_stat(5). No later process with its PID has the same. "" if it has
// ended.
std::string start_time(pid_t pid) {
  const auto text = sys::file_of(sys::open_proc(), pid, "stat");
  std::istringstream fields{text.substr(text.rfind(')') + 1)};
  std::string state;
  std::string field;
  fields >> state;
  for (int number = 4; number <= 22; ++number) fields >> field;
  return state == "Z" || state == "X" ? "" : field;
}

// "" on a host without one.
std::string freezer(const std::vector<std::string>& groups) {
  for (const std::string file : {"/freezer.state", "/cgroup.freeze"})
    for (const auto& group : groups)
      if (fs::exists(group + file)) return group + file;
  return "";
}

}  // namespace

Container::Container(const std::string& root, const std::string& id)
    : id_{id}, directory_{root + "/" + id} {
  if (id.empty() || id == "." || id == ".." ||
      !sys::is_alphanumeric(id, "_+-."))
    throw std::invalid_argument{"an id has only A-Z a-z 0-9 _ + - ."};
}

bool Container::exists() const {
  return fs::exists(directory_);
}

void Container::make(Json config, const std::string& bundle) {
  if (!need<std::string>(config, "/ociVersion").starts_with("1.") ||
      !makes_namespace(config, "mount"))
    refuse_config("without ociVersion 1 or a new mount namespace");
  fs::create_directories(fs::path{directory_}.parent_path());
  sys::check(::mkdir(directory_.c_str(), 0700), "mkdir(2) {}", directory_);
  auto path = get<std::string>(config, "/linux/cgroupsPath", "");
  if (path.empty()) path = id_;
  config["linux"]["cgroupsPath"] = path.starts_with('/') ? path : "/" + path;
  saved_ = {{"bundle", bundle}, {"config", config}};
  sys::check(::mkfifo(start_fifo().c_str(), 0600), "mkfifo(3) {}",
             start_fifo());
}

// All of it or nothing, because the next command can come at any time.
void Container::save(pid_t pid) {
  saved_["pid"] = pid;
  saved_["started"] = start_time(pid);
  const auto path = directory_ + "/state.json";
  (void)open_file(path + ".new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sys::write_file(path + ".new", saved_.dump());
  fs::rename(path + ".new", path);
}

void Container::load() {
  if (!exists())
    throw std::runtime_error{"container " + id_ + " does not exist"};
  const auto text = sys::read_file_if_there(directory_ + "/state.json");
  if (!text.empty()) saved_ = Json::parse(text);  // Else `create` was killed.
}

void Container::change(const Json& resources) {
  Json& ours = saved_["config"]["linux"]["resources"];
  const Json& devices = at(resources, "/devices");
  if (!devices.is_null() && devices != at(ours, "/devices"))
    refuse_config("to change the rules for devices is not supported");
  ours.merge_patch(resources);
}

void Container::freeze(bool is_frozen) const {
  const auto file = freezer(cgroups());
  if (file.ends_with("state"))
    sys::write_file(file, is_frozen ? "FROZEN" : "THAWED");
  else
    sys::write_file(file, is_frozen ? "1" : "0");
}

void Container::remove() const {
  if (status() == "paused") freeze(false);  // On v1, SIGKILL waits for it.
  remove_cgroups(cgroups());
  fs::remove_all(directory_);
}

std::string Container::status() const {
  if (pid() == 0) return "creating";
  if (start_time(pid()) != need<std::string>(saved_, "/started"))
    return "stopped";
  if (fs::exists(start_fifo())) return "created";
  const auto frozen = sys::read_file_if_there(freezer(cgroups()));
  return frozen == "1" || frozen.starts_with("FR") ? "paused" : "running";
}

void Container::must_be(const std::string& wanted) const {
  const auto found = status();
  if (wanted.find(found) == wanted.npos)
    throw std::runtime_error{sys::format("container {} is {}", id_, found)};
}

Json Container::state() const {
  Json state{{"ociVersion", kSpecification},
             {"id", id_},
             {"status", status()},
             {"bundle", get<std::string>(saved_, "/bundle", "")},
             {"annotations", get(config(), "/annotations", Json::object())}};
  if (state["status"] != "stopped") state["pid"] = pid();
  return state;
}

std::vector<std::string> Container::cgroups() const {
  if (!saved_.contains("pid")) return {};
  return name_cgroups(config());
}

sys::Fd Container::open_process() const {
  sys::Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid(), 0))};
  if (status() == "stopped") process.reset();  // Asked after it was opened.
  return process;
}
