// FileThread: does EpollIo's file operations, one after another, on a thread of its own, so that a write that waits for the disk
// does not stop the network.
//
// Thread    submit and take_finished: the runner that owns the EpollIo. The work: one thread inside.
// Pressure  At most operations_max under way: the caller's bound.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "core/io/io.hpp"
#include "core/io/thread_bell.hpp"
#include "core/ring/ring.hpp"

namespace weir::io {

struct FileOperation {
    Token token;
    Op op = Op::write;
    int fd = -1;
    std::byte* bytes = nullptr;
    std::size_t count = 0;
    std::uint64_t offset = 0;
    std::span<const iovec> parts;  // of a gathered write, instead of `bytes`
    std::int32_t result = 0;
};

class FileThread {
  public:
    // `wake_fd`: an eventfd that is rung after each finished operation.
    FileThread(std::size_t operations_max, int wake_fd);
    ~FileThread();
    FileThread(const FileThread&) = delete;
    FileThread& operator=(const FileThread&) = delete;
    void submit(const FileOperation& operation);
    template <class Take>
    std::size_t take_finished(Take&& take) {
        return finished_reader_.consume_all(std::forward<Take>(take));
    }

  private:
    void run();
    Ring<FileOperation> todo_;
    Ring<FileOperation> finished_;
    RingWriter<FileOperation> todo_writer_;
    RingReader<FileOperation> todo_reader_;
    RingWriter<FileOperation> finished_writer_;
    RingReader<FileOperation> finished_reader_;
    int wake_fd_;
    ThreadBell bell_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace weir::io
