#include "common/options.hpp"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "common/error.hpp"
#include "common/wording.hpp"

namespace sys {

namespace {

[[noreturn]] void invalid(const std::string& text) {
  throw std::invalid_argument{text};
}

// ---- The options -----------------------------------------------------------

struct Option {
  std::string_view name;
  std::string_view value;  // Its name in --help; empty for a plain flag.
  std::string_view help;
  std::string_view since;  // The first step that has it.
  void (*use)(Arguments& args, std::string_view value);
};

Network parse_network(std::string_view text) {
  // In the order of the enumeration.
  constexpr std::array<std::string_view, 4> kKnown{"veth", "nat", "none",
                                                   "host"};
  const auto* const found = std::find(kKnown.begin(), kKnown.end(), text);
  if (found == kKnown.end())
    invalid(sys::format("--net takes one of {}, not '{}'",
                        fmt::join(kKnown, ", "), text));
  return Network(found - kKnown.begin());
}

std::string parse_variable(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos || equals == 0)
    invalid(sys::format("--env wants NAME=VALUE, not '{}'", text));
  return std::string{text};
}

// The kernel takes any limit, and then kills what cannot even exec in it.
std::int64_t parse_memory(std::string_view text) {
  constexpr std::int64_t kLeast = 1 << 20;
  const auto bytes = parse_size(text);
  if (bytes != kNoLimit && bytes < kLeast)
    invalid(
        sys::format("--memory {} is too small for exec: at least 1M", text));
  return bytes;
}

// The 65536 ids of the map: see step 03.
Ids parse_user(std::string_view text) {
  const auto colon = text.find(':');
  try {
    const auto user = parse_number(text.substr(0, colon), 0, 65535);
    const auto group = colon == text.npos
                           ? user
                           : parse_number(text.substr(colon + 1), 0, 65535);
    return {static_cast<uid_t>(user), static_cast<gid_t>(group)};
  } catch (const std::invalid_argument& error) {
    invalid(sys::format("{}; hint: --user wants UID[:GID], and root is 0",
                        error.what()));
  }
}

struct Wall {
  std::string_view name;
  bool Walls::*is_built;
};

constexpr std::array<Wall, 8> kWalls{{{"seccomp", &Walls::seccomp},
                                      {"capabilities", &Walls::capabilities},
                                      {"landlock", &Walls::landlock},
                                      {"no-new-privs", &Walls::no_new_privs},
                                      {"hidden-paths", &Walls::hidden_paths},
                                      {"terminal", &Walls::terminal},
                                      {"init", &Walls::init},
                                      {"keys", &Walls::keys}}};

std::string wall_names(const char* separator) {
  std::vector<std::string_view> names;
  for (const auto& wall : kWalls) names.push_back(wall.name);
  return sys::format("{}", fmt::join(names, separator));
}

void leave_out(Walls& walls, std::string_view name) {
  for (const auto& wall : kWalls)
    if (wall.name == name) {
      walls.*wall.is_built = false;
      return;
    }
  invalid(sys::format("--without takes one of {}, not '{}'", wall_names(", "),
                      name));
}

constexpr std::array<Option, 11> kOptions{{
    {"--hostname", "NAME", "the host name of the container (box)", "04",
     [](Arguments& args, std::string_view value) {
       args.hostname = parse_host_name(value);
     }},
    {"--bind", "SRC:DST[:ro]", "show SRC of the host as DST", "05",
     [](Arguments& args, std::string_view value) {
       args.binds.push_back(parse_bind(value));
     }},
    {"--read-only", "", "write only to /tmp, /dev/shm and binds", "05",
     [](Arguments& args, std::string_view) { args.read_only = true; }},
    {"--net", "veth|nat|none|host", "the network (root: veth; others: none)",
     "06",
     [](Arguments& args, std::string_view value) {
       args.network = parse_network(value);
     }},
    {"--memory", "SIZE", "the memory limit: K, M, G or none (64M)", "07",
     [](Arguments& args, std::string_view value) {
       args.memory = parse_memory(value);
     }},
    {"--pids", "N", "the limit on processes (256)", "08",
     [](Arguments& args, std::string_view value) {
       args.pids = parse_number(value, 2, 4194304);  // PID 1, the command.
     }},
    {"--cpus", "X", "the limit on processors, such as 0.5 (all)", "08",
     [](Arguments& args, std::string_view value) {
       args.cpus = parse_cpus(value);
     }},
    {"--env", "NAME=VALUE", "set a variable for the command", "08",
     [](Arguments& args, std::string_view value) {
       args.environment.push_back(parse_variable(value));
     }},
    {"--user", "UID[:GID]", "the ids of the command (0:0)", "08",
     [](Arguments& args, std::string_view value) {
       args.ids = parse_user(value);
     }},
    {"--without", "WALL", "leave out a wall, to see what it stops (none)", "08",
     [](Arguments& args, std::string_view value) {
       leave_out(args.walls, value);
     }},
    {"-v", "", "print each action when it is done", "01",
     [](Arguments&, std::string_view) { verbose = true; }},
}};

bool takes(const Usage& usage, std::string_view name) {
  return name == "-v" || std::find(usage.options.begin(), usage.options.end(),
                                   name) != usage.options.end();
}

[[noreturn]] void print_help(const Usage& usage) {
  auto text = sys::format(
      "usage: {} [OPTIONS] [ROOTFS [COMMAND [ARG...]]]\n\n"
      "Runs COMMAND (/bin/sh) in ROOTFS (build/rootfs) with\n{}.\n\n",
      ::program_invocation_short_name, usage.gives);
  for (const auto& option : kOptions)
    if (takes(usage, option.name))
      text += sys::format("  {:<26} {}\n",
                          sys::format("{} {}", option.name, option.value),
                          option.help);
  text += sys::format(
      "  --help                     print this text\n\n"
      "The values in parentheses are the defaults.{}\n\n"
      "Exit status: that of COMMAND, or 128+N if signal N ended it; 127 if\n"
      "COMMAND was not found, 126 if it cannot run, 125 if {} failed.\n\n"
      "Read {}.\n",
      takes(usage, "--without")
          ? "\nWALL is one of these:\n  " + wall_names(" ")
          : "",
      ::program_invocation_short_name, usage.man_pages);
  check(::write(STDOUT_FILENO, text.data(), text.size()), "write(2) the help");
  std::exit(EXIT_SUCCESS);
}

// Whether we are a step from this one on: "05-mountns" is one from "04" on.
bool is_from(std::string_view step) {
  const std::string_view name{::program_invocation_short_name};
  return name >= step && name < "09";
}

[[noreturn]] void unknown(std::string_view name) {
  for (const auto& option : kOptions)
    if (option.name == name && is_from(option.since))  // A learner's program.
      invalid(sys::format("unknown option {}; hint: add it to .options", name));
    else if (option.name == name)
      invalid(
          sys::format("unknown option {}; hint: the steps from {} on have it",
                      name, option.since));
  if (const auto instead = hint_for_option(name); !instead.empty())
    invalid(sys::format("unknown option {}; hint: {}", name, instead));
  invalid(sys::format("unknown option {}; see --help", name));
}

// Takes `--name value` or `--name=value`; returns how many words that was.
int parse_option(Arguments& args, char** words, const Usage& usage) {
  const std::string_view word{words[0]};
  const auto equals = word.find('=');
  const auto name = word.substr(0, equals);
  const bool has_value = equals != word.npos;
  if (name == "--help" || name == "-h") {
    if (has_value) invalid(sys::format("{} takes no value", name));
    print_help(usage);
  }
  const auto* const option =
      std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& known) {
        return known.name == name && takes(usage, name);
      });
  if (option == kOptions.end()) unknown(name);
  if (option->value.empty() && has_value)
    invalid(sys::format("{} takes no value", name));
  if (option->value.empty() || has_value) {
    option->use(args, option->value.empty() ? "" : word.substr(equals + 1));
    return 1;
  }
  if (words[1] == nullptr) invalid(sys::format("{} wants a value", name));
  option->use(args, words[1]);
  return 2;
}

