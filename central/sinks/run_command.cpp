#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "central/sinks/sink.hpp"

namespace weir::central {
namespace {

constexpr const char* environment_path = "PATH=/usr/local/bin:/usr/bin:/bin";

class Handle {
  public:
    explicit Handle(int handle) : handle_(handle) {}
    ~Handle() {
        if (handle_ >= 0) ::close(handle_);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    [[nodiscard]] int get() const { return handle_; }

  private:
    int handle_;
};

// A group of its own, no signal blocked or ignored as they are here, nothing open but what `input` gives.
int spawn(const std::vector<std::string>& command, int input, pid_t& child) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    char* environment[] = {const_cast<char*>(environment_path), nullptr};
    const int code = ::posix_spawn(&child, command.front().c_str(), &files, &attributes, arguments.data(), environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

}  // namespace

Status run_command(const std::vector<std::string>& command, std::string_view input, std::uint64_t ms_max) {
    const std::string& program = command.front();
    // A file in memory: nobody waits for the command to read it, and it may well not.
    const Handle file(::memfd_create("alerts", MFD_CLOEXEC));
    if (file.get() < 0) return error_from_errno(errno, program);
    while (!input.empty()) {
        const auto written = ::write(file.get(), input.data(), input.size());
        if (written <= 0) return error_from_errno(errno, program);
        input.remove_prefix(static_cast<std::size_t>(written));
    }
    ::lseek(file.get(), 0, SEEK_SET);
    pid_t child = 0;
    if (const int code = spawn(command, file.get(), child); code != 0) return error_from_errno(code, program);
    const Handle ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    pollfd wait{ended.get(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&wait, 1, static_cast<int>(ms_max));
    } while (ready < 0 && errno == EINTR);
    ::kill(-child, SIGKILL);  // what it started goes with it, ended or not
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (ready <= 0) return Error{ETIMEDOUT, program + ": took more than " + std::to_string(ms_max) + " ms"};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Done{};
    return Error{0, program + ": ended with " +
                        (WIFEXITED(status) ? std::to_string(WEXITSTATUS(status))
                                           : "signal " + std::to_string(WTERMSIG(status)))};
}

}  // namespace weir::central
