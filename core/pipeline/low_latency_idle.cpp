#include "core/pipeline/low_latency_idle.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace weir {

Result<LowLatencyIdle> LowLatencyIdle::hold(const std::string& device) {
    const int file = ::open(device.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return error_from_errno(errno, "open " + device);
    const std::int32_t latency_us = 0;
    if (::write(file, &latency_us, sizeof latency_us) != static_cast<ssize_t>(sizeof latency_us)) {
        const Error error = error_from_errno(errno, "write " + device);
        ::close(file);
        return error;
    }
    return LowLatencyIdle(file);
}

LowLatencyIdle::~LowLatencyIdle() {
    if (file_ >= 0) ::close(file_);
}

}  // namespace weir
