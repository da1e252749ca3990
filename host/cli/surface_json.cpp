#include "host/cli/surface_json.hpp"

#include <fmt/format.h>

#include "host/support/text.hpp"

namespace nuscan::cli
{

namespace
{

using Json = nlohmann::ordered_json;

Json point_json(PointRecord const& point)
{
    Json json{{"chi2", point.chi2}, {"parameters", point.parameters}, {"pulls", point.pulls}};
    if (point.index >= 0)
        json["index"] = point.index;
    return json;
}

} // namespace

DerivedNames derived_names(DerivedResults const& results)
{
    DerivedNames names;
    for (ProfileRecord const& profile : results.profiles)
        names.profiles.push_back(profile.name());
    for (LimitRecords const& records : results.limits)
    {
        for (IntervalRecord const& record : records.intervals)
            names.limits.push_back(fmt::format("{} at {}", record.parameter, cl_name(record.cl)));
        for (CurveRecord const& record : records.curves)
            names.limits.push_back(fmt::format("{}_{} at {}", record.parameter, record.definition, cl_name(record.cl)));
        for (ContourRecord const& record : records.contours)
            names.contours.push_back(fmt::format("{} at {}", join(record.axes, ","), cl_name(record.cl)));
    }
    return names;
}

Json info_json(SurfaceReader const& file, DerivedNames const& derived)
{
    auto const& meta = file.meta();
    auto const& layout = file.layout();
    Json json{{"title", meta.title}, {"experiments", meta.experiments}, {"axes", Json::array()}};
    for (auto const& axis : layout.axes)
        json["axes"].push_back({{"name", axis.name},
                                {"unit", axis.unit},
                                {"min", axis.values.front()},
                                {"max", axis.values.back()},
                                {"n", axis.values.size()},
                                {"scale", axis.scale == AxisScale::log ? "log" : "linear"}});
    json["points"] = layout.size();
    json["range"] = {layout.range.begin, layout.range.end};
    json["complete"] = layout.range.size() == layout.size();
    json["shard"] = meta.shard_count > 0 ? Json{meta.shard_index, meta.shard_count} : Json(nullptr);
    json["shards"] = Json::array();
    for (SurfaceMeta const& shard : meta.shards)
        json["shards"].push_back({{"file", shard.file},
                                  {"range", {shard.range.begin, shard.range.end}},
                                  {"host", shard.host},
                                  {"device", shard.device},
                                  {"start_utc", shard.start_utc},
                                  {"stop_utc", shard.stop_utc}});
    json["failed"] = meta.failed;
    json["best_fit"] = point_json(file.best_fit());
    json["null"] = point_json(file.null());
    json["status"] = {
        {"not_converged", meta.not_converged}, {"not_finite", meta.not_finite}, {"direct_fallback", meta.direct_fallback}};
    json["self_check"] = {{"points", meta.self_check.points},
                          {"worst", meta.self_check.worst},
                          {"tolerance", meta.self_check.tolerance},
                          {"passed", meta.self_check.passed}};
    json["configuration"] = meta.configuration;
    json["results_version"] = meta.results_version;
    json["configuration_sha256"] = meta.configuration_sha256;
    json["data_sha256"] = meta.data_sha256;
    json["data_folder"] = meta.data_folder;
    json["command_line"] = meta.command_line;
    json["program"] = {{"version", meta.version},
                       {"commit", meta.commit},
                       {"modified", meta.dirty},
                       {"compiler", meta.compiler},
                       {"cuda", meta.cuda}};
    json["run"] = {{"backend", meta.backend},
                   {"device", meta.device},
                   {"route", meta.route},
                   {"threads", meta.threads},
                   {"host", meta.host},
                   {"start_utc", meta.start_utc},
                   {"stop_utc", meta.stop_utc},
                   {"wall_time_s", meta.wall_time_s},
                   {"compute_time_s", meta.compute_time_s},
                   {"points_per_s", meta.points_per_s}};
    json["derived"] = {{"profiles", derived.profiles}, {"limits", derived.limits}, {"contours", derived.contours}};
    return json;
}

} // namespace nuscan::cli
