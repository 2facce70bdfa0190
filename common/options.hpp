// The command line that all steps share, and the values that can stand on it.

#pragma once

#include <sys/types.h>  // uid_t, gid_t

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/mount.hpp"

namespace sys {

/// Stands for "no limit" where a size or a number is expected.
inline constexpr std::int64_t kNoLimit = -1;

/// What the command line says, or else the defaults.
struct Arguments {
  std::string rootfs;        ///< By default the rootfs beside the program.
  char** command = nullptr;  ///< NULL-terminated, as execvp(3) wants it; by
                             ///< default a login shell, which prompts `box#`.
  std::string hostname = "box";          ///< --hostname
  std::vector<Bind> binds;               ///< --bind
  bool read_only = false;                ///< --read-only
  std::string network;                   ///< --net; empty: not said
  std::int64_t memory = 64 << 20;        ///< --memory, in bytes
  bool memory_was_said = false;          ///< so it is a promise
  std::int64_t pids = 256;               ///< --pids
  bool pids_was_said = false;            ///< Not by default.
  std::int64_t cpus = 0;                 ///< --cpus, in thousandths; 0: all
  std::vector<std::string> environment;  ///< --env
  uid_t user = 0;                        ///< --user
  gid_t group = 0;                       ///< --user, behind the colon
};

/// What a program tells about itself under --help, and what it takes.
struct Usage {
  std::string_view gives;                 ///< "Runs a command with ...".
  std::string_view man_pages;             ///< What to read.
  std::vector<std::string_view> options;  ///< Those of Arguments it knows.
};

/// Reads `PROGRAM [OPTIONS] [ROOTFS [COMMAND [ARG...]]]`; -v and --help are
/// always known. Throws std::invalid_argument with one line that says what is
/// wrong.
Arguments parse_arguments(int argc, char** argv, const Usage& usage);

/// Opens /dev/null for what the caller has closed of 0 to 2, lest a file that
/// we open becomes the command's output. parse_arguments does it. Throws Error.
void fill_standard_streams();

/// What --net asks for; if it was not said, the most that this user can have:
/// "veth" for root, for others "none", which a note explains.
std::string choose_network(const Arguments& args);

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
