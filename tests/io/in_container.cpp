// in_container [--io-uring] COMMAND...: runs a command as a container's default seccomp profile leaves it: what that refuses fails
// with EPERM. With --io-uring the three calls are allowed that scripts/container/seccomp-profile adds to it.
//
// Source    The calls that Docker documents as refused by default (docs.docker.com/engine/security/seccomp), those that x86-64 and
//           arm64 have. A command that needs one of the rare calls beyond that list finds out in a container only.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

constexpr long refused[] = {
    SYS_acct,
    SYS_add_key,
    SYS_bpf,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_finit_module,
    SYS_get_mempolicy,
    SYS_init_module,
    SYS_kcmp,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_mbind,
    SYS_mount,
    SYS_move_pages,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_perf_event_open,
    SYS_pivot_root,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_ptrace,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_set_mempolicy,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapon,
    SYS_swapoff,
    SYS_umount2,
    SYS_unshare,
    SYS_userfaultfd,
};
constexpr long uring[] = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};

sock_filter statement(int code, std::uint32_t value) {
    return {static_cast<std::uint16_t>(code), 0, 0, value};
}

std::vector<sock_filter> filter_of(bool has_uring) {
    std::vector<sock_filter> filter{statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    const auto refuse = [&](long call) {
        filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
        filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    };
    for (const long call : refused) refuse(call);
    if (!has_uring) {
        for (const long call : uring) refuse(call);
    }
    filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return filter;
}

}  // namespace

int main(int argc, char** argv) {
    const bool has_uring = argc > 1 && std::strcmp(argv[1], "--io-uring") == 0;
    char** const command = argv + (has_uring ? 2 : 1);
    if (*command == nullptr) {
        std::fprintf(stderr, "usage: weir-in-container [--io-uring] COMMAND...\n");
        return 2;
    }
    std::vector<sock_filter> filter = filter_of(has_uring);
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        std::perror("seccomp");
        return 1;
    }
    ::execvp(*command, command);
    std::perror(*command);
    return 127;
}
