// JournalBench: a journal in a directory of its own, written through MemoryIo, and what a reader finds there.
//
// With WEIR_TEST_AT_REST=1 in the environment every journal is encrypted: the same tests hold.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "core/journal/posix_file.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/writer.hpp"
#include "tests/support/memory_io.hpp"

namespace weir::journal {

class Directory {
  public:
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "weir-journal-XXXXXX").string();
        WEIR_ASSERT(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// A sealed batch with one frame, told from others by `number`.
inline std::vector<std::byte> batch_of(std::uint64_t number, std::size_t payload_bytes) {
    std::vector<std::byte> batch(sizeof(wire::BatchHeader) +
                                 wire::frame_bytes(static_cast<std::uint32_t>(payload_bytes)));
    const Bytes body = Bytes(batch).subspan(sizeof(wire::BatchHeader));
    wire::FrameHeader frame;
    frame.body_bytes = static_cast<std::uint32_t>(payload_bytes);
    frame.number = number;
    wire::store(body, frame);
    for (std::size_t i = 0; i < payload_bytes; ++i) {
        body[sizeof frame + i] = static_cast<std::byte>((number * 31 + i * 7) & 255);
    }
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
    header.lineage = 7;
    header.epoch = 1;
    header.first_sequence = number;
    header.count = 1;
    header.closed_wall_ns = 1'500'000'000'000'000'000 + number;
    wire::seal(header, body);
    wire::store(Bytes(batch), header);
    return batch;
}

inline constexpr std::uint32_t test_key_id = 3;
inline SecretBytes test_key(std::uint32_t key_id) {
    SecretBytes key(master_key_bytes);
    for (std::size_t i = 0; i < master_key_bytes; ++i) key.bytes()[i] = static_cast<std::byte>(key_id * 41 + i);
    return key;
}
inline Keyring test_keyring(std::initializer_list<std::uint32_t> key_ids) {
    Keyring ring;
    for (const std::uint32_t key_id : key_ids) ring.add(key_id, test_key(key_id));
    return ring;
}
// The process's keys, while it lives.
class UseKeys {
  public:
    explicit UseKeys(std::initializer_list<std::uint32_t> key_ids) : before_(use_keyring(test_keyring(key_ids))) {}
    ~UseKeys() { static_cast<void>(use_keyring(std::move(before_))); }
    UseKeys(const UseKeys&) = delete;
    UseKeys& operator=(const UseKeys&) = delete;

  private:
    Keyring before_;
};
inline std::uint32_t default_key_id() {
    static const std::uint32_t key_id = [] {
        if (::getenv("WEIR_TEST_AT_REST") == nullptr) return 0U;
        static_cast<void>(use_keyring(test_keyring({test_key_id})));
        return test_key_id;
    }();
    return key_id;
}

struct Group {
    AlignedBytes memory;
    std::size_t bytes = 0;
    std::vector<RecordSlot> slots;
    [[nodiscard]] Bytes span() const { return {memory.get(), bytes}; }
};

inline Group group_of(const std::vector<std::vector<std::byte>>& batches, bool is_sealed = false) {
    Group group;
    std::uint64_t at = 0, end = 0;
    for (const auto& batch : batches) {
        end = at + record_bytes(static_cast<std::uint32_t>(batch.size()));
        group.slots.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(batch.size())});
        at += stored_bytes(static_cast<std::uint32_t>(batch.size()), is_sealed);
    }
    group.bytes = round_up(end, block_bytes);
    group.memory = make_aligned(group.bytes);
    for (std::size_t i = 0; i < batches.size(); ++i) {
        std::copy(batches[i].begin(), batches[i].end(), group.memory.get() + group.slots[i].at + sizeof(RecordHeader));
    }
    return group;
}

struct Found {
    std::vector<std::uint64_t> numbers;  // of each record, checked byte by byte against batch_of()
    Tail tail;
    std::uint64_t damaged = 0;
    std::string fault;
};

// Reads everything. A record whose bytes are not those that batch_of() makes is a failure of the test.
inline Found read_all(const std::string& directory, Position from = {}) {
    auto scanner = Scanner::open(directory, from);
    WEIR_ASSERT(scanner.ok());
    Found found;
    while (const auto record = scanner.value().next()) {
        const auto frame = wire::load<wire::FrameHeader>(record->body());
        found.numbers.push_back(record->batch_header.first_sequence);
        const auto expected = batch_of(record->batch_header.first_sequence, frame.body_bytes);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), record->batch.begin(), record->batch.end()));
    }
    found.tail = scanner.value().tail();
    found.damaged = scanner.value().damaged_records();
    found.fault = scanner.value().fault();
    return found;
}

