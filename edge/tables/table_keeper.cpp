#include "edge/tables/table_keeper.hpp"

#include <algorithm>
#include <utility>

#include "core/wire/batch.hpp"

namespace weir::edge {
namespace {

constexpr std::size_t refused_max = 64;

}  // namespace

TableKeeper::TableKeeper(const EdgeConfig& config, TableLink& link, std::function<void()> wake, CachedTables* cached)
    : use_(config.tables.use),
      bytes_max_(config.tables.bytes_max),
      link_(link),
      wake_(std::move(wake)),
      cached_(cached),
      store_(config.data_dir) {
    if (cached_ != nullptr) share_ = std::make_shared<const TableSet>(tables_, use_, cached_);
}

void TableKeeper::load() {
    for (const TableUseConfig& use : use_) {
        if (use.is_cached()) continue;
        LoadedTable loaded = store_.load(use.name, bytes_max_);
        for (std::string& what : loaded.faults) fault(std::move(what));
        if (loaded.table == nullptr) continue;
        if (loaded.table->memory_bytes() > room_for(use.name)) {
            fault(use.name + ": no room for it in tables.bytes_max");
            continue;
        }
        install(std::move(loaded.table));
    }
    has_changed_ = false;
}

bool TableKeeper::look(MonotonicNs now) {
    now_ = now;
    link_.take_frames([this, now](wire::FrameKind kind, ConstBytes body) {
        counts_.received_bytes += body.size();
        heard_at_ = now;
        kind == wire::FrameKind::table_offers ? take_offers(body) : take_chunk(body);
    });
    if (!coming_) begin_next();
    if (coming_ && (coming_->asked_at.value == 0 || now.since(coming_->asked_at) >= ask_again_ns)) ask(now);
    return std::exchange(has_changed_, false);
}

void TableKeeper::take_offers(ConstBytes body) {
    if (body.size() < sizeof(wire::TableOffersHead)) return fault("central's offers are cut");
    const auto head = wire::load<wire::TableOffersHead>(body);
    if (head.tables > wire::tables_max || body.size() != sizeof head + head.tables * sizeof(wire::TableOffer)) {
        return fault("central's offers are not of the length they say");
    }
    offers_.clear();
    for (std::uint32_t index = 0; index < head.tables; ++index) {
        offers_.push_back(wire::load<wire::TableOffer>(body.subspan(sizeof head + index * sizeof(wire::TableOffer))));
    }
    if (!coming_) return;
    const bool is_still_offered = std::any_of(offers_.begin(), offers_.end(), [&](const wire::TableOffer& offer) {
        return wire::name_of(offer.name) == coming_->name && offer.version == coming_->version;
    });
    if (!is_still_offered) coming_.reset();
    if (coming_) coming_->asked_at = {};  // another connection: what is missing is asked for there
}

// The first that is used, offered and not here yet.
void TableKeeper::begin_next() {
    for (const TableUseConfig& use : use_) {
        if (use.is_cached()) continue;
        const auto offer = std::find_if(offers_.begin(), offers_.end(),
                                        [&](const auto& one) { return wire::name_of(one.name) == use.name; });
        if (offer == offers_.end()) continue;
        const ReferenceTable* const here = held(use.name);
        if (here != nullptr && here->version() == offer->version) continue;
        if (std::find(refused_.begin(), refused_.end(), offer->version) != refused_.end()) continue;
        coming_.emplace();
        coming_->name = use.name;
        coming_->version = offer->version;
        coming_->from_version = here == nullptr ? 0 : here->version();
        if (offer->image_bytes > room_for(use.name)) return give_up("it does not fit tables.bytes_max");
        return;
    }
}

void TableKeeper::ask(MonotonicNs now) {
    wire::TablePull pull;
    pull.name = wire::name_field<wire::table_name_bytes_max>(coming_->name);
    pull.version = coming_->version;
    pull.from_version = coming_->from_version;
    pull.offset = coming_->bytes.size();
    coming_->asked_at = now;
    if (link_.pull(pull)) wake_();
}

void TableKeeper::take_chunk(ConstBytes body) {
    if (body.size() < sizeof(wire::TableChunkHead)) return fault("a part of a table is cut");
    const auto head = wire::load<wire::TableChunkHead>(body);
    const ConstBytes bytes = body.subspan(sizeof head);
    // What was asked for before a change of offers, or twice, is nothing new.
    if (!coming_ || wire::name_of(head.name) != coming_->name || head.version != coming_->version) return;
    if (head.from_version != coming_->from_version) {
        // Central has no changes from the version that is here: it sends the image.
        if (head.from_version != 0 || head.offset != 0) return;
        coming_->from_version = 0;
        coming_->bytes.clear();
        coming_->total_bytes = 0;
    }
    if (head.offset != coming_->bytes.size()) return;
    if (coming_->total_bytes == 0) coming_->total_bytes = head.total_bytes;
    const bool fits = head.total_bytes == coming_->total_bytes && head.total_bytes <= bytes_max_ &&
                      bytes.size() <= head.total_bytes - head.offset && !bytes.empty();
    if (!fits) return give_up("a part of it has another length than it says");
    coming_->bytes.insert(coming_->bytes.end(), bytes.begin(), bytes.end());
    if (coming_->bytes.size() == coming_->total_bytes) return finish();
    ask(now_);
}

void TableKeeper::finish() {
    ComingTable& came = *coming_;
    wire::TableInfo info;
    std::vector<std::byte> image;
    const ReferenceTable* const here = held(came.name);
    if (came.from_version == 0) {
        const bool is_what_was_offered = wire::table_version(came.bytes) == came.version;
        const char* const why =
            is_what_was_offered ? wire::check_table(came.bytes, info) : "it is not the version that was offered";
        if (why != nullptr) return give_up(why);
        image = std::move(came.bytes);
        ++counts_.images;
    } else {
        std::optional<std::vector<std::byte>> changed;
        if (here != nullptr) changed = wire::apply_changes(here->image(), came.bytes);
        if (!changed || wire::table_version(*changed) != came.version) {
            // The image will do where the changes did not.
            fault(came.name + ": changes from central do not give the version that was offered");
            came.bytes.clear();
            came.total_bytes = came.from_version = 0;
            return ask(now_);
        }
        image = std::move(*changed);
        const char* const why = wire::check_table(image, info);
        WEIR_ASSERT(why == nullptr);
        ++counts_.changes;
    }
    if (ReferenceTable::memory_bytes_of(image.size(), info.rows) > room_for(came.name)) {
        return give_up("it does not fit tables.bytes_max");
    }
    auto table = std::make_shared<const ReferenceTable>(came.name, std::move(image), std::move(info));
    if (const Status stored = store_.store(*table); !stored) fault("tables: not stored: " + stored.error().what);
    notes_.push_back(TableStore::file_name(table->name(), table->version()) + ": " +
                     std::to_string(table->info().rows) + " rows, " +
                     (came.from_version == 0 ? "taken whole" : "by changes"));
    coming_.reset();
    install(std::move(table));
}

void TableKeeper::give_up(const std::string& why) {
    fault(coming_->name + ": " + why);
    if (refused_.size() == refused_max) refused_.erase(refused_.begin());
    refused_.push_back(coming_->version);
    coming_.reset();
}

void TableKeeper::install(ReferenceTableShare table) {
    std::erase_if(tables_, [&](const ReferenceTableShare& one) { return one->name() == table->name(); });
    tables_.push_back(std::move(table));
    share_ = std::make_shared<const TableSet>(tables_, use_, cached_);
    has_changed_ = true;
    counts_.tables = tables_.size();
    counts_.rows = counts_.memory_bytes = 0;
    for (const ReferenceTableShare& one : tables_) {
        counts_.rows += one->info().rows;
        counts_.memory_bytes += one->memory_bytes();
    }
}

void TableKeeper::fault(std::string what) {
    ++counts_.faults;
    faults_.push_back(std::move(what));
}

const ReferenceTable* TableKeeper::held(std::string_view name) const {
    const auto found =
        std::find_if(tables_.begin(), tables_.end(), [&](const auto& one) { return one->name() == name; });
    return found == tables_.end() ? nullptr : found->get();
}

// What the other tables leave of tables.bytes_max.
std::uint64_t TableKeeper::room_for(std::string_view name) const {
    std::uint64_t used = 0;
    for (const ReferenceTableShare& one : tables_) used += one->name() == name ? 0 : one->memory_bytes();
    return used < bytes_max_ ? bytes_max_ - used : 0;
}

}  // namespace weir::edge
