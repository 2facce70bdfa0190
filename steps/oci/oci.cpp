// oci: the layers of step 08, as Podman, containerd and Kubernetes call them.
// At work, use runc(8) or crun(1).
//
//   usage   build/oci [--root DIR] create|start|state|kill|delete|exec|update|
//           pause|resume ID ...
//   who     root
//   new     a config.json decides what 08 decides itself; to make a container
//           and to start it are two commands
//   try     podman --runtime $PWD/build/oci run --rm -it IMAGE
//   open    few engines ask for a user namespace, and without one, root in the
//           container is root on the host

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>

#include "common/diagnosis/causes.hpp"
#include "common/file.hpp"
#include "common/process.hpp"
#include "steps/oci/layers.hpp"

// The child moves itself through files that the parent has opened. The kernel
// reads 0 as the process that writes it.
void join_cgroups(const std::vector<sys::Fd>& files) {
  for (const auto& file : files)
    sys::check(::write(file.get(), "0", 1),
               "write(2) to cgroup.procs: join a cgroup");
}

void write_pid(const sys::Fd& pid_file, pid_t pid) {
  if (pid_file.get() != -1)
    sys::check(::dprintf(pid_file.get(), "%d", pid),
               "write(2) {} to the file of --pid-file", pid);
}

void set_oom_score(const Json& process, pid_t pid) {
  if (!at(process, "/oomScoreAdj").is_null())
    sys::write_file(sys::format("/proc/{}/oom_score_adj", pid),
                    sys::format("{}", need<int>(process, "/oomScoreAdj")));
}

// ---- The commands -----------------------------------------------------------

// Makes a container that waits at a FIFO.
void create(Container& container, const Words& words) {
  const auto bundle =
      std::filesystem::canonical(words.value("--bundle", ".")).string();
  container.make(read_config(bundle + "/config.json", ""), bundle);
  const sys::Defer undo{[&] {
    if (std::uncaught_exceptions() != 0) container.remove();
  }};
  const Json& config = container.config();
  const Json& process = at(config, "/process");
  const auto groups = name_cgroups(config);
  make_cgroups(groups);
  container.save(0);
  limit_resources(at(config, "/linux/resources"), groups);
  limit_devices(config, groups);
  const auto cgroups = open_cgroups(groups);
  const auto console = connect_console(process, words);
  const auto pid_file = words.open("--pid-file", O_TRUNC);
  const sys::Fd fifo = open_file(container.start_fifo(), O_RDONLY | O_NONBLOCK);

  sys::Gate gate;
  std::optional<Visit> visit{std::in_place, config};
  // The cgroup namespace comes later: its root is the cgroup in which it is
  // made.
  const int flags = namespaces(config, true) & ~CLONE_NEWCGROUP;
  sys::Child child = sys::clone(static_cast<std::uint64_t>(flags), [&] {
    ::umask(022);
    join_cgroups(cgroups);
    if (!words.has("--no-new-keyring")) leave_keys();
    gate.wait();  // Until the maps of ids are written.
    become_root(config);
    set_up_namespaces(config);
    enter_root(config, bundle);
    const auto mounts = make_mounts(config, bundle);
    pivot_root();
    for (const auto& mount : mounts) place(mount);
    make_devices(config, mounts);
    hide_paths(texts(config, "/linux/maskedPaths"),
               texts(config, "/linux/readonlyPaths"));
    leave_session(process, console, true);
    finish_root(config);
    const auto execute = prepare(process, config);

    sys::check(::prctl(PR_SET_PDEATHSIG, 0), "prctl(2) PR_SET_PDEATHSIG 0");
    leave_descriptors(fifo.get());  // Without a pipe to us, `create` goes on.
    pollfd start{fifo.get(), POLLIN, 0};
    (void)::poll(&start, 1, -1);
    try {
      execute();
    } catch (const std::exception& error) {
      ::_exit(sys::report(error));
    }
  });
  visit.reset();
  map_ids(config, child.pid());
  set_oom_score(process, child.pid());
  container.save(child.pid());
  run_hooks(container, "prestart");
  run_hooks(container, "createRuntime");
  gate.open();
  child.let_go();
  container.must_be("created");
  write_pid(pid_file, container.pid());
}

// Writes the byte for which the container waits.
void start(const Container& container) {
  container.must_be("created");
  need<std::string>(container.config(), "/process/args/0");
  const auto path = container.start_fifo();
  const sys::Fd fifo = open_file(path, O_WRONLY | O_NONBLOCK);
  sys::check(::write(fifo.get(), "!", 1), "write(2) to {}", path);
  sys::check(::unlink(path.c_str()), "unlink(2) {}", path);
  pollfd end{fifo.get(), 0, 0};
  (void)::poll(&end, 1, -1);  // Until execve(2) closes the other end.
  run_hooks(container, "poststart");
}

