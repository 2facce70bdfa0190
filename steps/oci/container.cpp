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

namespace fs = std::filesystem;

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

// All of it or nothing, because the next command can come at any time.
void write(const std::string& path, const Json& json) {
  const auto next = path + ".new";
  (void)open_file(next, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sys::write_file(next, json.dump());
  fs::rename(next, path);
}

}  // namespace

Container::Container(const std::string& root, const std::string& id)
    : id_{id}, directory_{root + "/" + id} {
  const bool is_plain = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '+' || c == '-' || c == '.';
  });
  if (id.empty() || id == "." || id == ".." || !is_plain)
    throw std::invalid_argument{"an id has only A-Z a-z 0-9 _ + - ."};
}

bool Container::exists() const {
  return fs::exists(directory_);
}

void Container::make(const Json& config, const std::string& bundle) {
  fs::create_directories(fs::path{directory_}.parent_path());
  sys::check(::mkdir(directory_.c_str(), 0700), "mkdir(2) {}", directory_);
  config_ = config;
  saved_ = {{"bundle", bundle}};
  write(directory_ + "/config.json", config_);
  sys::check(::mkfifo(start_fifo().c_str(), 0600), "mkfifo(3) {}",
             start_fifo());
}

void Container::save(pid_t pid) {
  saved_["pid"] = pid;
  saved_["started"] = stat_of(pid).started;
  write(directory_ + "/state.json", saved_);
}

// A create that was killed might have left a part.
void Container::load() {
  if (!exists())
    throw std::runtime_error{"container " + id_ + " does not exist"};
  saved_ = {{"bundle", ""}};
  for (auto* const json : {&config_, &saved_}) {
    const auto* const name = json == &config_ ? "/config.json" : "/state.json";
    if (fs::exists(directory_ + name))
      *json = Json::parse(sys::read_file(directory_ + name));
  }
}

void Container::remove() const {
  fs::remove_all(directory_);
}

std::string Container::status() const {
  if (pid() == 0) return "creating";
  const auto now = stat_of(pid());
  if (now.started != need<std::string>(saved_, "/started") ||
      now.run_state == 'Z' || now.run_state == 'X')
    return "stopped";
  if (fs::exists(start_fifo())) return "created";
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
  if (config_.contains("annotations"))
    state["annotations"] = config_.at("annotations");
  return state;
}

pid_t Container::pid() const {
  return get<pid_t>(saved_, "/pid", 0);
}

std::vector<sys::Cgroup> Container::cgroups() const {
  if (!saved_.contains("pid")) return {};
  return name_cgroups(config_, id_);
}

sys::Fd Container::open_process() const {
  sys::Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid(), 0))};
  if (status() == "stopped") process.reset();  // Asked after it was opened.
  return process;
}
