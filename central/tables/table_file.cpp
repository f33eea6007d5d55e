#include "central/tables/table_file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/base/json_scan.hpp"
#include "core/wire/table.hpp"

namespace weir::central {
namespace {

using wire::Cell;
using wire::CellType;

// A value, and the text that it may point to.
struct Value {
    Cell cell;
    std::string text;
    [[nodiscard]] Cell whole() const {
        Cell made = cell;
        made.text = text;
        return made;
    }
};

struct Place {
    std::size_t line = 1;
    std::size_t column = 1;
};

class TableText {
  public:
    TableText(const std::string& path, std::string_view text) : path_(path), text_(text) {}
    ReadTable read() {
        path_.ends_with(".csv") ? read_csv() : read_ndjson();
        ReadTable made;
        made.errors = std::move(errors_);
        if (made.errors.empty()) made.image = image();
        return made;
    }

  private:
    void fault(Place at, const std::string& what) {
        if (errors_.size() >= table_errors_max) return;
        errors_.push_back(path_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + what);
    }
    [[nodiscard]] bool is_full() const { return errors_.size() >= table_errors_max; }

    // A row's key is known: it is taken if that is allowed.
    void add_row(Place at, const std::string& key, std::map<std::string, Value> values) {
        if (key.empty() || key.size() > wire::table_key_bytes_max) return fault(at, "a key has 1 to 256 bytes");
        if (rows_.size() == wire::table_rows_max) return fault(at, "more rows than a table may have");
        if (!rows_.emplace(key, std::move(values)).second) fault(at, "another row has this key: \"" + key + '"');
    }
    void add_column(Place at, const std::string& name) {
        if (name.empty() || name.size() > wire::table_column_bytes_max) fault(at, "a column's name has 1 to 64 bytes");
        if (columns_.insert(name).second && columns_.size() > wire::table_columns_max) {
            fault(at, "more than 64 columns");
        }
    }
    bool put_text(Place at, std::string text, Value& into) {
        if (text.size() > wire::table_text_bytes_max) {
            fault(at, "a text has at most 1024 bytes");
            return false;
        }
        into.cell.type = CellType::text;
        into.text = std::move(text);
        return true;
    }
    // A number as JSON writes it; false if it is none.
    static bool put_number(std::string_view written, Value& into) {
        JsonFault fault;
        const auto value = json_parse(written, fault);
        if (!value || value->kind != JsonKind::number || value->raw != written) return false;
        if (written.find_first_of(".eE") == std::string_view::npos) {
            const auto end = written.data() + written.size();
            if (std::from_chars(written.data(), end, into.cell.integer).ec == std::errc{}) {
                into.cell.type = CellType::integer;
                return true;
            }
        }
        const auto real = json_number(*value);
        if (!real) return false;
        into.cell.type = CellType::real;
        into.cell.real = *real;
        return true;
    }

