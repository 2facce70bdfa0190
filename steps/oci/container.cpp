#include "steps/oci/container.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <sstream>

#include "common/file.hpp"
#include "common/signals.hpp"
#include "steps/oci/layers.hpp"

namespace {

struct Stat {
  std::string started;  // No later process with this PID has the same.
  char run_state = 'X';
};

// Fields 3 and 22 of /proc/PID/stat: see proc_pid_stat(5).
Stat stat_of(pid_t pid) {
  const auto text = sys::file_of(sys::open_proc(), pid, "stat");
  Stat found;
  std::istringstream fields{text.substr(text.rfind(')') + 1)};
  fields >> found.run_state;
  for (int field = 4; field <= 22; ++field) fields >> found.started;
  return found;
}

// Whole or not at all, because the next command may come at any time.
void write_whole(const std::string& path, const std::string& text) {
  const auto next = path + ".new";
  {
    const sys::Fd file{sys::check(
        ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
        "open(2) O_CREAT {}", next)};
    sys::write_file(next, text);
  }
  sys::check(::rename(next.c_str(), path.c_str()), "rename(2) to {}", path);
}

}  // namespace

Container::Container(const std::string& root, const std::string& id)
    : id_{id}, directory_{root + "/" + id} {
  const bool is_plain = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '+' || c == '-' || c == '.';
  });
  if (id.empty() || id == "." || id == ".." || !is_plain)
    throw std::runtime_error{
        "the id of a container has only A-Z a-z 0-9 _ + - ."};
}

bool Container::exists() const {
  return std::filesystem::exists(directory_);
}

void Container::make(const Json& config, const std::string& bundle,
                     const std::vector<sys::Cgroup>& cgroups) {
  std::filesystem::create_directories(
      std::filesystem::path{directory_}.parent_path());
  sys::check(::mkdir(directory_.c_str(), 0700), "mkdir(2) {}", directory_);
  config_ = config;
  saved_ = {{"bundle", bundle}, {"pid", 0}, {"cgroups", Json::array()}};
  for (const auto& group : cgroups)
    saved_["cgroups"].push_back({{"version", group.version},
                                 {"directory", group.directory},
                                 {"controllers", group.controllers}});
  write_whole(directory_ + "/config.json", config_.dump());
  write_whole(directory_ + "/state.json", saved_.dump());
  sys::check(::mkfifo(start_fifo().c_str(), 0600), "mkfifo(3) {}",
             start_fifo());
}

void Container::save(pid_t pid) {
  saved_["pid"] = pid;
  saved_["started"] = stat_of(pid).started;
  write_whole(directory_ + "/state.json", saved_.dump());
}

void Container::load() {
  if (!exists())
    throw std::runtime_error{sys::format("container {} does not exist", id_)};
  // A create that was killed might have left none.
  saved_ = {{"bundle", ""}, {"pid", 0}};
  const auto saved = directory_ + "/state.json";
  if (!std::filesystem::exists(saved)) return;
  config_ = Json::parse(sys::read_file(directory_ + "/config.json"));
  saved_ = Json::parse(sys::read_file(saved));
}

void Container::remove() const {
  std::filesystem::remove_all(directory_);
}

std::string Container::status() const {
  if (pid() == 0) return "creating";
  const auto now = stat_of(pid());
  if (now.started != get<std::string>(saved_, "/started", "") ||
      now.run_state == 'Z' || now.run_state == 'X')
    return "stopped";
  if (std::filesystem::exists(start_fifo())) return "created";
  return is_frozen(cgroups()) ? "paused" : "running";
}

void Container::must_be(const std::vector<std::string>& wanted) const {
  const auto found = status();
  if (std::find(wanted.begin(), wanted.end(), found) == wanted.end())
    throw std::runtime_error{sys::format("container {} is {}", id_, found)};
}

Json Container::state() const {
  Json state{{"ociVersion", kSpecification},
             {"id", id_},
             {"status", status()},
             {"bundle", saved_.at("bundle")}};
  if (state["status"] != "stopped") state["pid"] = pid();
  if (const Json& annotations = at(config_, "/annotations");
      !annotations.is_null())
    state["annotations"] = annotations;
  return state;
}

pid_t Container::pid() const {
  return get<pid_t>(saved_, "/pid", 0);
}

std::vector<sys::Cgroup> Container::cgroups() const {
  std::vector<sys::Cgroup> groups;
  for (const Json& one : at(saved_, "/cgroups"))
    groups.push_back({one.at("version"),
                      one.at("directory"),
                      one.at("controllers"),
                      {},
                      {}});
  return groups;
}

sys::Fd Container::open_process() const {
  sys::Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid(), 0))};
  if (status() == "stopped") process.reset();  // Asked after it was opened.
  return process;
}
