#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bench/limits/limits.hpp"

namespace weir::limits {
namespace {

constexpr std::size_t file_bytes = 256U << 20;  // then from the beginning again: every block is written already
constexpr std::size_t fill_bytes = 4U << 20;
constexpr std::size_t alignment = 4096;
constexpr unsigned depth_max = 4;

struct Appends {
    std::vector<std::uint64_t> took_ns;
    double bytes_per_second = 0;
};

class DurableFile {
  public:
    explicit DurableFile(const std::string& directory)
        : path_(directory + "/weir-limits." + std::to_string(::getpid())) {
        memory_.reset(static_cast<char*>(std::aligned_alloc(alignment, fill_bytes)));
        std::memset(memory_.get(), 0x5a, fill_bytes);
        const int fd = ::open(path_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) die("open");
        for (std::size_t at = 0; at < file_bytes; at += fill_bytes) {
            if (::pwrite(fd, memory_.get(), fill_bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(fill_bytes))
                die("write");
        }
        if (::fsync(fd) != 0) die("fsync");
        ::close(fd);
        fd_ = ::open(path_.c_str(), O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
        if (fd_ < 0) die("open for direct writes");
    }
    ~DurableFile() {
        ::close(fd_);
        ::unlink(path_.c_str());
    }
    DurableFile(const DurableFile&) = delete;
    DurableFile& operator=(const DurableFile&) = delete;

    // Writes of `bytes`, `depth` at a time, each begun when one before it is on the disk.
    [[nodiscard]] Appends append(std::size_t bytes, unsigned depth, double seconds) {
        io_uring ring{};
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        if (const int failed = ::io_uring_queue_init_params(2 * depth_max, &ring, &params); failed < 0) {
            errno = -failed;
            die("io_uring (needed for this measure)");
        }
        Appends done;
        std::uint64_t begun_ns[depth_max] = {};
        std::size_t at = 0;
        const auto begin = [&](unsigned place) {
            io_uring_sqe* wish = ::io_uring_get_sqe(&ring);
            ::io_uring_prep_write(wish, fd_, memory_.get() + place * bytes, static_cast<unsigned>(bytes), at);
            ::io_uring_sqe_set_data64(wish, place);
            at = (at + bytes) % file_bytes;
            begun_ns[place] = now_ns();
        };
        const std::uint64_t begun = now_ns();
        const std::uint64_t end = begun + static_cast<std::uint64_t>(seconds * 1e9);
        unsigned under_way = depth;
        for (unsigned place = 0; place < depth; ++place) begin(place);
        while (under_way > 0) {
            ::io_uring_submit_and_wait(&ring, 1);
            io_uring_cqe* answer = nullptr;
            while (under_way > 0 && ::io_uring_peek_cqe(&ring, &answer) == 0) {
                if (answer->res != static_cast<int>(bytes)) {
                    errno = answer->res < 0 ? -answer->res : EIO;
                    die("durable append");
                }
                const auto place = static_cast<unsigned>(answer->user_data);
                ::io_uring_cqe_seen(&ring, answer);
                const std::uint64_t now = now_ns();
                done.took_ns.push_back(now - begun_ns[place]);
                if (now < end) {
                    begin(place);
                } else {
                    --under_way;
                }
            }
        }
        const double took_s = static_cast<double>(now_ns() - begun) / 1e9;
        done.bytes_per_second = static_cast<double>(done.took_ns.size()) * static_cast<double>(bytes) / took_s;
        ::io_uring_queue_exit(&ring);
        return done;
    }

  private:
    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };
    std::string path_;
    std::unique_ptr<char, Free> memory_;
    int fd_ = -1;
};
static_assert(depth_max * (1U << 20U) <= fill_bytes);

}  // namespace

Measured measure_disk(const LimitsOptions& options) {
    DurableFile file(options.directory);
    Appends small = file.append(4U << 10, 1, options.seconds);
    Appends one = file.append(64U << 10, 1, options.seconds);
    const Appends four = file.append(64U << 10, 4, options.seconds);
    const Appends large = file.append(1U << 20, 4, options.seconds);
    return {{"append_4k_p50_us", percentile(small.took_ns, 0.5) / 1e3},
            {"append_64k_p50_us", percentile(one.took_ns, 0.5) / 1e3},
            {"append_64k_p99_us", percentile(one.took_ns, 0.99) / 1e3},
            {"append_64k_x4_bytes_per_second", four.bytes_per_second},
            {"append_1m_x4_bytes_per_second", large.bytes_per_second}};
}

}  // namespace weir::limits
