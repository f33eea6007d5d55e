// weir-fuzz-seeds FOLDER SOURCES: writes valid samples of every format into FOLDER/TARGET, one file each, the same bytes each
// time: made by the code that writes the formats, or taken from the golden files and examples in SOURCES.
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/wire/samples.hpp"

namespace {
using namespace weir;
namespace fs = std::filesystem;
namespace samples = wire::samples;

using Buffer = std::vector<std::byte>;

class Seeds {
  public:
    Seeds(fs::path folder, fs::path sources) : folder_(std::move(folder)), sources_(std::move(sources)) {}

    void put(const std::string& target, const std::string& name, ConstBytes content) {
        fs::create_directories(folder_ / target);
        std::ofstream file(folder_ / target / name, std::ios::binary);
        file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
        is_good_ = is_good_ && file.good();
    }
    void put(const std::string& target, const std::string& name, std::string_view content) {
        put(target, name, fuzz::bytes_of(content));
    }
    [[nodiscard]] Buffer source(const std::string& path) const {
        std::ifstream file(sources_ / path, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        return fuzz::copy_of(fuzz::bytes_of(text));
    }
    // The golden files of `folder` whose names begin with `prefix`, as (name, bytes).
    template <class Use>
    void for_each_golden(const std::string& folder, const std::string& prefix, Use&& use) const {
        for (const auto& entry : fs::directory_iterator(sources_ / folder)) {
            const std::string name = entry.path().filename().string();
            if (name.starts_with(prefix)) use(name, source(folder + "/" + name));
        }
    }
    [[nodiscard]] bool is_good() const { return is_good_; }

  private:
    fs::path folder_;
    fs::path sources_;
    bool is_good_ = true;
};

Buffer joined(std::initializer_list<ConstBytes> parts) {
    Buffer all;
    for (const ConstBytes part : parts) samples::append(all, part);
    return all;
}
template <class T>
Buffer bytes_of_value(const T& value) {
    return fuzz::copy_of(std::as_bytes(std::span(&value, 1)));
}
// As Input::take_part reads it.
Buffer part(ConstBytes bytes) {
    return joined({bytes_of_value(static_cast<std::uint16_t>(bytes.size())), bytes});
}

void put_wire(Seeds& seeds) {
    const Buffer uncut(2);
    Buffer all = uncut;
    seeds.for_each_golden("tests/wire/golden", "", [&](const std::string& name, const Buffer& content) {
        if (name.starts_with("event") || name.starts_with("civic") || name.starts_with("table") ||
            name == "batch-two-events.bin") {
            return;
        }
        seeds.put("frames", name, joined({uncut, content}));
    });
    for (const char* name : {"producer-hello", "ping", "goodbye"}) {
        samples::append(all, seeds.source("tests/wire/golden/" + std::string(name) + ".bin"));
    }
    all[0] = std::byte{5};
    all[1] = std::byte{1};
    seeds.put("frames", "session", all);

    seeds.for_each_golden("tests/wire/golden", "table-", [&](const std::string& name, const Buffer& content) {
        const auto kind = name.starts_with("table-image") ? std::byte{0} : std::byte{1};
        seeds.put("table", name, joined({Buffer{kind}, content}));
    });
    seeds.for_each_golden("tests/wire/golden", "row-", [&](const std::string& name, const Buffer& content) {
        const auto header = wire::load<wire::FrameHeader>(content);
        const ConstBytes body = ConstBytes(content).subspan(sizeof header, header.body_bytes);
        seeds.put("table", name, joined({Buffer{std::byte{4}}, body}));
    });
    seeds.for_each_golden("tests/wire/golden", "edge-status", [&](const std::string& name, const Buffer& content) {
        seeds.put("status", name, ConstBytes(content).subspan(sizeof(wire::FrameHeader)));
    });
    seeds.put("batch", "two-events", samples::two_event_batch());
    wire::BatchHeader header = samples::batch_header();
    header.kind = wire::BatchKind::gap;
    seeds.put("batch", "gap", samples::sealed(header, {}));
    header.kind = wire::BatchKind::tick;
    header.count = 0;
    seeds.put("batch", "tick", samples::sealed(header, {}));
    header = samples::batch_header();
    header.lane = dead_letter_lane;
    header.count = 1;
    Buffer letter = bytes_of_value(wire::DeadLetterHead{.reason = wire::Reason::empty, .original_bytes = 3});
    letter.resize(letter.size() + 3);
    Buffer body;
    samples::append_frame(body, wire::FrameKind::dead_letter, letter);
    seeds.put("batch", "dead-letter", samples::sealed(header, body));

    wire::EventBuilder builder;
    seeds.put("event", "sample", builder.build(samples::event()));
    wire::EventView smallest;
    smallest.id = smallest.type = smallest.source = "x";
    seeds.put("event", "smallest", builder.build(smallest));
    for (const char* prefix : {"event", "civic"}) {
        seeds.for_each_golden("tests/wire/golden", prefix, [&](const std::string& name, const Buffer& content) {
            seeds.put("event", name, content);
            if (std::string_view(prefix) != "civic") return;
            seeds.put("payload", name, joined({Buffer{std::byte{0}}, content}));
            seeds.put("payload", name + "-older", joined({Buffer{std::byte{1}}, content}));
        });
    }
}

void put_text(Seeds& seeds) {
    seeds.put("json", "event",
              R"({"id":"a","n":[1,-2.5e3,true,false,null],"data":{"fine":51.0,"t":"\u00e9\ud83d\ude00"}})");
    std::string lines;
    for (int i = 0; i < 3; ++i) {
        lines += R"({"id":"phl-)" + std::to_string(i) +
                 R"(","type":"violation.parking","source":"philadelphia/ppa","time":"2017-12-01T00:00:07.5Z",)"
                 R"("key":"19104","data":{"fine":51.0,"where":"3400 WALNUT ST"}})"
                 "\n";
    }
    seeds.put("ndjson", "plain", lines);
    Buffer packed(1024);
    z_stream stream{};
    if (::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        stream.next_in = reinterpret_cast<Bytef*>(lines.data());
        stream.avail_in = static_cast<uInt>(lines.size());
        stream.next_out = reinterpret_cast<Bytef*>(packed.data());
        stream.avail_out = static_cast<uInt>(packed.size());
        ::deflate(&stream, Z_FINISH);
        packed.resize(stream.total_out);
        ::deflateEnd(&stream);
        seeds.put("ndjson", "gzip", packed);
    }
    const Buffer edge = seeds.source("edge/edge.example.toml");
    const Buffer central = seeds.source("central/central.example.toml");
    seeds.put("config", "edge-example", joined({Buffer{std::byte{0}}, edge}));
    seeds.put("config", "central-example", joined({Buffer{std::byte{1}}, central}));
    seeds.put("config", "central-analytics",
              joined({Buffer{std::byte{1}}, seeds.source("central/analytics.example.toml")}));
    seeds.put("config", "edge-switched-on",
              joined({Buffer{std::byte{0}}, fuzz::bytes_of([&] {
                          // '#' directly before a letter or bracket is a setting that is switched off.
                          static std::string text;
                          text = fuzz::text_of(edge);
                          for (std::size_t at = text.find("\n#"); at != text.npos; at = text.find("\n#", at + 1)) {
                              if (at + 2 < text.size() && text[at + 2] != ' ' && text[at + 2] != '\n')
                                  text.erase(at + 1, 1);
                          }
                          const std::string_view schema = "\"civic.bfbs\"";
                          text.replace(text.find(schema), schema.size(), "\"" WEIR_CIVIC_BFBS "\"");
                          return std::string_view(text);
                      }())}));
}