class JournalBench {
  public:
    explicit JournalBench(std::uint64_t segment_bytes = 16 * block_bytes, std::uint32_t recycled_max = 0,
                          std::uint32_t key_id = default_key_id())
        : options_{.directory = directory_.path(),
                   .role = Role::spool,
                   .journal_id = 7,
                   .segment_bytes = segment_bytes,
                   .key_id = key_id,
                   .group_bytes_max = 16 * block_bytes},
          recycled_max_(recycled_max) {
        start({});
    }

    void start(Tail tail) {
        writer_.reset();
        io_ = std::make_unique<test::MemoryIo>();
        store_.reset();
        store_ = make_segment_store(directory_.path(), options_.segment_bytes, recycled_max_, nullptr, nullptr);
        writer_ = std::make_unique<JournalWriter>(*io_, *store_, options_, tail, io::Token{.owner = 1, .kind = 2});
        const auto opened = writer_->open();
        ASSERT_TRUE(opened.ok()) << opened.error().what;
    }
    void use_key(std::uint32_t key_id) { options_.key_id = key_id; }  // from the next start on
    void use_gathering() { options_.gathers = true; }                 // from the next start on
    // That are not durable.
    [[nodiscard]] std::size_t groups_max() const {
        return options_.gathers && options_.key_id == 0 ? gathered_groups_max : writes_in_flight_max;
    }
    void use_recent(RecentBytes& recent) { options_.recent = &recent; }  // from the next start on
    // As after a crash: what has landed is on disk, everything pending is gone; recovery says where to go on.
    Found restart() {
        save();
        groups_.clear();
        // The dead process releases nothing any more: a reader beside it may meet a segment going.
        writer_.reset();
        store_.reset();
        Found found = read_all(directory_.path());
        start(found.tail);
        return found;
    }
    // Appends; waits for the next segment's file where one is needed. The write stays pending.
    Position append(const std::vector<std::vector<std::byte>>& batches) {
        groups_.push_back(group_of(batches, options_.key_id != 0));
        Group& group = groups_.back();
        for (;;) {
            if (const auto position = writer_->append(group.span(), group.slots, {1'500'000'000'000'000'000}))
                return *position;
            WEIR_ASSERT(writer_->writes_in_flight() < writes_in_flight_max && !writer_->is_poisoned());
            std::this_thread::yield();  // the segment store's thread makes the file
        }
    }
    void complete(std::size_t index) { writer_->on_completion(io_->complete(index)); }
    void complete_all() {
        while (io_->pending_count() > 0) complete(0);
    }
    void append_durable(const std::vector<std::vector<std::byte>>& batches) {
        append(batches);
        complete_all();
    }
    void save() { io_->save_to(directory_.path()); }
    [[nodiscard]] Found read(Position from = {}) {
        save();
        return read_all(directory_.path(), from);
    }
    [[nodiscard]] JournalWriter& writer() { return *writer_; }
    [[nodiscard]] SegmentStore& store() { return *store_; }
    [[nodiscard]] test::MemoryIo& io() { return *io_; }
    [[nodiscard]] const std::string& path() const { return directory_.path(); }
    [[nodiscard]] std::string segment_path(std::uint64_t index) const {
        return path() + "/" + segment_file_name(index);
    }

  private:
    Directory directory_;
    JournalOptions options_;
    std::uint32_t recycled_max_;
    std::unique_ptr<test::MemoryIo> io_;
    std::unique_ptr<SegmentStore> store_;
    std::unique_ptr<JournalWriter> writer_;
    std::deque<Group> groups_;
};

inline std::vector<std::uint64_t> numbers(std::uint64_t first, std::uint64_t last) {
    std::vector<std::uint64_t> all;
    for (std::uint64_t number = first; number <= last; ++number) all.push_back(number);
    return all;
}

inline std::vector<std::byte> file_content(const std::string& path) {
    const PosixFile file(path, O_RDONLY);
    std::vector<std::byte> content(file.file_bytes());
    WEIR_ASSERT(file.read(content, 0) == static_cast<std::int64_t>(content.size()));
    return content;
}
inline void put_file(const std::string& path, ConstBytes content) {
    const PosixFile file(path, O_RDWR | O_CREAT | O_TRUNC);
    WEIR_ASSERT(file.write(content, 0) == 0);
}

}  // namespace weir::journal
