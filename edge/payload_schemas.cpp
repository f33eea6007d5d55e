#include "edge/payload_schemas.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "core/control/config_reader.hpp"
#include "core/rules/json_paths.hpp"
#include "core/wire/event.hpp"

namespace weir::edge {
namespace {

class FileHandle {
  public:
    // Does not wait for the writer of a pipe: what is no plain file is refused.
    explicit FileHandle(const std::string& path) : handle_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    ~FileHandle() {
        if (handle_ >= 0) ::close(handle_);
    }
    FileHandle(const FileHandle&) = delete;
    FileHandle& operator=(const FileHandle&) = delete;
    [[nodiscard]] int get() const { return handle_; }

  private:
    int handle_;
};

// Why not; empty: `into` holds it.
std::string read_file(const std::string& path, std::string& into) {
    const FileHandle file(path);
    struct stat about {};
    if (file.get() < 0 || ::fstat(file.get(), &about) != 0)
        return "cannot be read: " + std::string(std::strerror(errno));
    if (!S_ISREG(about.st_mode)) return "cannot be read: not a plain file";
    std::string bytes(schema_bytes_max + 1, '\0');
    std::size_t count = 0;
    while (count < bytes.size()) {
        const ssize_t more = ::read(file.get(), bytes.data() + count, bytes.size() - count);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return "cannot be read: " + std::string(std::strerror(errno));
        if (more == 0) break;
        count += static_cast<std::size_t>(more);
    }
    if (count > schema_bytes_max) return "is longer than " + control::bytes_text(schema_bytes_max);
    bytes.resize(count);
    into = std::move(bytes);
    return {};
}

Result<rules::FlatSchema> schema_of(const PayloadConfig& payload) {
    return rules::FlatSchema::load({.content_type = payload.content_type, .root = payload.root, .types = payload.type},
                                   std::as_bytes(std::span(payload.schema_bytes.data(), payload.schema_bytes.size())));
}

}  // namespace

PayloadFault payload_fault(const PayloadConfig& payload) {
    const auto star = payload.type.find('*');
    if (star != std::string::npos && star + 1 != payload.type.size()) {
        return {"type", "may have '*' only as its last letter"};
    }
    if (payload.type.size() > wire::type_bytes_max) return {"type", "is longer than 128 bytes"};
    if (payload.content_type.size() > wire::content_type_bytes_max) return {"content_type", "is longer than 128 bytes"};
    const bool is_json = rules::is_json(payload.content_type);
    if (is_json && !payload.schema.empty()) return {"schema", "is for FlatBuffers: a JSON payload needs none"};
    if (!is_json && payload.schema.empty() && !payload.content_type.empty()) return {"schema", "is missing"};
    if (payload.schema.empty() && !payload.root.empty()) return {"root", "needs a schema"};
    return {};
}

PayloadFault load_schema(PayloadConfig& payload, const std::string& config_path) {
    const auto folder = std::filesystem::path(config_path).parent_path();
    if (auto why = read_file((folder / payload.schema).string(), payload.schema_bytes); !why.empty()) {
        return {"schema", std::move(why)};
    }
    const auto schema = schema_of(payload);
    if (schema.ok()) return {};
    // A schema without a root_type is as good as one with it where a root is named.
    const bool is_no_schema = schema.error().what.find("binary FlatBuffers schema") != std::string::npos;
    return {is_no_schema || payload.root.empty() ? "schema" : "root", schema.error().what};
}

std::vector<rules::FlatSchema> flat_schemas_of(const EdgeConfig& config) {
    std::vector<rules::FlatSchema> schemas;
    for (const PayloadConfig& payload : config.payloads) {
        if (payload.schema.empty()) continue;
        auto schema = schema_of(payload);
        WEIR_ASSERT(schema.ok());  // load_schema has seen it
        schemas.push_back(std::move(schema.value()));
    }
    return schemas;
}

std::string payloads_text(const EdgeConfig& config) {
    std::string out;
    for (const PayloadConfig& payload : config.payloads) {
        out += "payload  " + payload.type + "  " + payload.content_type;
        if (!payload.schema.empty()) {
            const auto schema = schema_of(payload);
            WEIR_ASSERT(schema.ok());
            out += "  " + payload.schema + ": table " + schema.value().root_name() + ", " +
                   control::bytes_text(payload.schema_bytes.size());
        }
        out += '\n';
    }
    return out;
}

}  // namespace weir::edge
