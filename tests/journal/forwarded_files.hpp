// ForwardedFiles: the kernel's files, to be spoilt in one place by a test.
#pragma once

#include "core/io/files.hpp"

namespace weir::journal {

class ForwardedFiles : public io::Files {
  public:
    int open(const std::string& path, int flags) override { return kernel_.open(path, flags); }
    void close(int handle) override { kernel_.close(handle); }
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        return kernel_.read(handle, bytes, offset);
    }
    std::int64_t write(int handle, ConstBytes bytes, std::uint64_t offset) override {
        return kernel_.write(handle, bytes, offset);
    }
    int sync(int handle) override { return kernel_.sync(handle); }
    int truncate(int handle, std::uint64_t bytes) override { return kernel_.truncate(handle, bytes); }
    int allocate(int handle, std::uint64_t bytes) override { return kernel_.allocate(handle, bytes); }
    std::uint64_t size(int handle) override { return kernel_.size(handle); }
    int lock(int handle) override { return kernel_.lock(handle); }
    int rename(const std::string& from, const std::string& to) override { return kernel_.rename(from, to); }
    int unlink(const std::string& path) override { return kernel_.unlink(path); }
    int make_directory(const std::string& path) override { return kernel_.make_directory(path); }
    bool exists(const std::string& path) override { return kernel_.exists(path); }
    bool is_directory(const std::string& path) override { return kernel_.is_directory(path); }
    int list(const std::string& path, std::vector<std::string>& names) override { return kernel_.list(path, names); }
    int try_apart(const std::function<void()>& work, std::uint32_t ms_max) override {
        return kernel_.try_apart(work, ms_max);
    }
    int random(Bytes bytes) override { return kernel_.random(bytes); }

  private:
    io::Files& kernel_ = io::files();
};

}  // namespace weir::journal
