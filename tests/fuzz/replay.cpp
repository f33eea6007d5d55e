// Replay: runs a fuzz target without a fuzzer: every file given, then seeded mutations of them. The same inputs each time.
//
//   fuzz_NAME [--mutations N] [--seed N] PATH...      a PATH is a file or a folder; one that is missing is left out
//
// An input that ends the program is left in ./crash-fuzz_NAME, and the last line says so.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/input.hpp"

extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t mutated_bytes_max = 64U << 10;  // larger ones are replayed, but not mutated: it takes its time
constexpr std::size_t changes_max = 4;                // of one mutation

const Bytes* running = nullptr;
std::string crash_path;

// Only what may be called in a signal handler.
void leave_input() {
    if (running == nullptr) return;
    const int handle = ::open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (handle >= 0) {
        for (std::size_t at = 0; at < running->size();) {
            const auto count = ::write(handle, running->data() + at, running->size() - at);
            if (count <= 0) break;
            at += static_cast<std::size_t>(count);
        }
        ::close(handle);
    }
    running = nullptr;
    for (const std::string_view part : {std::string_view("fuzz: the input is in "), std::string_view(crash_path),
                                        std::string_view("; replay it by naming it\n")}) {
        if (::write(STDERR_FILENO, part.data(), part.size()) < 0) return;
    }
}
void on_signal(int number) {
    leave_input();
    ::signal(number, SIG_DFL);
    ::raise(number);
}

// On a stack of its own: a parser that calls itself for ever has used up the other one.
void catch_signals() {
    static std::array<std::byte, 64U << 10> memory;
    stack_t stack{};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    ::sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    ::sigaction(SIGABRT, &action, nullptr);
    if (__sanitizer_set_death_callback != nullptr) return __sanitizer_set_death_callback(leave_input);  // it tells more
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigaction(number, &action, nullptr);
}

void run(const Bytes& input) {
    // Of exactly its length, so that a sanitizer sees a read one past its end.
    const auto exact = std::make_unique<std::uint8_t[]>(input.size());
    std::copy(input.begin(), input.end(), exact.get());
    running = &input;
    static_cast<void>(LLVMFuzzerTestOneInput(exact.get(), input.size()));
    running = nullptr;
}

Bytes read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return {text.begin(), text.end()};
}

std::vector<std::filesystem::path> files_of(const std::vector<std::string>& paths) {
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    for (const std::string& path : paths) {
        if (fs::is_regular_file(path)) files.emplace_back(path);
        if (!fs::is_directory(path)) continue;
        std::vector<fs::path> inner;
        for (const auto& entry : fs::directory_iterator(path)) {
            if (entry.is_regular_file()) inner.push_back(entry.path());
        }
        std::sort(inner.begin(), inner.end());  // the directory's own order is nobody's
        files.insert(files.end(), inner.begin(), inner.end());
    }
    return files;
}

class Mutator {
  public:
    Mutator(const std::vector<Bytes>& corpus, std::uint64_t seed) : corpus_(corpus), state_(seed) {}

    Bytes next() {
        Bytes input = corpus_[below(corpus_.size())];
        for (std::size_t changes = 1 + below(changes_max); changes > 0; --changes) change(input);
        return input;
    }

  private:
    std::uint64_t random() {  // splitmix64 (Steele, Lea, Flood 2014)
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random() % limit; }

    void change(Bytes& input) {
        const std::size_t at = below(input.size() + 1);
        const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
        const std::size_t behind = input.size() - at;
        switch (below(9)) {
            case 0:
                if (behind > 0) input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << below(8)));
                return;
            case 1:
                if (behind > 0) input[at] = static_cast<std::uint8_t>(random());
                return;
            case 2:
                input.resize(at);
                return;
            case 3:
                input.erase(place, place + static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(behind, 32) + 1)));
                return;
            case 4:
                input.insert(place, 1 + below(16), static_cast<std::uint8_t>(random()));
                return;
            case 5:
                return put_number(input, at);
            case 6:
                return put_text(input, at);
            case 7: {  // a piece of its own, once more
                const std::size_t from = below(input.size());
                const std::size_t count = std::min<std::size_t>(input.size() - from, 1 + below(64));
                const Bytes piece(input.begin() + static_cast<std::ptrdiff_t>(from),
                                  input.begin() + static_cast<std::ptrdiff_t>(from + count));
                input.insert(place, piece.begin(), piece.end());
                return;
            }
            default: {  // goes on as another one does
                const Bytes& other = corpus_[below(corpus_.size())];
                const std::size_t from = below(other.size() + 1);
                input.resize(at);
                input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
                return;
            }
        }
    }
    // Little-endian, of 1 to 8 bytes: the values at which checks tend to be off by one.
    void put_number(Bytes& input, std::size_t at) {
        static constexpr std::array<std::uint64_t, 12> values{
            0, 1, 7, 8, 255, 4095, 4096, 65'535, 1U << 20, INT32_MAX, UINT32_MAX, UINT64_MAX};
        std::uint64_t value = values[below(values.size())];
        for (std::size_t count = std::size_t{1} << below(4); count > 0 && at < input.size(); --count, ++at) {
            input[at] = static_cast<std::uint8_t>(value);
            value >>= 8U;
        }
    }
    void put_text(Bytes& input, std::size_t at) {
        static constexpr std::array<std::string_view, 16> texts{"\"", "\\", "{", "}", "[", "]",     ":",       ",",
                                                                "\n", "0",  "-", "*", "=", "1e999", "\\ud800", "#"};
        const std::string_view text = texts[below(texts.size())];
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), text.begin(), text.end());
    }

    const std::vector<Bytes>& corpus_;
    std::uint64_t state_;
};

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t mutations = 0;
    std::uint64_t seed = 1;
    std::vector<std::string> paths;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--mutations" && i + 1 < argc) {
            mutations = std::strtoull(argv[++i], nullptr, 10);
        } else if (argument == "--seed" && i + 1 < argc) {
            seed = std::strtoull(argv[++i], nullptr, 10);
        } else {
            paths.emplace_back(argument);
        }
    }
    crash_path = std::filesystem::absolute("crash-" + std::filesystem::path(argv[0]).filename().string()).string();
    catch_signals();

    run({});
    std::size_t files = 0;
    std::vector<Bytes> corpus;
    for (const auto& path : files_of(paths)) {
        Bytes input = read_file(path);
        run(input);
        ++files;
        if (input.size() <= mutated_bytes_max) corpus.push_back(std::move(input));
    }
    if (corpus.empty()) {
        std::fputs("fuzz: no corpus; name files or folders\n", stderr);
        return 1;
    }
    Mutator mutator(corpus, seed);
    for (std::uint64_t i = 0; i < mutations; ++i) run(mutator.next());
    std::printf("fuzz: %zu files and %llu mutations, seed %llu\n", files, static_cast<unsigned long long>(mutations),
                static_cast<unsigned long long>(seed));
    return 0;
}
