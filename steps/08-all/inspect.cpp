// Shows which layers separate a process from the host.
//
//   usage   build/inspect PID [PID...]
//   who     an ordinary user, for the processes of this user; root, for all
//
// Each line is a layer, with the step that adds it. Each column is a process,
// and says whether it shares the layer with the process that runs inspect.
// inspect accepts any process, for example one of runc, of Docker or of a
// browser.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

#include "common/cgroup.hpp"
#include "common/file.hpp"
#include "common/options.hpp"
#include "common/process.hpp"

namespace {

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream{text};
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

std::vector<std::string> lines(const std::string& text) {
  std::istringstream stream{text};
  std::vector<std::string> found;
  for (std::string line; std::getline(stream, line);) found.push_back(line);
  return found;
}

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

// The contents of a file, which might not exist.
std::string contents(const std::string& path) {
  try {
    return sys::read_file(path);
  } catch (const sys::Error&) {
    return {};
  }
}

// ---- A process, as /proc shows it ------------------------------------------

// Reads the files of a process in /proc (proc(5)). All reads go through this
// class, so that an error names the process, and not a file.
class Process {
 public:
  explicit Process(const std::string& pid) : pid_{pid} {}

  [[nodiscard]] std::string read(const std::string& name) const {
    return checked(name, [&] { return sys::read_file(path(name)); });
  }

  // The number of a namespace is its inode number.
  [[nodiscard]] std::string name_space(const std::string& kind) const {
    const auto name = "ns/" + kind;
    return checked(name, [&] {
      std::array<char, 64> target{};
      const auto size = sys::check(
          ::readlink(path(name).c_str(), target.data(), target.size()),
          "readlink(2) {}", path(name));
      const std::string text{target.data(), static_cast<std::size_t>(size)};
      return text.substr(kind.size() + 2, text.size() - kind.size() - 3);
    });
  }

  // The root directory, by its inode, because two directories can have one
  // name.
  [[nodiscard]] std::string root() const {
    return checked("root", [&] {
      struct stat status {};
      sys::check(::stat(path("root/").c_str(), &status), "stat(2) {}",
                 path("root"));
      return sys::format("inode {} on {}:{}", status.st_ino,
                         major(status.st_dev), minor(status.st_dev));
    });
  }

  // A field of the status, or "".
  [[nodiscard]] std::string status(const std::string& field) const {
    for (const auto& line : lines(read("status")))
      if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
    return {};
  }

  // The fields of stat after the name, which can contain blanks.
  [[nodiscard]] std::vector<std::string> stat() const {
    const auto text = read("stat");
    return words(text.substr(text.rfind(')') + 1));
  }

  [[nodiscard]] std::vector<std::string> children() const {
    return words(contents(path("task/" + status("Tgid") + "/children")));
  }

 private:
  [[nodiscard]] std::string path(const std::string& name) const {
    return "/proc/" + pid_ + "/" + name;
  }

  template <typename Look>
  [[nodiscard]] std::string checked(const std::string& name,
                                    const Look& look) const {
    try {
      return look();
    } catch (const sys::Error& error) {
      const int errnum = error.code().value();
      if (errnum == ENOENT || errnum == ESRCH || errnum == ENOTDIR)
        throw sys::Error{ESRCH, "open(2) /proc/" + pid_ + ": find the process"};
      throw sys::Error{
          errnum, "read(2) /proc/" + pid_ + "/" + name,
          ::geteuid() == 0 ? "" : "it is not yours alone: use sudo"};
    }
  }