// "9", "KILL" and "SIGKILL" are the same.
int signal_number(std::string name) {
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* const known = ::sigabbrev_np(signal);
    if (name == std::to_string(signal) || (known != nullptr && name == known))
      return signal;
  }
  throw std::invalid_argument{"there is no signal " + name};
}

void kill(const Container& container, const std::string& name, bool to_all) {
  const int signal = signal_number(name);
  if (to_all) {
    for (const pid_t pid : members(container.cgroups())) ::kill(pid, signal);
    return;
  }
  const auto process = container.open_process();
  if (process.get() == -1)
    throw std::runtime_error{"container not running: no such process"};
  sys::check(
      ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0),
      "pidfd_send_signal(2) {}", signal);
}

void destroy(const Container& container, bool by_force) {
  if (!by_force) container.must_be("stopped");
  const auto process = container.open_process();
  container.remove();
  pollfd end{process.get(), POLLIN, 0};
  if (process.get() != -1) (void)::poll(&end, 1, -1);
  run_hooks(container, "poststop");
}

// Does what build/enter does. Another file describes what runs.
int exec(const Container& container, const Words& words) {
  container.must_be("created or running");
  const Json& config = container.config();
  const Json process = read_config(words.value("--process"), "/process");
  need<std::string>(process, "/args/0");
  const auto console = connect_console(process, words);
  const auto pid_file = words.open("--pid-file", O_TRUNC);  // Of the host.
  const auto cgroups = open_cgroups(container.cgroups());
  leave_keys();
  set_oom_score(process, ::getpid());  // The child inherits it.
  const sys::Signals signals;
  sys::keep_host();  // Hints of later errors are about the host.
  sys::check(::setns(container.open_process().get(), namespaces(config, false)),
             "setns(2) to the namespaces of process {}", container.pid());
  sys::Child child = sys::clone(0, [&] {
    ::umask(022);
    join_cgroups(cgroups);
    become_root(config);
    leave_session(process, console, false);
    const auto execute = prepare(process, config);
    if (words.has("--detach"))
      sys::check(::prctl(PR_SET_PDEATHSIG, 0), "prctl(2) PR_SET_PDEATHSIG 0");
    leave_descriptors();
    execute();
  });
  write_pid(pid_file, child.pid());
  if (!words.has("--detach")) return child.wait();
  child.let_go();
  return 0;
}

// Changes the limits of a container that is there.
void update(Container& container, const Words& words) {
  container.must_be("created, running or paused");
  const auto file = words.value("--resources", "-");
  container.change(
      read_config(file == "-" ? "/dev/stdin" : file, "/linux/resources"));
  limit_resources(at(container.config(), "/linux/resources"),
                  container.cgroups());
  container.save(container.pid());
}

void pause(const Container& container, bool is_paused) {
  container.must_be(is_paused ? "running" : "paused");
  container.freeze(is_paused);
}

// ---- The program -----------------------------------------------------------

int obey(const Words& words, char** argv) {
  if (words.has("--version")) {
    std::cout << "oci version 1\nspec: " << kSpecification << '\n';
    return 0;
  }
  if (words.plain.size() < 2)
    throw std::invalid_argument{
        "usage: oci create|start|state|kill|delete|exec|update|pause|resume|ps "
        "ID ..."};
  const auto& command = words.plain[0];
  const auto signal = words.plain.size() > 2 ? words.plain[2] : "TERM";
  const bool by_force = words.has("--force");
  Container container{words.value("--root", "/run/oci"), words.plain[1]};
  int status = 0;
  const std::map<std::string, std::function<void()>> commands{
      {"create", [&] { create(container, words); }},
      {"start", [&] { start(container); }},
      {"state", [&] { std::cout << container.state().dump(2) << '\n'; }},
      {"kill", [&] { kill(container, signal, words.has("--all")); }},
      {"delete", [&] { destroy(container, by_force); }},
      {"exec", [&] { status = exec(container, words); }},
      {"update", [&] { update(container, words); }},
      {"pause", [&] { pause(container, true); }},
      {"resume", [&] { pause(container, false); }},
      {"ps", [&] { std::cout << Json(members(container.cgroups())) << '\n'; }}};
  if (!commands.contains(command))
    throw std::invalid_argument{"there is no command " + command};
  if (command == "delete" && by_force && !container.exists()) return 0;
  if (command == "create" || command == "exec") run_from_a_copy(argv);
  if (command != "create") container.load();
  commands.at(command)();
  return status;
}

int main(int argc, char** argv) {
  sys::Fd log;  // Opened before `exec` leaves the mount namespace of the host.
  try {
    const Words words{argc, argv};
    log = words.open("--log", O_APPEND);
    return obey(words, argv);
  } catch (const std::exception& error) {
    const auto message = sys::json_string(error.what());
    (void)::dprintf(log.get(), "{\"level\": \"error\", \"msg\": %s}\n",
                    message.c_str());
    return sys::report(error);
  }
}
