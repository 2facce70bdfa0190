// The command line that all steps share, and the values that can stand on it.

#pragma once

#include <sys/types.h>  // uid_t, gid_t

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mount.hpp"

namespace sys {

/// Stands for "no limit" where a size or a number is expected.
inline constexpr std::int64_t kNoLimit = -1;

/// The limit on memory if none is said.
inline constexpr std::int64_t kDefaultMemory = 64 << 20;

/// The limit on processes if none is said.
inline constexpr std::int64_t kDefaultPids = 256;

/// The networks that --net can ask for.
enum class Network { kVeth, kNat, kNone, kHost };

/// A user and a group of the container.
struct Ids {
  uid_t user = 0;
  gid_t group = 0;
};

/// The walls of step 08 that --without can leave out, each with whether it is
/// to be built.
struct Walls {
  bool seccomp = true;
  bool capabilities = true;
  bool landlock = true;
  bool no_new_privs = true;
  bool hidden_paths = true;
  bool terminal = true;
  bool init = true;
  bool keys = true;
};

/// What the command line says, or else the defaults. What has no value was not
/// said, where that makes a difference: a limit that was said is a promise.
struct Arguments {
  std::string rootfs;        ///< By default the rootfs beside the program.
  char** command = nullptr;  ///< NULL-terminated, as execvp(3) wants it; by
                             ///< default a login shell, which prompts `box#`.
  std::string hostname = "box";          ///< --hostname
  std::vector<Bind> binds;               ///< --bind
  bool read_only = false;                ///< --read-only
  std::optional<Network> network;        ///< --net
  std::optional<std::int64_t> memory;    ///< --memory, in bytes, or kNoLimit
  std::optional<std::int64_t> pids;      ///< --pids
  std::optional<std::int64_t> cpus;      ///< --cpus, in thousandths
  std::vector<std::string> environment;  ///< --env
  Ids ids;                               ///< --user
  Walls walls;                           ///< all but those of --without
};

/// What a program tells about itself under --help, and what it takes.
struct Usage {
  std::string_view gives;                 ///< "Runs a command with ...".
  std::string_view man_pages;             ///< What to read.
  std::vector<std::string_view> options;  ///< Those of Arguments it knows.
};

/// Reads `PROGRAM [OPTIONS] [ROOTFS [COMMAND [ARG...]]]`; -v and --help are
/// always known; --help ends the program. Prints a note for each wall that
/// --without leaves out. Throws std::invalid_argument with one line that says
/// what is wrong, and Error if the rootfs or /dev/null cannot be used.
Arguments parse_arguments(int argc, char** argv, const Usage& usage);

/// Opens /dev/null for what the caller has closed of 0 to 2, lest a file that
/// we open becomes the command's output. parse_arguments does it. Throws Error.
void fill_standard_streams();

/// The network that was said, or else the most that this user can have: a cable
/// for root, for others none, which a note explains.
Network choose_network(std::optional<Network> said);

/// Reads "SRC:DST", with ":ro" or ":rw" behind it or not. Throws
/// std::invalid_argument.
Bind parse_bind(std::string_view text);

/// Reads a size in bytes: "64M", with K, M or G for powers of 1024, or "none".
/// Throws std::invalid_argument for zero, signs, fractions and what is too big.
std::int64_t parse_size(std::string_view text);

/// Reads a whole number from `least` to `most`. Throws std::invalid_argument.
std::int64_t parse_number(std::string_view text, std::int64_t least,
                          std::int64_t most);

/// Reads a number of processors, "1.5" say, with up to three digits behind the
/// point, and returns it in thousandths. Throws std::invalid_argument.
std::int64_t parse_cpus(std::string_view text);

/// Passes on a host name that sethostname(2) and every tool can take: 1 to 64
/// letters, digits, dots and inner dashes. Throws std::invalid_argument.
std::string parse_host_name(std::string_view text);

}  // namespace sys
