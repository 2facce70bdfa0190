// What README.md shows is what comes out.

#include <regex>

#include "common/host_test.hpp"

using host::shell;

TEST_SUITE_BEGIN("readme");

namespace {

// The outputs behind `$ command` in the README's console blocks, as lines.
std::vector<std::string> shown_for(const std::string& command) {
  std::vector<std::string> shown;
  bool on = false;
  for (const auto& line : host::lines(host::contents("README.md"))) {
    if (line == "```" || line.starts_with("$ ")) on = false;
    if (on) shown.push_back(line);
    if (line == "$ " + command) on = true;
  }
  return shown;
}

// Numbers differ from run to run and from host to host, and so does the file
// that holds the limit: it is another one on cgroup v1 than on v2.
std::string without_numbers(const std::string& line) {
  auto text = std::regex_replace(line, std::regex{"[0-9.]+"}, "0");
  text = std::regex_replace(text, std::regex{" +"}, " ");
  return std::regex_replace(text, std::regex{"cgroup/memory.*"},
                            "cgroup/memory");
}

}  // namespace

TEST_CASE("the table of the steps is what scripts/course makes of them") {
  const auto table = shell("scripts/course");
  CHECK(table.status == 0);
  CHECK(host::lines(table.out).size() == 10);
  CHECK(host::contents("README.md").find(table.out) != std::string::npos);
}

TEST_AS_ROOT("make run shows what the README shows") {
  const auto shown = shown_for("make run </dev/null");
  const auto real = host::lines(
      shell("scripts/run " + host::step(host::Caller::kRoot, "08-all")).out);
  REQUIRE(shown.size() > 10);
  REQUIRE(real.size() == shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i)
    CHECK(without_numbers(real[i]) == without_numbers(shown[i]));
}

TEST_CASE("every make target and file that the README names is there") {
  const auto readme = host::contents("README.md");
  const auto help = shell("make").out;
  const std::regex target{"make ([a-z]+[a-z-]*)"};
  for (std::sregex_iterator i{readme.begin(), readme.end(), target}, end;
       i != end; ++i)
    CHECK_MESSAGE(help.find("make " + (*i)[1].str()) != std::string::npos,
                  i->str());
  const std::regex link{"\\]\\(([^)]+)\\)"};
  for (std::sregex_iterator i{readme.begin(), readme.end(), link}, end;
       i != end; ++i)
    CHECK_MESSAGE(!host::contents((*i)[1].str()).empty(), i->str());
}

TEST_SUITE_END();
