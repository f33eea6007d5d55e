// The bytes on disk of core/journal/FORMAT.md, frozen. WEIR_WRITE_GOLDEN=1 writes them anew after a change of version.
#include "core/journal/checkpoint.hpp"
#include "tests/journal/forwarded_files.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

const std::string golden = "tests/journal/golden/";

void expect_golden(const std::string& name, const std::string& written) {
    if (::getenv("WEIR_WRITE_GOLDEN") != nullptr) put_file(golden + name, file_content(written));
    EXPECT_EQ(file_content(golden + name), file_content(written)) << name;
}

TEST(JournalGolden, SegmentIsWrittenAndReadAsFrozen) {
    JournalBench bench(2 * block_bytes, 0, 0);
    bench.append_durable({batch_of(1, 20), batch_of(2, 40)});
    bench.save();
    expect_golden("segment.seg", bench.segment_path(0));
    const Directory directory;
    put_file(directory.path() + "/" + segment_file_name(0), file_content(golden + "segment.seg"));
    EXPECT_EQ(read_all(directory.path()).numbers, numbers(1, 2));
}

TEST(JournalGolden, EncryptedSegmentIsWrittenAndReadAsFrozen) {
    // What is random in it: the writer's life.
    class Fixed final : public ForwardedFiles {
      public:
        int random(Bytes bytes) override {
            for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(200 + i);
            return 0;
        }
    };
    const UseKeys keys({test_key_id});
    Fixed fixed;
    const io::UseFiles use(fixed);
    JournalBench bench(4 * block_bytes, 0, test_key_id);
    // The second one's seal does not fit its group's last block: the group becomes one longer.
    bench.append_durable({batch_of(1, 20), batch_of(2, 3520)});
    bench.save();
    expect_golden("sealed.seg", bench.segment_path(0));
    const Directory directory;
    put_file(directory.path() + "/" + segment_file_name(0), file_content(golden + "sealed.seg"));
    EXPECT_EQ(read_all(directory.path()).numbers, numbers(1, 2));
    EXPECT_EQ(bench.writer().end_position().value, 3U * block_bytes);
}

TEST(JournalGolden, CheckpointIsWrittenAndReadAsFrozen) {
    const Directory directory;
    const std::string text = "position 4096";
    CheckpointFile checkpoint(directory.path() + "/state", 8);
    ASSERT_TRUE(checkpoint.store_now(std::as_bytes(std::span(text))).ok());
    expect_golden("checkpoint.1", directory.path() + "/state.1");
    const auto loaded = CheckpointFile::load(golden + "checkpoint");
    EXPECT_EQ(loaded.value().serial, 9U);
    EXPECT_EQ(loaded.value().content.size(), text.size());
}

}  // namespace
}  // namespace weir::journal
