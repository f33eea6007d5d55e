// Ring restrictions: an io_uring that may do the operations named here and no others, whoever gets to write into it.
//
// Thread    The one that made the ring, before it is enabled.
// Source    io_uring_register(2), IORING_REGISTER_RESTRICTIONS (Linux 5.10).
#pragma once

namespace weir::io {

// `ring_fd` was made with IORING_SETUP_R_DISABLED and is not enabled yet. 0, or -errno; -EINVAL where the kernel has none of this.
[[nodiscard]] int restrict_ring(int ring_fd) noexcept;
// Such a ring's begin, by the thread that will use it: 0, or -errno. (Some liburings declare a call for it and have none.)
[[nodiscard]] int enable_ring(int ring_fd) noexcept;

}  // namespace weir::io
