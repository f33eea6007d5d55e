// Golden bytes: what a format looked like when it was fixed. Tests read them; WEIR_WRITE_GOLDEN=1 writes those that are missing.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/base/types.hpp"

namespace weir::golden {

inline std::vector<std::byte> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const ConstBytes bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

// The bytes of golden file `name`, after checking that `ours` equals them. The working directory is the repository.
inline std::vector<std::byte> expect_golden(const std::string& name, ConstBytes ours) {
    const std::filesystem::path path = "tests/wire/golden/" + name + ".bin";
    if (std::getenv("WEIR_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(path)) {
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char*>(ours.data()), static_cast<std::streamsize>(ours.size()));
    }
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
    std::vector<std::byte> golden = read_file(path);
    EXPECT_TRUE(std::ranges::equal(golden, ours)) << name << ": what is written today differs from " << path;
    return golden;
}

}  // namespace weir::golden