// Where `make rootfs` puts it: next to the program, whatever directory we are
// called from.
std::string default_rootfs() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "build/rootfs" : program.parent_path() / "rootfs";
}

void check_rootfs(const std::string& rootfs) {
  struct stat ours {};
  struct stat root {};
  if (::stat(rootfs.c_str(), &ours) == -1)
    throw Error{
        errno, "stat(2) " + rootfs + ": find the rootfs",
        errno == ENOENT ? hint_for_rootfs(rootfs, default_rootfs()) : ""};
  if (!S_ISDIR(ours.st_mode))
    throw Error{ENOTDIR, "chdir(2) to " + rootfs + ": the rootfs",
                hint_for_rootfs(rootfs, default_rootfs())};
  // Undoing a mount that failed, step 02 would take the host's /proc away.
  check(::stat("/", &root), "stat(2) /");
  if (ours.st_dev == root.st_dev && ours.st_ino == root.st_ino)
    invalid("ROOTFS may not be the host's / itself; hint: left out it is " +
            default_rootfs());
}

// In a PID namespace, tcgetpgrp(3) gives 0 for every group outside. So a shell
// in the container believes that it is in the foreground, and takes the
// terminal from our caller.
void wait_for_the_terminal() {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
  if (foreground != -1 && foreground != ::getpgrp()) ::raise(SIGTTIN);
}

}  // namespace

void fill_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) == -1)  // What is opened has its number.
      check(::open("/dev/null", O_RDWR), "open(2) /dev/null");
}