void put_checkpoints(Seeds& seeds) {
    const auto sealed = [](std::uint64_t serial, ConstBytes content) {
        Buffer copy = joined({bytes_of_value(journal::CheckpointHeader{
                                  .content_bytes = static_cast<std::uint32_t>(content.size()), .serial = serial}),
                              content});
        const std::uint32_t crc = crc32c(0, copy);
        samples::append_struct(copy, crc);
        return copy;
    };
    const Buffer older = sealed(4, fuzz::bytes_of("position 4096"));
    const Buffer newer = sealed(5, fuzz::bytes_of("position 8192, and more"));
    seeds.put("checkpoint", "two-copies", joined({Buffer{std::byte{0}}, part(older), part(newer)}));
    seeds.put("checkpoint", "to-be-sealed", joined({Buffer{std::byte{3}}, part(older), part(newer)}));
    seeds.put("checkpoint", "golden",
              joined({Buffer{std::byte{0}}, part({}), part(seeds.source("tests/journal/golden/checkpoint.1"))}));
}

void put_journal(Seeds& seeds) {
    // From the beginning, nothing trimmed; then one step: overwrite at 0 with the golden segment (fuzz_scan.cpp).
    Buffer input(10);
    input.push_back(std::byte{6});
    input.resize(input.size() + 2);
    samples::append(input, part(seeds.source("tests/journal/golden/segment.seg")));
    seeds.put("scan", "golden", input);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("weir-fuzz-seeds FOLDER SOURCES\n", stderr);
        return 2;
    }
    Seeds seeds(argv[1], argv[2]);
    put_wire(seeds);
    put_text(seeds);
    put_checkpoints(seeds);
    put_journal(seeds);
    return seeds.is_good() ? 0 : 1;
}
