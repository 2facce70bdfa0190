// A layer is one function, and from the step that introduces it on it stands in
// every later step, letter for letter: so whoever has read it once knows it.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "steps/tests/host.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("letters");

namespace {

// The functions and structs of a source file, each with the comment above it,
// by their first lines. Google style closes each with a brace of its own.
std::map<std::string, std::string> definitions(const std::string& text) {
  std::map<std::string, std::string> found;
  std::string block;
  std::string head;
  for (const auto& line : host::lines(text)) {
    const bool is_comment = line.starts_with("//");
    const bool begins = !line.empty() && !is_comment && line[0] != ' ' &&
                        line[0] != '}' && line[0] != '#';
    if (line.empty() && head.empty()) {
      block.clear();
      continue;
    }
    if (begins && head.empty()) head = line;
    block += line + "\n";
    if (line == "}" || line == "};") {
      found[head] = block;
      block.clear();
      head.clear();
    }
    if (line.starts_with("#") || line.starts_with("using")) {
      block.clear();
      head.clear();
    }
  }
  return found;
}

// main() and its parts call the layers, each step more of them.
bool is_of_main(const std::string& head) {
  return head.starts_with("int main(") ||
         head.starts_with("void claim_cgroups(") ||
         head.starts_with("void build_inside(");
}

std::vector<fs::path> steps() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator("steps"))
    if (entry.path().filename().string().starts_with('0'))
      folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

TEST_CASE("the layers are the same in every step that has them") {
  std::map<std::string, std::string> known;
  std::map<std::string, int> seen;
  const auto folders = steps();
  REQUIRE(folders.size() == 8);
  for (const auto& folder : folders) {
    for (const auto& [head, text] :
         definitions(host::contents(folder / "main.cpp"))) {
      if (is_of_main(head)) continue;
      CAPTURE(folder.string());
      ++seen[head];
      const auto before = known.emplace(head, text).first;
      CHECK(before->second == text);
    }
  }
  // One that is not found at all would be found everywhere the same.
  CHECK(seen["void change_root() {"] == 4);
  CHECK(seen["void mount_proc() {"] == 7);
  CHECK(seen["void map_ids(pid_t child) {"] == 6);
  CHECK(seen["void become_root() {"] == 6);
  CHECK(seen["void set_host_name(const std::string& name) {"] == 5);
  CHECK(seen["void mount_overlay() {"] == 4);
  CHECK(seen["void pivot_root() {"] == 4);
  CHECK(seen["Cable plug_cable(pid_t child) {"] == 3);
  CHECK(seen["sys::Ipv4 find_subnet(sys::Netlink& host, unsigned number) {"] ==
        3);
}

TEST_CASE("main() is a table of contents: it fits on a screen of 60 lines") {
  for (const auto& folder : steps()) {
    CAPTURE(folder.string());
    const auto found = definitions(host::contents(folder / "main.cpp"));
    const auto main = found.find("int main(int argc, char** argv) try {");
    REQUIRE(main != found.end());
    CHECK(host::lines(main->second).size() <= 60);
  }
}

TEST_CASE("no step takes a layer away, but for chroot, which pivot_root ends") {
  std::map<std::string, std::string> before;
  for (const auto& folder : steps()) {
    const auto now = definitions(host::contents(folder / "main.cpp"));
    for (const auto& [head, text] : before)
      if (head != "void change_root() {" && !is_of_main(head))
        CHECK(now.count(head) == 1);
    before = now;
  }
}

// One that ends in the middle takes all tests behind it with it:
// testing::first, last, nth, number and behind say what there was instead.
TEST_CASE("no test takes for granted what a program prints") {
  const auto found = host::shell(
      "grep -nE '[)][.](front|back)[(][)]|std::sto[a-z]+[(]|ato[il][(]' "
      "common/*_test.cpp common/*/*_test.cpp steps/*/test.cpp "
      "steps/*/*_test.cpp steps/tests/host.cpp steps/*/tests/*_test.cpp");
  CHECK(found.out == "");
  CHECK(found.err == "");
}

TEST_SUITE_END();
