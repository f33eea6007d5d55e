#include <cerrno>

#include "core/io/epoll_io.hpp"
#include "core/io/io.hpp"
#include "core/io/uring_io.hpp"

namespace weir::io {

Result<IoChoice> parse_io_choice(std::string_view text) {
    if (text == "auto") return IoChoice::automatic;
    if (text == "uring") return IoChoice::uring;
    if (text == "epoll") return IoChoice::epoll;
    return Error{EINVAL, "io '" + std::string(text) + "': must be auto, uring or epoll"};
}

Result<std::unique_ptr<Io>> make_io(IoChoice choice, const IoOptions& options) {
    if (choice == IoChoice::epoll) return make_epoll_io(options);
    auto uring = make_uring_io(options);
    if (uring.ok() || choice == IoChoice::uring) return uring;
    return make_epoll_io(options);  // refused here (old kernel, seccomp, limits): the same contract without it
}

}  // namespace weir::io
