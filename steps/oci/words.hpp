// The command line of an OCI runtime. Podman, conmon and containerd's shim all
// use the same words.

#pragma once

#include <map>
#include <string>
#include <vector>

/// `oci --root /run/x kill --all ID 9` has two options and three plain words.
struct Words {
  std::map<std::string, std::string> options;
  std::vector<std::string> plain;  ///< The command, the id, and what follows.

  /// Whether an option was given.
  [[nodiscard]] bool has(const std::string& name) const {
    return options.contains(name);
  }
  /// The value of an option, or `otherwise`.
  [[nodiscard]] std::string value(const std::string& name,
                                  const std::string& otherwise = {}) const {
    return has(name) ? options.at(name) : otherwise;
  }
};

/// Reads the command line into `words`. Throws at an option that we do not
/// know: what it asks for would not be done.
void read_words(int argc, char** argv, Words& words);

/// Tells the caller of an error in the file of --log, one JSON object a line.
void log_error(const Words& words, const std::exception& error);
