// The attack that step 04 makes harmless. It renames the host.
//
// A process with CAP_SYS_ADMIN can set the host name. Logs, prompts and
// certificates use this name.

#include "steps/probe.hpp"

namespace {

probe::Answer hostname(const std::string& name) {
  const auto what = "set the host name " + name;
  if (::sethostname(name.data(), name.size()) == -1)
    return probe::refused(what);
  return probe::done(what);
}

}  // namespace

int main(int argc, char** argv) {
  return probe::run(argc, argv, {{"hostname", hostname}});
}
