// What takes the compiler longest. It is compiled once, for the programs of
// learners, who wait at each save.

#include <fmt/format.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <vector>
