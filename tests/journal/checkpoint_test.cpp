#include <sys/wait.h>

#include "core/journal/checkpoint.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

std::vector<std::byte> text_bytes(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    return {bytes.begin(), bytes.end()};
}

TEST(CheckpointFile, NewestOfTwoAlternatingCopiesIsLoaded) {
    const Directory directory;
    const std::string path = directory.path() + "/state";
    ASSERT_FALSE(CheckpointFile::load(path).value().exists);
    CheckpointFile checkpoint(path, 0);
    for (const char* content : {"a longer first", "two", "three"})
        ASSERT_TRUE(checkpoint.store_now(text_bytes(content)).ok());
    const auto loaded = CheckpointFile::load(path);
    EXPECT_EQ(loaded.value().content, text_bytes("three"));
    EXPECT_EQ(loaded.value().serial, 3U);
    EXPECT_TRUE(loaded.value().faults.empty());
    std::filesystem::remove(path + ".1");
    EXPECT_EQ(CheckpointFile::load(path).value().content, text_bytes("two"));
}

TEST(CheckpointFile, EveryCutAndEveryFlippedBitLeavesTheOtherCopy) {
    const Directory directory;
    const std::string path = directory.path() + "/state";
    CheckpointFile checkpoint(path, 0);
    ASSERT_TRUE(checkpoint.store_now(text_bytes("old")).ok());
    ASSERT_TRUE(checkpoint.store_now(text_bytes("new one")).ok());
    const auto whole = file_content(path + ".0");
    for (std::size_t kept = 1; kept < whole.size(); ++kept) {
        put_file(path + ".0", ConstBytes(whole).first(kept));
        const auto loaded = CheckpointFile::load(path);
        ASSERT_EQ(loaded.value().content, text_bytes("old"));
        ASSERT_EQ(loaded.value().faults.size(), 1U);
    }
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        auto broken = whole;
        broken[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        put_file(path + ".0", broken);
        const auto loaded = CheckpointFile::load(path);
        ASSERT_EQ(loaded.value().content, text_bytes("old")) << bit;
        ASSERT_EQ(loaded.value().faults.size(), 1U);
    }
}

// Where the page cache has large pages, a block that changes in one is counted, and may be written, as all of it.
TEST(CheckpointFile, StoresPastThePageCacheInBlocks) {
    const Directory directory;
    test::MemoryIo io;
    CheckpointFile checkpoint(directory.path() + "/state", 0);
    ASSERT_TRUE(checkpoint.open(io, {.owner = 3, .kind = 1}).ok());
    EXPECT_TRUE(io.is_direct({0}) && io.is_direct({1}));
    // Header and checksum take 28 bytes.
    for (const auto& [content_bytes, written_bytes] :
         {std::pair(1U, 4096U), std::pair(4068U, 4096U), std::pair(4069U, 8192U), std::pair(9000U, 12288U)}) {
        const std::uint64_t before = checkpoint.stored_bytes();
        ASSERT_TRUE(checkpoint.begin_store(std::vector<std::byte>(content_bytes)));
        EXPECT_FALSE(checkpoint.on_completion(io.complete(0)));
        EXPECT_EQ(checkpoint.stored_bytes(), before) << "not before it is synced";
        EXPECT_TRUE(checkpoint.on_completion(io.complete(0)));
        EXPECT_EQ(checkpoint.stored_bytes() - before, written_bytes);
    }
}

TEST(CheckpointFile, StoreThroughIoIsDurableAfterItsSync) {
    const Directory directory;
    const std::string path = directory.path() + "/state";
    test::MemoryIo io;
    CheckpointFile checkpoint(path, 4);
    ASSERT_TRUE(checkpoint.open(io, {.owner = 3, .kind = 1}).ok());
    ASSERT_TRUE(checkpoint.begin_store(text_bytes("five")));
    EXPECT_FALSE(checkpoint.begin_store(text_bytes("busy")));
    EXPECT_FALSE(checkpoint.on_completion(io.complete(0)));
    EXPECT_TRUE(checkpoint.on_completion(io.complete(0)));
    io.save_to(directory.path());
    const auto loaded = CheckpointFile::load(path);
    EXPECT_EQ(loaded.value().content, text_bytes("five"));
    EXPECT_EQ(loaded.value().serial, 5U);
}

TEST(CheckpointFile, AFailedStoreIsRepeatedOnTheSameCopy) {
    const Directory directory;
    const std::string path = directory.path() + "/state";
    test::MemoryIo io;
    CheckpointFile checkpoint(path, 0);
    ASSERT_TRUE(checkpoint.open(io, {}).ok());
    ASSERT_TRUE(checkpoint.begin_store(text_bytes("one")));
    ASSERT_FALSE(checkpoint.on_completion(io.complete(0)));
    ASSERT_TRUE(checkpoint.on_completion(io.complete(0)));
    ASSERT_TRUE(checkpoint.begin_store(text_bytes("lost")));
    const auto handle = io.pending(0).file;
    EXPECT_FALSE(checkpoint.on_completion(io.fail(0, ENOSPC)));
    EXPECT_EQ(checkpoint.last_errno(), ENOSPC);
    EXPECT_FALSE(checkpoint.is_busy());
    ASSERT_TRUE(checkpoint.begin_store(text_bytes("two")));
    EXPECT_EQ(io.pending(0).file, handle);
    io.save_to(directory.path());
    EXPECT_EQ(CheckpointFile::load(path).value().content, text_bytes("one"));
}

TEST(LockDirectory, IsRefusedToASecondProcessAndSaysWhichDirectory) {
    const Directory directory;
    const auto locked = lock_directory(directory.path());
    ASSERT_TRUE(locked.ok());
    const pid_t child = ::fork();
    if (child == 0) {
        const auto second = lock_directory(directory.path());
        const bool is_refused = !second.ok() && second.error().what.find(directory.path()) != std::string::npos &&
                                second.error().what.find("another process") != std::string::npos;
        ::_exit(is_refused ? 0 : 1);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    ::close(locked.value());
    EXPECT_TRUE(lock_directory(directory.path()).ok());
}

TEST(MakeDirectory, MakesParentsForTheOwnerOnly) {
    const Directory directory;
    const std::string path = directory.path() + "/a/b/c";
    ASSERT_TRUE(make_directory(path).ok());
    ASSERT_TRUE(make_directory(path).ok());
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
    put_file(directory.path() + "/file", {});
    EXPECT_FALSE(make_directory(directory.path() + "/file").ok());
}

}  // namespace
}  // namespace weir::journal
