#include "common/options.hpp"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <utility>

#include "common/error.hpp"
#include "common/text.hpp"

namespace sys {

namespace {

[[noreturn]] void invalid(const std::string& text) {
  throw std::invalid_argument{text};
}

// ---- Words that we do not know, and what their user probably meant ---------

// What Docker's users are used to, and what is said instead here.
constexpr std::pair<std::string_view, std::string_view> kHabits[] = {
    {"-i -t -it -ti --interactive --tty",
     "leave it out, the terminal is the caller's"},
    {"-d --detach", "leave it out, and end the line with &"},
    {"--rm", "leave it out, nothing is kept"},
    {"--name", "--hostname NAME; build/enter takes the PID"},
    {"-p -P --publish",
     "no port is published: see steps/06-netns-veth/README.md"},
    {"--volume --mount", "--bind SRC:DST[:ro]"},
    {"-e", "--env NAME=VALUE"},
    {"-m --mem", "--memory SIZE"},
    {"-u", "--user UID[:GID]"},
    {"--network", "--net veth|nat|none|host"},
    {"--host", "--hostname NAME"},
    {"--name-space", "each step has its own: see --help"},
    {"--pids-limit", "--pids N"},
    {"--cpu", "--cpus X"},
    {"-w --workdir", "COMMAND may be: sh -c 'cd DIR && exec ...'"},
    {"-c", "COMMAND stands behind ROOTFS: sh -c '...'"},
    {"--command --entrypoint", "COMMAND stands behind ROOTFS"},
    {"--rootfs", "ROOTFS is a word of its own, in front of COMMAND"},
    {"--readonly --read_only", "--read-only"},
    {"--verbose", "-v"}};

// Or "".
std::string_view hint_for_option(std::string_view name) {
  for (const auto& [habits, instead] : kHabits)
    if (has_word(habits, ' ', name)) return instead;
  return {};
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// What is meant by `rootfs` in the place of ROOTFS, by default `there`.
std::string hint_for_rootfs(const std::string& rootfs,
                            const std::string& there) {
  if (!exists(there)) return "make rootfs makes one";
  if (rootfs.empty()) return "it is an empty word; left out it is " + there;
  const auto name = rootfs.substr(rootfs.rfind('/') + 1);
  if (rootfs.find(":/") != rootfs.npos)
    return "to show a directory inside, say --bind SRC:DST; -v only narrates";
  if (name == "run" || name == "exec" || name == "start" ||
      (!name.empty() && exists(there + "/bin/" + name)))
    return "ROOTFS stands in front of COMMAND: " + there;
  if (name == "rootfs") return "there is one in " + there;
  return "ROOTFS is a directory, " + there +
         " say; rootfs/from-image unpacks an image into one";
}

// How a size is said here that is clear enough, as "64 MiB", "64MB" and "1T"
// are; or "".
std::string hint_for_size(std::string_view text) {
  const auto number = text.substr(0, text.find_first_not_of("0123456789"));
  if (number.empty() || number.size() > 6) return {};
  std::string unit;
  for (const char c : text.substr(number.size()))
    if (c != ' ') unit += static_cast<char>(std::toupper(c));
  if (unit.empty() && number.find_first_not_of('0') == number.npos)
    return "; hint: none is for no limit";
  if (unit.ends_with('B')) unit.pop_back();
  if (unit.ends_with('I')) unit.pop_back();
  if (unit == "K" || unit == "M" || unit == "G")
    return sys::format("; hint: {}{}", number, unit);
  if (unit == "T")
    return sys::format("; hint: {}G", 1024 * std::stoll(std::string{number}));
  return {};
}

// ---- The options -----------------------------------------------------------

struct Option {
  std::string_view name;
  std::string_view value;  // Its name in --help; empty for a plain flag.
  std::string_view since;  // The first step that has it.
  std::string_view help;
};

constexpr Option kOptions[] = {
    {"--hostname", "NAME", "04", "the host name of the container (box)"},
    {"--bind", "SRC:DST[:ro]", "05", "show SRC of the host as DST"},
    {"--read-only", "", "05", "write only to /tmp, /dev/shm and binds"},
    {"--net", "veth|nat|none|host", "06",
     "the network (root: veth; others: none)"},
    {"--memory", "SIZE", "07", "the memory limit: K, M, G or none (64M)"},
    {"--pids", "N", "08", "the limit on processes (256)"},
    {"--cpus", "X", "08", "the limit on processors, such as 0.5 (all)"},
    {"--env", "NAME=VALUE", "08", "set a variable for the command"},
    {"--user", "UID[:GID]", "08", "the ids of the command (0:0)"},
    {"--without", "WALL", "08",
     "leave out a wall, to see what it stops (none)"},
    {"-v", "", "01", "print each action when it is done"},
    {"--help", "", "01", "print this text"}};

constexpr std::pair<std::string_view, Network> kNetworks[] = {
    {"veth", Network::kVeth},
    {"nat", Network::kNat},
    {"none", Network::kNone},
    {"host", Network::kHost}};

constexpr std::pair<std::string_view, bool Walls::*> kWalls[] = {
    {"seccomp", &Walls::seccomp},
    {"capabilities", &Walls::capabilities},
    {"landlock", &Walls::landlock},
    {"no-new-privs", &Walls::no_new_privs},
    {"hidden-paths", &Walls::hidden_paths},
    {"terminal", &Walls::terminal},
    {"init", &Walls::init},
    {"keys", &Walls::keys}};

std::string words_of(const auto& table, const char* separator) {
  std::vector<std::string_view> words;
  for (const auto& [word, value] : table) words.push_back(word);
  return sys::format("{}", fmt::join(words, separator));
}

// What a word stands for that an option takes.
auto parse_word(std::string_view option, std::string_view text,
                const auto& table) {
  for (const auto& [word, value] : table)
    if (word == text) return value;
  invalid(sys::format("{} takes one of {}, not '{}'", option,
                      words_of(table, ", "), text));
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

void set(Arguments& args, std::string_view name, std::string_view value) {
  if (name == "--hostname") args.hostname = parse_host_name(value);
  if (name == "--bind") args.binds.push_back(parse_bind(value));
  if (name == "--read-only") args.read_only = true;
  if (name == "--net") args.network = parse_word(name, value, kNetworks);
  if (name == "--memory") args.memory = parse_memory(value);
  if (name == "--pids")  // PID 1 and the command are two.
    args.pids = parse_number(value, 2, 4194304);
  if (name == "--cpus") args.cpus = parse_cpus(value);
  if (name == "--env") args.environment.push_back(parse_variable(value));
  if (name == "--user") args.ids = parse_user(value);
  if (name == "--without") args.walls.*parse_word(name, value, kWalls) = false;
  if (name == "-v") verbose = true;
}

bool takes(const Usage& usage, std::string_view name) {
  return name == "-v" || name == "--help" ||
         std::find(usage.options.begin(), usage.options.end(), name) !=
             usage.options.end();
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
  text += "\nThe values in parentheses are the defaults.\n";
  if (takes(usage, "--without"))
    text += sys::format("WALL is one of these:\n  {}\n", words_of(kWalls, " "));
  text += sys::format(
      "\n"
      "Exit status: that of COMMAND, or 128+N if signal N ended it; 127 if\n"
      "COMMAND was not found, 126 if it cannot run, 125 if {} failed.\n\n"
      "Read {}.\n",
      ::program_invocation_short_name, usage.man_pages);
  check(::write(STDOUT_FILENO, text.data(), text.size()), "write(2) the help");
  std::exit(EXIT_SUCCESS);
}

[[noreturn]] void unknown(std::string_view name) {
  const std::string_view program{::program_invocation_short_name};
  std::string hint{hint_for_option(name)};
  for (const auto& option : kOptions)
    if (option.name == name)
      // A learner's program, "05-mountns", should have an option from "04" on.
      hint = program >= option.since && program < "09"
                 ? "add it to .options"
                 : sys::format("the steps from {} on have it", option.since);
  if (hint.empty()) invalid(sys::format("unknown option {}; see --help", name));
  invalid(sys::format("unknown option {}; hint: {}", name, hint));
}

// Takes `--name value` or `--name=value`; returns how many words that was.
int parse_option(Arguments& args, char** words, const Usage& usage) {
  const std::string_view word{words[0]};
  const auto equals = word.find('=');
  const auto name = word == "-h" ? "--help" : word.substr(0, equals);
  const auto* const option =
      std::find_if(std::begin(kOptions), std::end(kOptions),
                   [&](const Option& known) { return known.name == name; });
  if (option == std::end(kOptions) || !takes(usage, name)) unknown(name);
  if (option->value.empty()) {
    if (equals != word.npos) invalid(sys::format("{} takes no value", name));
    if (name == "--help") print_help(usage);
    set(args, name, {});
    return 1;
  }
  if (equals != word.npos) {
    set(args, name, word.substr(equals + 1));
    return 1;
  }
  if (words[1] == nullptr) invalid(sys::format("{} wants a value", name));
  set(args, name, words[1]);
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
  for (const auto& [name, wall] : kWalls)
    if (!(args.walls.*wall))
      lack(sys::format("{} wall", name), "left out by --without");
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
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  const auto words = split(text, ',');
  return !words.empty() &&
         std::all_of(words.begin(), words.end(), [](std::string_view word) {
           return has_word(
               "ro rw r w x rx wr rwx z u o cached delegated consistent nocopy "
               "shared rshared slave rslave private rprivate bind rbind exec "
               "noexec",
               ' ', word);
         });
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
  if (text.empty() || text.size() > 64 || text.front() == '-' ||
      text.back() == '-' || !is_alphanumeric(text, "-."))
    invalid(sys::format(
        "'{}' is not a host name: 1 to 64 letters, digits, dots, inner dashes",
        text));
  return std::string{text};
}

}  // namespace sys
