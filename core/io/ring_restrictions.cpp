#include "core/io/ring_restrictions.hpp"

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace weir::io {
namespace {

// What UringIo puts into its ring.
constexpr std::array opcodes{IORING_OP_READ,  IORING_OP_WRITE,  IORING_OP_WRITEV,
                             IORING_OP_FSYNC, IORING_OP_ACCEPT, IORING_OP_CONNECT,
                             IORING_OP_RECV,  IORING_OP_SEND,   IORING_OP_ASYNC_CANCEL};
// What liburing does at a ring's end.
constexpr std::array registrations{IORING_UNREGISTER_RING_FDS, IORING_UNREGISTER_PBUF_RING};

io_uring_restriction restriction(std::uint16_t kind) {
    io_uring_restriction made{};
    made.opcode = kind;
    return made;
}

}  // namespace

int restrict_ring(int ring_fd) noexcept {
    std::array<io_uring_restriction, opcodes.size() + registrations.size() + 1> all{};
    std::size_t count = 0;
    for (const auto opcode : opcodes) {
        all[count] = restriction(IORING_RESTRICTION_SQE_OP);
        all[count++].sqe_op = static_cast<std::uint8_t>(opcode);
    }
    for (const auto opcode : registrations) {
        all[count] = restriction(IORING_RESTRICTION_REGISTER_OP);
        all[count++].register_op = static_cast<std::uint8_t>(opcode);
    }
    all[count] = restriction(IORING_RESTRICTION_SQE_FLAGS_ALLOWED);
    all[count++].sqe_flags = IOSQE_BUFFER_SELECT;
    return ::syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, all.data(), count) == 0 ? 0 : -errno;
}

int enable_ring(int ring_fd) noexcept {
    return ::syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0 ? 0 : -errno;
}

}  // namespace weir::io
