// A folder of its own, and a token file in it, for tests of who may do what.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "core/control/token_book.hpp"

namespace weir::control {

class Folder {
  public:
    Folder() {
        char name[] = "/tmp/weir-guard-XXXXXX";
        EXPECT_NE(::mkdtemp(name), nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + '/' + name; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline std::string read_whole(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}
inline void write_whole(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// One token of each role, named as its role.
inline std::map<std::string, std::string> make_tokens(const std::string& path) {
    std::map<std::string, std::string> tokens;
    for (const Role role : {Role::viewer, Role::operator_, Role::replayer, Role::admin}) {
        auto made = add_token(path, text(role), role);
        EXPECT_TRUE(made) << (made ? "" : made.error().what);
        tokens[std::string(text(role))] = made.value();
    }
    return tokens;
}

}  // namespace weir::control
