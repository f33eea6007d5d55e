#include "core/io/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <cstdio>

namespace weir::io {
namespace {

constexpr std::uint32_t trial_step_ms = 5;

class KernelFiles final : public Files {
  public:
    int open(const std::string& path, int flags) override { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); }
    void close(int handle) override { ::close(handle); }
    std::int64_t read(int handle, Bytes bytes, std::uint64_t offset) override {
        return ::pread(handle, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    }
    std::int64_t write(int handle, ConstBytes bytes, std::uint64_t offset) override {
        return ::pwrite(handle, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    }
    int sync(int handle) override { return ::fsync(handle); }
    int truncate(int handle, std::uint64_t bytes) override { return ::ftruncate(handle, static_cast<off_t>(bytes)); }
    int allocate(int handle, std::uint64_t bytes) override {
        return ::fallocate(handle, 0, 0, static_cast<off_t>(bytes));
    }
    std::uint64_t size(int handle) override {
        struct stat info {};
        return ::fstat(handle, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
    }
    int lock(int handle) override { return ::flock(handle, LOCK_EX | LOCK_NB); }
    int rename(const std::string& from, const std::string& to) override {
        return std::rename(from.c_str(), to.c_str());
    }
    int unlink(const std::string& path) override { return ::unlink(path.c_str()); }
    int make_directory(const std::string& path) override { return ::mkdir(path.c_str(), 0700); }
    bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }
    bool is_directory(const std::string& path) override {
        struct stat info {};
        return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    }
    int list(const std::string& path, std::vector<std::string>& names) override {
        DIR* open = ::opendir(path.c_str());
        if (open == nullptr) return -1;
        while (const dirent* entry = ::readdir(open)) names.emplace_back(entry->d_name);
        ::closedir(open);
        return 0;
    }
    void drop_cache(int handle) override { static_cast<void>(::posix_fadvise(handle, 0, 0, POSIX_FADV_DONTNEED)); }
    int try_apart(const std::function<void()>& work, std::uint32_t ms_max) override {
        const pid_t parent = ::getpid();
        const pid_t child = ::fork();
        if (child < 0) return 0;
        if (child == 0) {
            // It has the directory's lock too: were it to outlive this process, the next start would be refused.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(0);
            work();
            ::_exit(0);
        }
        int status = 0;
        for (std::uint32_t waited_ms = 0; ::waitpid(child, &status, WNOHANG) == 0; waited_ms += trial_step_ms) {
            if (waited_ms >= ms_max) {
                ::kill(child, SIGKILL);
                ::waitpid(child, &status, 0);
                return 0;
            }
            ::usleep(trial_step_ms * 1000);
        }
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    int random(Bytes bytes) override {
        return ::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()) ? 0 : -1;
    }
};

KernelFiles kernel_files;
thread_local Files* current = &kernel_files;

}  // namespace

Files& files() noexcept {
    return *current;
}

UseFiles::UseFiles(Files& replacement) noexcept : before_(current) {
    current = &replacement;
}
UseFiles::~UseFiles() {
    current = before_;
}

}  // namespace weir::io