    void read_ndjson() {
        Place at;
        std::string_view rest = text_;
        for (; !rest.empty() && !is_full(); ++at.line) {
            const std::size_t end = rest.find('\n');
            const std::string_view line = rest.substr(0, end);
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
            read_json_row(at, line);
        }
    }
    void read_json_row(Place at, std::string_view line) {
        JsonFault fault_at;
        const auto object = json_parse(line, fault_at);
        if (!object) return fault({at.line, fault_at.at + 1}, fault_at.what);
        if (object->kind != JsonKind::object) return fault(at, "a row is an object");
        std::string key;
        bool has_key = false;
        bool is_good = true;
        std::map<std::string, Value> values;
        json_members(object->raw, [&](std::string_view quoted, const JsonValue& value) {
            const Place here{at.line, static_cast<std::size_t>(value.raw.data() - line.data()) + 1};
            std::string name;
            Value made;
            if (!json_text({JsonKind::string, quoted}, name)) {
                is_good = false;
                return fault(here, "a name with half a surrogate pair");
            }
            if (name == "key") {
                has_key = true;
                const bool is_key = value.kind == JsonKind::string
                                        ? (key.clear(), json_text(value, key))
                                        : (put_number(value.raw, made) && made.cell.type == CellType::integer);
                if (is_key && value.kind == JsonKind::number) key = std::to_string(made.cell.integer);
                if (!is_key) is_good = false, fault(here, "a key is a text or a whole number");
                return;
            }
            add_column(here, name);
            is_good = put_json(here, value, made) && is_good;
            values[name] = std::move(made);
        });
        if (!has_key) return fault(at, "a row needs the member \"key\"");
        if (is_good) add_row(at, key, std::move(values));
    }
    bool put_json(Place at, const JsonValue& value, Value& into) {
        std::string text;
        switch (value.kind) {
            case JsonKind::null:
                return true;
            case JsonKind::boolean:
                into.cell.type = CellType::boolean;
                into.cell.integer = value.raw == "true" ? 1 : 0;
                return true;
            case JsonKind::number:
                if (put_number(value.raw, into)) return true;
                fault(at, "a number beyond what can be told apart");
                return false;
            case JsonKind::string:
                if (json_text(value, text)) return put_text(at, std::move(text), into);
                fault(at, "a text with half a surrogate pair");
                return false;
            case JsonKind::array:
            case JsonKind::object:
                break;
        }
        fault(at, "lists and objects are no values of a table");
        return false;
    }

    struct Field {
        Place at;
        std::string text;
        bool is_quoted = false;
    };
    // The fields of the next line (a quoted one may hold line ends); false at the end.
    bool next_fields(std::vector<Field>& fields) {
        fields.clear();
        if (csv_at_ >= text_.size()) return false;
        for (;;) {
            Field field;
            field.at = {csv_line_, csv_at_ - csv_line_begin_ + 1};
            if (csv_at_ < text_.size() && text_[csv_at_] == '"') {
                field.is_quoted = true;
                take_quoted(field);
            } else {
                const std::size_t end = std::min(text_.find_first_of(",\n", csv_at_), text_.size());
                field.text = text_.substr(csv_at_, end - csv_at_);
                csv_at_ = end;
                if (field.text.ends_with('\r')) field.text.pop_back();
            }
            fields.push_back(std::move(field));
            if (csv_at_ >= text_.size()) return true;
            const char c = text_[csv_at_++];
            if (c == ',') continue;
            if (c == '\n') {
                ++csv_line_;
                csv_line_begin_ = csv_at_;
                return true;
            }
            fault({csv_line_, csv_at_ - csv_line_begin_}, "something follows a closing quote");
            csv_at_ = std::min(text_.find_first_of(",\n", csv_at_), text_.size());
        }
    }
    void take_quoted(Field& field) {
        for (++csv_at_; csv_at_ < text_.size(); ++csv_at_) {
            if (text_[csv_at_] == '"') {
                if (csv_at_ + 1 >= text_.size() || text_[csv_at_ + 1] != '"') break;
                ++csv_at_;
            } else if (text_[csv_at_] == '\n') {
                ++csv_line_;
                csv_line_begin_ = csv_at_ + 1;
            }
            field.text += text_[csv_at_];
        }
        if (csv_at_ >= text_.size()) return fault(field.at, "a quote is not closed");
        ++csv_at_;
        if (csv_at_ < text_.size() && text_[csv_at_] == '\r') ++csv_at_;
    }

