#include "core/journal/start_guard.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>

#include "core/io/files.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/segment_files.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

// What the file holds. starts = 0: the last start came through.
struct Note {
    std::uint64_t segment_index = 0;
    std::uint32_t starts = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Note) == 16);

std::string note_path(const std::string& directory) {
    return directory + "/starting";
}

// What a process does to itself. Any other signal comes from outside (an operator, a supervisor, a kernel out of memory) and
// says nothing against what was read.
bool is_of_its_own(int signal) {
    constexpr int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    return std::find(std::begin(own), std::end(own), signal) != std::end(own);
}

// Reads and uses one segment as a start would: 0, or the signal that doing so dies of.
int start_apart(const std::string& directory, std::uint64_t segment_index, std::uint64_t segment_bytes,
                const StartGuard::Use& use) {
    const int signal = io::files().try_apart(
        [&] {
            auto scanner = Scanner::open(directory, {segment_index * segment_bytes});
            if (!scanner) return;
            while (const auto record = scanner.value().next()) {
                if (record->position.value / segment_bytes > segment_index) return;
                if (use) use(*record);
            }
        },
        trial_ms_max);
    return is_of_its_own(signal) ? signal : 0;
}

}  // namespace

Result<StartGuard> StartGuard::begin(const std::string& directory, const Use& use) {
    StartGuard guard(directory);
    auto loaded = CheckpointFile::load(note_path(directory));
    if (!loaded) return loaded.error();
    guard.serial_ = loaded.value().serial;
    if (loaded.value().content.size() != sizeof(Note)) return guard;
    const auto note = wire::load<Note>(ConstBytes(loaded.value().content));
    if (note.starts == 0) return guard;
    guard.suspect_ = note.segment_index;
    guard.deaths_ = note.starts;
    if (note.starts < failed_starts_max) return guard;

    auto list = list_segments(directory);
    if (!list) return list.error();
    const std::string path = directory + "/" + segment_file_name(note.segment_index);
    if (!list.value().segments.empty() && io::files().exists(path)) {
        const std::uint64_t segment_bytes = list.value().segments.front().header.segment_bytes;
        const int died_of = start_apart(directory, note.segment_index, segment_bytes, use);
        if (died_of != 0) {
            if (auto moved = quarantine(directory, note.segment_index); !moved) return moved.error();
            guard.fault_ = path + ": " + std::to_string(note.starts) + " starts died reading it, and a trial did (" +
                           ::strsignal(died_of) + "); it is in quarantine/, what it held is lost to this journal";
        }
    }
    guard.suspect_.reset();
    guard.deaths_ = 0;
    return guard;
}

void StartGuard::reading(std::uint64_t segment_index) {
    if (noted_ == segment_index) return;
    noted_ = segment_index;
    note(segment_index, suspect_ == segment_index ? deaths_ + 1 : 1);
}

void StartGuard::end() {
    if (noted_ || suspect_) note(0, 0);
    noted_.reset();
}

void StartGuard::note(std::uint64_t segment_index, std::uint32_t starts) {
    const Note content{.segment_index = segment_index, .starts = starts};
    CheckpointFile file(note_path(directory_), serial_);
    if (file.store_now(std::as_bytes(std::span(&content, 1)))) ++serial_;
}

}  // namespace weir::journal
