#include "core/io/file_thread.hpp"

#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "core/io/gathered.hpp"

namespace weir::io {
namespace {

// Once, from where `moved` bytes have gone already.
ssize_t transfer(const FileOperation& operation, std::size_t moved) noexcept {
    const auto at = static_cast<off_t>(operation.offset + moved);
    const std::size_t left = operation.count - moved;
    if (operation.op == Op::read) return ::pread(operation.fd, operation.bytes + moved, left, at);
    if (operation.parts.empty()) return ::pwrite(operation.fd, operation.bytes + moved, left, at);
    if (moved == 0)
        return ::pwritev(operation.fd, operation.parts.data(), static_cast<int>(operation.parts.size()), at);
    const ConstBytes rest = rest_of_part(operation.parts, moved);
    return ::pwrite(operation.fd, rest.data(), rest.size(), at);
}

std::int32_t transfer_all(const FileOperation& operation) noexcept {
    std::size_t moved = 0;
    while (moved < operation.count) {
        const ssize_t some = transfer(operation, moved);
        if (some < 0 && errno == EINTR) continue;
        if (some < 0) return -errno;
        if (some == 0) break;
        moved += static_cast<std::size_t>(some);
        if (operation.op == Op::read) break;
    }
    if (operation.op == Op::write && moved < operation.count) return -EIO;
    return static_cast<std::int32_t>(moved);
}

std::int32_t execute(const FileOperation& operation) noexcept {
    if (operation.op == Op::sync) return ::fdatasync(operation.fd) == 0 ? 0 : -errno;
    return transfer_all(operation);
}

}  // namespace

FileThread::FileThread(std::size_t operations_max, int wake_fd)
    : todo_(operations_max),
      finished_(operations_max),
      todo_writer_(todo_.take_writer()),
      todo_reader_(todo_.take_reader()),
      finished_writer_(finished_.take_writer()),
      finished_reader_(finished_.take_reader()),
      wake_fd_(wake_fd),
      thread_([this] { run(); }) {}

FileThread::~FileThread() {
    stopping_.store(true, std::memory_order_release);  // pairs with the acquire in run()
    bell_.ring();
    thread_.join();
}

void FileThread::submit(const FileOperation& operation) {
    WEIR_ASSERT(todo_writer_.publish(operation));
    bell_.ring();
}

void FileThread::run() {
    for (;;) {
        const bool is_last = stopping_.load(std::memory_order_acquire);  // pairs with the release in the destructor
        const std::size_t done = todo_reader_.consume_all([this](FileOperation operation) {
            operation.result = execute(operation);
            WEIR_ASSERT(finished_writer_.publish(operation));
            const std::uint64_t one = 1;
            [[maybe_unused]] const auto ignored = ::write(wake_fd_, &one, sizeof one);
        });
        if (done > 0) continue;
        if (is_last) return;
        bell_.prepare_sleep();
        if (!todo_reader_.is_empty() || stopping_.load(std::memory_order_relaxed)) {
            bell_.end_sleep();
        } else {
            bell_.sleep(never);
        }
    }
}

}  // namespace weir::io