    struct CsvColumn {
        std::string name;
        CellType type = CellType::null;  // null: whatever it looks like
    };
    void read_csv() {
        std::vector<Field> fields;
        std::vector<CsvColumn> columns;
        if (!next_fields(fields)) return fault({}, "a line of names is missing");
        std::size_t key_at = fields.size();
        for (std::size_t index = 0; index < fields.size(); ++index) {
            CsvColumn column{fields[index].text};
            const auto colon = column.name.rfind(':');
            if (colon != std::string::npos) {
                for (const CellType type : {CellType::boolean, CellType::integer, CellType::real, CellType::text}) {
                    if (text(type) == column.name.substr(colon + 1)) column.type = type;
                }
                if (column.type == CellType::null) fault(fields[index].at, "a type is text, integer, real or boolean");
                column.name.resize(colon);
            }
            if (column.name == "key") {
                if (key_at < fields.size()) fault(fields[index].at, "another column has this name");
                key_at = index;
            } else {
                if (columns_.contains(column.name)) fault(fields[index].at, "another column has this name");
                add_column(fields[index].at, column.name);
            }
            columns.push_back(std::move(column));
        }
        if (key_at == fields.size()) fault({}, "one of the names must be \"key\"");
        while (errors_.empty() || !is_full()) {
            if (!next_fields(fields)) return;
            if (fields.size() == 1 && fields[0].text.empty() && !fields[0].is_quoted) continue;
            if (fields.size() != columns.size()) {
                fault(fields[0].at, "a row of " + std::to_string(fields.size()) + " fields under " +
                                        std::to_string(columns.size()) + " names");
                continue;
            }
            if (key_at < fields.size()) read_csv_row(fields, columns, key_at);
        }
    }
    void read_csv_row(const std::vector<Field>& fields, const std::vector<CsvColumn>& columns, std::size_t key_at) {
        std::map<std::string, Value> values;
        bool is_good = true;
        for (std::size_t index = 0; index < fields.size(); ++index) {
            if (index == key_at) continue;
            is_good = put_csv(fields[index], columns[index].type, values[columns[index].name]) && is_good;
        }
        if (is_good) add_row(fields[key_at].at, fields[key_at].text, std::move(values));
    }
    bool put_csv(const Field& field, CellType type, Value& into) {
        if (!utf8(field)) return false;
        if (field.text.empty() && !field.is_quoted) return true;
        if (type == CellType::text || (type == CellType::null && field.is_quoted)) {
            return put_text(field.at, field.text, into);
        }
        if (field.text == "true" || field.text == "false") {
            into.cell.type = CellType::boolean;
            into.cell.integer = field.text == "true" ? 1 : 0;
        } else if (!put_number(field.text, into)) {
            if (type == CellType::null) return put_text(field.at, field.text, into);
        }
        if (type == CellType::null || into.cell.type == type) return true;
        if (type == CellType::real && into.cell.type == CellType::integer) return true;
        fault(field.at, '"' + field.text + "\" is no " + std::string(wire::text(type)));
        return false;
    }
    bool utf8(const Field& field) {
        std::string_view rest = field.text;
        while (!rest.empty()) {
            const std::size_t bytes = utf8_bytes(rest);
            if (bytes == 0) {
                fault(field.at, "not UTF-8");
                return false;
            }
            rest.remove_prefix(bytes);
        }
        return true;
    }

    [[nodiscard]] std::vector<std::byte> image() const {
        wire::TableWriter writer({columns_.begin(), columns_.end()});
        for (const auto& [key, values] : rows_) {
            std::vector<std::byte> cells;
            for (const std::string& column : columns_) {
                const auto value = values.find(column);
                wire::append_cell(value == values.end() ? Cell{} : value->second.whole(), cells);
            }
            writer.add_row(key, cells);
        }
        return writer.finish();
    }

    const std::string& path_;
    std::string_view text_;
    std::vector<std::string> errors_;
    std::set<std::string> columns_;  // in order: the same rows are the same image
    std::map<std::string, std::map<std::string, Value>> rows_;
    std::size_t csv_at_ = 0;
    std::size_t csv_line_ = 1;
    std::size_t csv_line_begin_ = 0;
};

}  // namespace

ReadTable parse_table(const std::string& path, std::string_view text) {
    return TableText(path, text).read();
}

ReadTable read_table(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    if (!file) return {std::nullopt, {path + ":1:1: cannot be read: " + std::strerror(errno)}};
    return parse_table(path, text.view());
}

}  // namespace weir::central
