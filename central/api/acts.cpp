#include "central/api/acts.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"
#include "core/base/clock.hpp"
#include "core/control/admin_target.hpp"
#include "core/control/letters_act.hpp"

namespace weir::central {
namespace {

using control::AdminAct;
using control::AdminResponse;

constexpr std::string_view lanes_head = "/api/v1/lanes/";
constexpr std::string_view letters_head = "/api/v1/dead-letters/";
constexpr std::string_view silences_path = "/api/v1/alerts/silences";

// The control thread takes it as if a person had sent it.
AdminResponse signal_self(int signal, std::string_view done) {
    if (::kill(::getpid(), signal) != 0) return problem(503, "the signal could not be sent");
    return json_answer(ObjectText().text("done", done).end(), 202);
}

std::string without_newline(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace

const std::vector<control::AccessRule>& access_rules() {
    using control::Role;
    static const std::vector<control::AccessRule> rules{
        {.is_act = false, .path = "/healthz", .role = {}},
        {.is_act = false, .path = "/", .role = {}},
        {.is_act = false, .path = "/assets/*", .role = {}},
        {.path = "/api/v1/lanes/*", .role = Role::operator_},
        {.path = "/api/v1/dead-letters/*", .role = Role::replayer, .needs_reason = true},
        {.path = "/api/v1/alerts/silences*", .role = Role::operator_, .needs_reason = true},
        {.path = "/api/v1/reload", .role = Role::operator_},
        {.path = "/api/v1/drain", .role = Role::operator_, .needs_reason = true},
    };
    return rules;
}

AdminResponse Acts::act(const AdminAct& asked) {
    const std::string_view path = control::path_of(asked.target);
    if (path.starts_with(letters_head)) return on_letters(asked);
    if (path.starts_with(lanes_head)) return hold_lane(asked.target);
    if (path == silences_path) return silence(asked);
    if (path.starts_with(silences_path)) return end_silence(asked.target);
    Query query(asked.target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    if (path == "/api/v1/reload") return signal_self(SIGHUP, "the files are read again");
    if (path == "/api/v1/drain") return signal_self(SIGTERM, "draining");
    return problem(404, "there is no such act");
}

AdminResponse Acts::hold_lane(std::string_view target) {
    constexpr std::string_view hold = "/hold", release = "/release";
    Query query(target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    std::string_view name = control::path_of(target).substr(lanes_head.size());
    const bool is_hold = name.ends_with(hold);
    if (!is_hold && !name.ends_with(release)) return problem(404, "there is no such act");
    name.remove_suffix((is_hold ? hold : release).size());
    if (!wire::is_name(name, wire::lane_name_bytes_max)) return problem(400, "not a lane's name");
    if (!sources_.shared.holds.set(name, is_hold)) return problem(409, "too many lanes are named");
    wake_();
    return answer_lanes(sources_, "/api/v1/lanes");
}

AdminResponse Acts::on_letters(const AdminAct& asked) {
    const auto mark = asked.target.find('?');
    std::string edge;
    // The whole query is judged where it is used.
    for (std::string_view rest = mark == asked.target.npos ? "" : asked.target.substr(mark + 1); !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        if (one.starts_with("edge=")) edge = decoded(one.substr(5)).value_or("");
    }
    const EdgeNote* const note = note_of(sources_.config.edges, edge);
    AdminResponse done = control::act_on_letters(
        {sources_.config.data_dir, note == nullptr ? std::string() : note->intake,
         edge.empty() ? "name the edge: edge=NAME"
                      : "[[edges]] names no intake for this edge: replay them there, or by weir-central dead-letters "
                        "replay --to"},
        letters_head, asked);
    // Lines say what became of each letter, also where that is not well.
    if (done.status == 200 || done.body.starts_with('{')) return done;
    return problem(done.status, without_newline(std::move(done.body)));
}

AdminResponse Acts::silence(const AdminAct& asked) {
    Query query(asked.target, {"name", "key", "until"});
    const auto name = query.text("name"), key = query.text("key");
    const auto until = query.time("until");
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    const WallNs now = wall_now();
    if (!name || name->empty() || name->size() > SilenceBook::text_bytes_max)
        return problem(400, "name: 1 to 256 bytes");
    if (key && key->size() > SilenceBook::text_bytes_max) return problem(400, "key: at most 256 bytes");
    constexpr std::uint64_t most_ns = SilenceBook::days_max * 86'400 * ns_per_second;
    if (!until || *until <= now.value || *until - now.value > most_ns) {
        return problem(400, "until: from now on, at most 31 days ahead");
    }
    if (sources_.silences == nullptr) return problem(409, "there are no silences here");
    const auto added = sources_.silences->add({.name = *name,
                                               .key = key,
                                               .until_ms = *until / ns_per_ms,
                                               .reason = std::string(asked.reason),
                                               .who = std::string(asked.who)},
                                              now);
    if (added) return answer_silences(sources_, silences_path);
    return problem(added.error().code == SilenceBook::full_code ? 409 : 503, added.error().what);
}

AdminResponse Acts::end_silence(std::string_view target) {
    constexpr std::string_view end = "/end";
    Query query(target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    std::string_view rest = control::path_of(target).substr(silences_path.size());
    if (!rest.starts_with('/') || !rest.ends_with(end) || rest.size() <= end.size()) {
        return problem(404, "there is no such act");
    }
    rest = rest.substr(1, rest.size() - 1 - end.size());
    const auto id = number_of(rest);
    if (!id) return problem(400, "not a silence's id");
    if (sources_.silences == nullptr) return problem(404, "there is no such silence");
    const auto ended = sources_.silences->end(*id, wall_now());
    if (!ended) return problem(503, ended.error().what);
    if (!ended.value()) return problem(404, "there is no such silence");
    return answer_silences(sources_, silences_path);
}

}  // namespace weir::central
