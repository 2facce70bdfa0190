// Devices. Their nodes are files. Which devices a process may open is a matter
// of its cgroup. On v2, the kernel asks a program of ours at every mknod(2) and
// open(2): see bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE. v1 has files for the rules.

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "common/file.hpp"
#include "steps/oci/layers.hpp"

namespace {

const std::map<std::string, mode_t> kTypes{
    {"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};

// Of rules: 0 stands for both kinds.
const std::map<std::string, int> kKinds{
    {"a", 0}, {"b", BPF_DEVCG_DEV_BLOCK}, {"c", BPF_DEVCG_DEV_CHAR}};
const std::map<char, int> kAccesses{{'m', BPF_DEVCG_ACC_MKNOD},
                                    {'r', BPF_DEVCG_ACC_READ},
                                    {'w', BPF_DEVCG_ACC_WRITE}};

// Every container may make nodes of all kinds, and use terminals.
const Json kRules = Json::parse(R"([
  {"allow": true, "type": "c", "access": "m"},
  {"allow": true, "type": "b", "access": "m"},
  {"allow": true, "type": "c", "major": 5, "minor": 1},
  {"allow": true, "type": "c", "major": 5, "minor": 2},
  {"allow": true, "type": "c", "major": 136}])");

std::uint64_t mount_of(int directory, const char* path) {
  struct statx found {};
  sys::check(::statx(directory, path, AT_EMPTY_PATH, STATX_MNT_ID, &found),
             "statx(2) {}", path);
  return found.stx_mnt_id;
}

void make_device(const Json& device) {
  const auto path = need<std::string>(device, "/path");
  const auto type = kTypes.find(need<std::string>(device, "/type"));
  if (type == kTypes.end() || !path.starts_with('/'))
    refuse_config("the device {} is not supported", device.dump());
  const auto number = type->second == S_IFIFO
                          ? 0
                          : makedev(need<unsigned>(device, "/major"),
                                    need<unsigned>(device, "/minor"));
  open_place(path.substr(0, path.rfind('/') + 1), true);
  struct stat found {};
  if (::lstat(path.c_str(), &found) == -1 || found.st_rdev != number ||
      (found.st_mode & S_IFMT) != type->second)
    sys::check(::mknod(path.c_str(), type->second, number), "mknod(2) {}",
               path);
  sys::check(::chmod(path.c_str(), get<mode_t>(device, "/fileMode", 0666)),
             "chmod(2) {}", path);  // Whatever the umask is.
  sys::check(::lchown(path.c_str(), get<uid_t>(device, "/uid", 0),
                      get<gid_t>(device, "/gid", 0)),
             "lchown(2) {}", path);
}

// Whether /dev is a part of the image or a new file system. Anything else is a
// bind, of the host's /dev perhaps, and nothing is ours to change there.
bool is_ours(const std::vector<Mount>& mounts) {
  const auto dev = mount_of(AT_FDCWD, "/dev");
  return dev == mount_of(AT_FDCWD, "/") ||
         std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) {
           return !mount.is_bind && mount_of(mount.tree.get(), "") == dev;
         });
}

// A rule about devices. -1 stands for any number, and "a" for both types.
struct Rule {
  explicit Rule(const Json& json)
      : allow{need<bool>(json, "/allow")},
        type{get<std::string>(json, "/type", "a")},
        access{get<std::string>(json, "/access", "rwm")},
        major{get(json, "/major", -1)},
        minor{get(json, "/minor", -1)} {
    if (!kKinds.contains(type) || access.empty() ||
        access.find_first_not_of("rwm") != access.npos)
      refuse_config("the rule for devices {} is not supported", json.dump());
  }
  bool allow;
  std::string type, access;
  int major, minor;
};

// The rules of a container. What it has in any case comes after its own rules,
// because the last rule that fits decides.
std::vector<Rule> rules_of(const Json& config) {
  std::vector<Rule> rules;
  for (const Json& list :
       {at(config, "/linux/resources/devices"), kRules, default_devices()})
    for (const Json& rule : list) rules.emplace_back(rule);
  return rules;
}

using Instructions = std::vector<bpf_insn>;

bpf_insn step(int code, unsigned to, unsigned from, int value, int offset = 0) {
  bpf_insn made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = to & 0xfU;
  made.src_reg = from & 0xfU;
  made.off = static_cast<__s16>(offset);
  made.imm = value;
  return made;
}

