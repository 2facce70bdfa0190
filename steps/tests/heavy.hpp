// What takes the compiler longest. The Makefile has it compiled once, for tests and for the programs
// of learners, who wait at each save.

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>