  std::string pid_;
};

// ---- What is shown of it ---------------------------------------------------

// "0 100000 65536" as 0->100000 x65536.
std::string id_map(const Process& process, const std::string& file) {
  std::vector<std::string> ranges;
  for (const auto& line : lines(process.read(file))) {
    const auto numbers = words(line);
    ranges.push_back(
        sys::format("{}->{} x{}", numbers.at(0), numbers.at(1), numbers.at(2)));
  }
  return ranges.empty() ? "none" : joined(ranges);
}

// Each number in linux/capability.h is a bit.
constexpr std::array kCapabilities{"chown",
                                   "dac_override",
                                   "dac_read_search",
                                   "fowner",
                                   "fsetid",
                                   "kill",
                                   "setgid",
                                   "setuid",
                                   "setpcap",
                                   "linux_immutable",
                                   "net_bind_service",
                                   "net_broadcast",
                                   "net_admin",
                                   "net_raw",
                                   "ipc_lock",
                                   "ipc_owner",
                                   "sys_module",
                                   "sys_rawio",
                                   "sys_chroot",
                                   "sys_ptrace",
                                   "sys_pacct",
                                   "sys_admin",
                                   "sys_boot",
                                   "sys_nice",
                                   "sys_resource",
                                   "sys_time",
                                   "sys_tty_config",
                                   "mknod",
                                   "lease",
                                   "audit_write",
                                   "audit_control",
                                   "setfcap",
                                   "mac_override",
                                   "mac_admin",
                                   "syslog",
                                   "wake_alarm",
                                   "block_suspend",
                                   "audit_read",
                                   "perfmon",
                                   "bpf",
                                   "checkpoint_restore"};

std::string capabilities(const Process& process, const std::string& set) {
  unsigned long long bits = 0;
  const auto text = process.status(set);
  std::from_chars(text.data(), text.data() + text.size(), bits, 16);
  // The capabilities that this kernel has.
  const auto last = contents("/proc/sys/kernel/cap_last_cap");
  const auto count =
      std::min<std::size_t>(std::stoul(last) + 1, kCapabilities.size());
  std::vector<std::string> names;
  std::vector<std::string> without;
  for (std::size_t i = 0; i < count; ++i)
    ((bits >> i & 1) != 0 ? names : without).emplace_back(kCapabilities.at(i));
  if (names.empty()) return "none";
  if (without.empty()) return "all";
  return without.size() < 10
             ? sys::format("{}, without {}", names.size(), joined(without))
             : sys::format("{}: {}", names.size(), joined(names));
}

std::string seccomp(const Process& process) {
  const auto mode = process.status("Seccomp");
  const auto filters = process.status("Seccomp_filters");
  if (mode == "2") return "filter" + (filters.empty() ? "" : " x" + filters);
  return mode == "1" ? "strict" : "none";
}

// The cgroups of the process that are not the root of a tree. v1 has one tree
// for each controller.
std::string cgroup(const Process& process) {
  std::vector<std::string> paths;
  for (const auto& line : lines(process.read("cgroup"))) {
    const auto path = line.substr(line.find(':', line.find(':') + 1) + 1);
    if (path != "/" &&
        std::find(paths.begin(), paths.end(), path) == paths.end())
      paths.push_back(path);
  }
  return paths.empty() ? "/" : joined(paths);
}

// The first words of the first existing file of `files` in the directories of
// its cgroups, as this process sees them. A group above can have a lower limit.
std::vector<std::string> setting(const Process& process,
                                 const std::vector<std::string>& files) {
  for (const auto& directory : sys::cgroup_directories(
           process.read("cgroup"), sys::read_file("/proc/self/mountinfo")))
    for (const auto& file : files)
      if (auto found = words(contents(directory + "/" + file)); !found.empty())
        return found;
  return {"max"};
}

// On v1, no limit is -1, or the largest number of whole pages.
bool is_none(const std::string& value) {
  return value == "max" || value == "-1" ||
         (value.size() == 19 && value.starts_with("92233720"));
}

std::string memory_limit(const Process& process) {
  const auto value =
      setting(process, {"memory.max", "memory.limit_in_bytes"}).front();
  if (is_none(value)) return "none";
  const auto bytes = std::stoull(value);
  return bytes % (1 << 20) == 0 ? sys::format("{}M", bytes >> 20) : value;
}

std::string process_limit(const Process& process) {
  const auto value = setting(process, {"pids.max"}).front();
  return is_none(value) ? "none" : value;
}

// The microseconds in each period: see cgroups(7).
std::string cpu_limit(const Process& process) {
  auto value = setting(process, {"cpu.max", "cpu.cfs_quota_us"});
  if (is_none(value.front())) return "none";
  if (value.size() == 1)
    value.push_back(setting(process, {"cpu.cfs_period_us"}).front());
  return sys::format("{}/{}", value[0], value[1]);
}

std::string mounts(const Process& process) {
  const auto table = lines(process.read("mountinfo"));
  // A process in a chroot sees only the mounts below its root directory.
  std::string type = "none of them";
  for (const auto& line : table) {
    const auto fields = words(line);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    // The last mount on a mount point hides the others.
    if (fields.size() > 5 && fields[4] == "/" && fields.end() - dash > 1)
      type = *(dash + 1);
  }
  return sys::format("{}, / is {}", table.size(), type);
}

std::string links(const Process& process) {
  std::vector<std::string> names;
  for (const auto& line : lines(process.read("net/dev")))
    if (const auto colon = line.find(':'); colon != line.npos)
      names.push_back(words(line.substr(0, colon)).at(0));
  std::sort(names.begin(), names.end());
  return names.empty() ? "none" : joined(names);
}

// A PID in our PID namespace; 0 for a process outside of it.
std::string session(const Process& process) {
  return process.stat().at(3);
}

std::string terminal(const Process& process) {
  int number = 0;
  const auto text = process.stat().at(4);
  std::from_chars(text.data(), text.data() + text.size(), number);
  const auto device = static_cast<dev_t>(number);
  if (device == 0) return "none";
  // The terminals of devpts have the major numbers 136 to 143.
  const auto driver = major(device);
  return driver >= 136 && driver <= 143
             ? sys::format("pts/{}", (driver - 136) * 256 + minor(device))
             : sys::format("device {}:{}", driver, minor(device));
}

// ---- Side by side ----------------------------------------------------------

struct Layer {
  std::string_view step;
  std::string_view name;
  std::vector<std::string> values;  // First of the host, then of the processes.
};

std::vector<Layer> compare(const std::vector<Process>& processes) {
  std::vector<Layer> layers;
  const auto add = [&](std::string_view step, std::string_view name,
                       const auto& look) {
    layers.push_back({step, name, {}});
    for (const auto& process : processes)
      layers.back().values.push_back(look(process));
  };
  const auto space = [](const std::string& kind) {
    return [kind](const Process& process) { return process.name_space(kind); };
  };
  add("01", "root", [](const Process& process) { return process.root(); });
  add("02", "pid ns", space("pid"));
  add("03", "user ns", space("user"));
  for (const std::string name : {"uid_map", "gid_map"})
    add("03", name == "uid_map" ? "uid map" : "gid map",
        [&](const Process& process) { return id_map(process, name); });
  add("04", "uts ns", space("uts"));
  add("05", "mnt ns", space("mnt"));
  add("05", "mounts", mounts);
  add("06", "net ns", space("net"));
  add("06", "links", links);
  add("07", "cgroup", cgroup);
  add("07", "memory limit", memory_limit);
  add("08", "pids limit", process_limit);
  add("08", "cpu limit", cpu_limit);
  add("08", "ipc ns", space("ipc"));
  add("08", "cgroup ns", space("cgroup"));
  add("-", "time ns",
      space("time"));  // It hides nothing, so no step makes one.
  for (const std::string set : {"CapEff", "CapBnd"})
    add("08", set == "CapEff" ? "capabilities" : "bounding set",
        [&](const Process& process) { return capabilities(process, set); });
  add("08", "no_new_privs", [](const Process& process) {
    return process.status("NoNewPrivs") == "1" ? "yes" : "no";
  });
  add("08", "seccomp", seccomp);
  add("08", "session", session);
  add("08", "terminal", terminal);
  return layers;
}

bool is_pid(std::string_view text) {
  return !text.empty() && text.size() < 10 && text.front() != '0' &&
         text.find_first_not_of("0123456789") == text.npos;
}

std::string name_of(const Process& process, const std::string& pid) {
  auto name = process.read("comm");
  name.erase(name.find_last_not_of('\n') + 1);
  return pid + " " + sys::printable(name);  // A process can have any name.
}

// The marks come before the values, because most readers look for the marks,
// and of several processes these are at the beginning of the lines.
std::string table(const std::vector<std::string>& pids,
                  const std::vector<std::string>& names,
                  const std::vector<Layer>& layers) {
  std::vector<std::vector<std::string>> rows{{"step", "layer"}};
  rows[0].insert(rows[0].end(), pids.begin(), pids.end());
  rows[0].emplace_back("host");
  rows[0].insert(rows[0].end(), names.begin(), names.end());
  for (const auto& [step, name, values] : layers) {
    auto& row = rows.emplace_back();
    row = {std::string{step}, std::string{name}};
    for (std::size_t i = 1; i < values.size(); ++i)
      row.emplace_back(values[i] == values[0] ? "shared" : "own");
    row.insert(row.end(), values.begin(), values.end());
  }
  std::vector<std::size_t> widths(rows[0].size());
  // A PID has at most seven digits, so the columns have one width.
  std::fill_n(widths.begin() + 2, pids.size(), std::size_t{7});
  for (auto& row : rows)
    for (std::size_t i = 0; i + 1 < row.size();
         ++i) {  // The last one can be long.
      if (row[i].size() > 36) row[i] = row[i].substr(0, 33) + "...";
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

// A program that makes a container is outside of it, and its child is inside.
void tell_of_children(const Process& host, const Process& process,
                      const std::string& pid) {
  const auto below = process.children();
  if (process.name_space("user") != host.name_space("user") ||
      process.root() != host.root() || below.empty())
    return;
  sys::note("process " + pid + " shares the host's root; its children are " +
            joined(below));
}

}  // namespace

int main(int argc, char** argv) try {
  sys::fill_standard_streams();
  const std::vector<std::string> pids{argv + 1, argv + argc};
  if (pids.empty() || !std::all_of(pids.begin(), pids.end(), is_pid))
    throw std::invalid_argument{
        "usage: inspect PID [PID...]; hint: ps on the host prints the PIDs"};
  if (::access("/proc/self/stat", F_OK) != 0)
    throw std::invalid_argument{"there is no /proc to look into"};

  std::vector<Process> processes{Process{"self"}};
  std::vector<std::string> names;
  for (const auto& pid : pids)
    names.push_back(name_of(processes.emplace_back(pid), pid));
  const auto text = table(pids, names, compare(processes));
  sys::check(::write(STDOUT_FILENO, text.data(), text.size()),
             "write(2) the table");
  for (std::size_t i = 1; i < processes.size(); ++i)
    tell_of_children(processes[0], processes[i], pids[i - 1]);
} catch (const std::exception& error) {
  return sys::report(error);
}