// Register 2 has the kind of device, 3 the access, 4 and 5 the numbers. Where a
// rule does not fit, a comparison jumps over its answer to the next rule.
void append(Instructions& program, const Rule& rule) {
  const int kind = kKinds.at(rule.type);
  int named = 0;
  for (const char c : rule.access) named |= kAccesses.at(c);
  struct Part {
    unsigned from;
    int mask, jump, value;
  };
  // A rule allows an access that wants nothing else, and denies one that wants
  // any of it. A mask of 0 stands for all numbers.
  const Part parts[] = {
      {BPF_REG_3, rule.allow ? 7 & ~named : named,
       rule.allow ? BPF_JNE : BPF_JEQ, 0},
      {BPF_REG_2, kind == 0 ? 0 : 7, BPF_JNE, kind},
      {BPF_REG_4, rule.major == -1 ? 0 : -1, BPF_JNE, std::max(rule.major, 0)},
      {BPF_REG_5, rule.minor == -1 ? 0 : -1, BPF_JNE, std::max(rule.minor, 0)}};
  int left = 3 * 4 + 2;
  for (const auto& [from, mask, jump, value] : parts) {
    program.push_back(step(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, from, 0));
    program.push_back(step(BPF_ALU | BPF_AND, BPF_REG_1, 0, mask));
    left -= 3;
    program.push_back(step(BPF_JMP | jump, BPF_REG_1, 0, value, left));
  }
  program.push_back(step(BPF_ALU64 | BPF_MOV, BPF_REG_0, 0, rule.allow));
  program.push_back(step(BPF_JMP | BPF_EXIT, 0, 0, 0));
}

// The last rule is asked first. At the end, all is denied.
Instructions make_program(const std::vector<Rule>& rules) {
  constexpr int kLoad = BPF_LDX | BPF_MEM | BPF_W;
  Instructions program{
      step(kLoad, BPF_REG_2, BPF_REG_1, 0,
           offsetof(bpf_cgroup_dev_ctx, access_type)),
      step(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0),
      step(BPF_ALU | BPF_RSH, BPF_REG_3, 0, 16),
      step(kLoad, BPF_REG_4, BPF_REG_1, 0, offsetof(bpf_cgroup_dev_ctx, major)),
      step(kLoad, BPF_REG_5, BPF_REG_1, 0,
           offsetof(bpf_cgroup_dev_ctx, minor))};
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule)
    append(program, *rule);
  program.push_back(step(BPF_ALU64 | BPF_MOV, BPF_REG_0, 0, 0));
  program.push_back(step(BPF_JMP | BPF_EXIT, 0, 0, 0));
  return program;
}

// v1: "c 1:3 rwm" is written to one of two files. After "a", the kernel reads
// no more.
void write_rules(const std::string& allow, const std::vector<Rule>& rules) {
  const auto deny = allow.substr(0, allow.rfind('/')) + "/devices.deny";
  const auto text = [](int number) {
    return number == -1 ? "*" : std::to_string(number);
  };
  for (const auto& rule : rules)
    sys::write_file(rule.allow ? allow : deny,
                    sys::format("{} {}:{} {}", rule.type, text(rule.major),
                                text(rule.minor), rule.access));
}

}  // namespace

const Json& default_devices() {
  static const Json devices = Json::parse(R"([
    {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "allow": true},
    {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "allow": true},
    {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "allow": true},
    {"path": "/dev/random", "type": "c", "major": 1, "minor": 8, "allow": true},
    {"path": "/dev/urandom", "type": "c", "major": 1, "minor": 9, "allow": true},
    {"path": "/dev/tty", "type": "c", "major": 5, "minor": 0, "allow": true}])");
  return devices;
}

void make_devices(const Json& config, const std::vector<Mount>& mounts) {
  sys::Fd{open_place("/dev", true)};
  const bool is_filled = is_ours(mounts);
  if (is_filled && !makes_namespace(config, "user"))
    for (const Json& device : default_devices()) make_device(device);
  for (const Json& device : at(config, "/linux/devices")) make_device(device);
  if (!is_filled) return;
  (void)::unlink("/dev/ptmx");  // One of the host makes terminals of the host.
  for (const auto& [target, path] : {std::pair{"/proc/self/fd", "/dev/fd"},
                                     {"/proc/self/fd/0", "/dev/stdin"},
                                     {"/proc/self/fd/1", "/dev/stdout"},
                                     {"/proc/self/fd/2", "/dev/stderr"},
                                     {"pts/ptmx", "/dev/ptmx"}})
    if (::symlink(target, path) == -1 && errno != EEXIST)
      throw sys::Error{errno, sys::format("symlink(2) {}", path)};
}

void limit_devices(const Json& config, const std::vector<std::string>& groups) {
  if (at(config, "/linux/resources/devices").empty()) return;
  const auto rules = rules_of(config);
  const auto file = find_file(groups, "devices.allow", "cgroup.controllers");
  if (file.ends_with("devices.allow")) return write_rules(file, rules);
  const auto program = make_program(rules);
  // NOLINTBEGIN(*-union-access, *-reinterpret-cast): bpf(2) wants them.
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<__u64>(program.data());
  load.insn_cnt = static_cast<__u32>(program.size());
  load.license = reinterpret_cast<__u64>("MIT");
  const sys::Fd loaded{static_cast<int>(
      sys::check(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load),
                 "bpf(2) BPF_PROG_LOAD: rules for devices"))};
  const sys::Fd group = open_file(groups.back(), O_RDONLY | O_DIRECTORY);
  bpf_attr attach{};
  attach.target_fd = static_cast<__u32>(group.get());
  attach.attach_bpf_fd = static_cast<__u32>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  // NOLINTEND(*-union-access, *-reinterpret-cast)
  sys::check(::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach),
             "bpf(2) BPF_PROG_ATTACH to {}", groups.back());
}