Arguments parse_arguments(int argc, char** argv, const Usage& usage) {
  static std::array<char, 8> shell{"/bin/sh"};
  static std::array<char, 3> login{"-l"};
  static std::array<char*, 3> default_command{shell.data(), login.data(),
                                              nullptr};
  fill_standard_streams();
  Arguments args;
  int at = 1;
  while (at < argc && argv[at][0] == '-' && std::string_view{argv[at]} != "--")
    at += parse_option(args, argv + at, usage);
  if (at < argc && argv[at][0] == '-') ++at;  // The "--".
  args.rootfs = at < argc ? argv[at] : default_rootfs();
  check_rootfs(args.rootfs);
  args.command = at + 1 < argc ? argv + at + 1 : default_command.data();
  for (const auto& wall : kWalls)
    if (!(args.walls.*wall.is_built))
      lack(std::string{wall.name} + " wall", "left out by --without");
  if (at + 1 >= argc) wait_for_the_terminal();
  return args;
}

Network choose_network(std::optional<Network> said) {
  if (said) return *said;
  if (::geteuid() == 0) return Network::kVeth;
  lack("cable", "only root can plug a cable into the host (sudo)");
  return Network::kNone;
}

// ---- Values ----------------------------------------------------------------

namespace {

// Those of Docker's, Podman's and mount(8)'s, one or several, in small letters
// or not. Any other word may be the end of a path with a colon in it.
bool is_bind_option(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  static const std::string known{
      " ro rw r w x rx wr rwx z u o cached delegated consistent nocopy "
      "shared "
      "rshared slave rslave private rprivate bind rbind exec noexec "};
  text += ',';
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find(',', at);
    const auto word = " " + text.substr(at, end - at) + " ";
    if (word == "  " || known.find(word) == known.npos) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

Bind parse_bind(std::string_view text) {
  Bind bind;
  auto rest = text;
  if (rest.ends_with(":ro") || rest.ends_with(":rw")) {
    bind.read_only = rest.ends_with(":ro");
    rest.remove_suffix(3);
  }
  const auto colon = rest.rfind(":/");
  if (colon == rest.npos || colon == 0)
    invalid(
        sys::format("--bind wants SRC:DST or SRC:DST:ro, DST absolute, "
                    "not '{}'",
                    text));
  std::error_code error;
  bind.source = std::filesystem::absolute(rest.substr(0, colon), error);
  if (error) throw Error{error.value(), "getcwd(3)"};
  bind.target = rest.substr(colon + 1);
  if (bind.target.find_first_not_of("/.") == std::string::npos)
    invalid("--bind cannot cover / itself: that is what ROOTFS is for");
  const auto last = bind.target.rfind(':');
  if (last != bind.target.npos && is_bind_option(bind.target.substr(last + 1)))
    invalid(sys::format("--bind has :ro and :rw only, not ':{}'",
                        bind.target.substr(last + 1)));
  if ((bind.target + "/").find("/../") != std::string::npos)
    invalid(sys::format("--bind takes no '..' in DST, as in '{}'", text));
  return bind;
}

std::int64_t parse_number(std::string_view text, std::int64_t least,
                          std::int64_t most) {
  std::int64_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc{} || result.ptr != end || value < least ||
      value > most || (least >= 0 && text.front() == '-'))  // Not even "-0".
    invalid(sys::format("'{}' is not a whole number from {} to {}", text, least,
                        most));
  return value;
}

std::int64_t parse_size(std::string_view text) {
  if (text == "none") return kNoLimit;
  const auto unit =
      text.empty() ? text.npos : std::string_view{"KkMmGg"}.find(text.back());
  const auto shift = unit == text.npos ? 0U : 10U * (1U + unsigned(unit) / 2);
  const auto digits = text.substr(0, text.size() - (shift == 0 ? 0 : 1));
  try {
    const auto most = std::numeric_limits<std::int64_t>::max() >> shift;
    return parse_number(digits, 1, most) << shift;
  } catch (const std::invalid_argument&) {
    invalid(
        sys::format("'{}' is not a size: a whole number of bytes, or of K, M "
                    "or G; or none{}",
                    text, hint_for_size(text)));
  }
}

std::int64_t parse_cpus(std::string_view text) {
  const auto point = text.find('.');
  const auto whole = text.substr(0, point);
  auto thousandths =
      std::string{point == text.npos ? "0" : text.substr(point + 1)};
  try {
    const auto most = parse_number(whole, 0, 8192) * 1000;
    if (thousandths.size() > 3) invalid("too fine");
    thousandths.resize(3, '0');
    const auto value = most + parse_number(thousandths, 0, 999);
    if (value < 10 || value > 8192'000) invalid("not for the kernel");
    return value;
  } catch (const std::invalid_argument&) {
    invalid(
        sys::format("'{}' is not a number of processors, 0.01 to 8192", text));
  }
}

std::string parse_host_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  if (text.empty() || text.size() > 64 || text.front() == '-' ||
      text.back() == '-' || !std::all_of(text.begin(), text.end(), fits))
    invalid(sys::format(
        "'{}' is not a host name: 1 to 64 letters, digits, dots, inner dashes",
        text));
  return std::string{text};
}

}  // namespace sys
