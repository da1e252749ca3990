#include "host/scan/profile.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/text.hpp"
#include "nuscan/scan/reductions.hpp"

namespace nuscan
{

namespace
{

/// Points read at a time: 8 MB.
constexpr std::int64_t block_size = 1 << 20;

/// Takes the values of a surface in flat order and keeps the lowest for each node of the kept axes.
class Profiler
{
public:
    Profiler(SurfaceLayout const& layout, std::vector<std::string> const& keep)
    {
        record_.axes = keep;
        std::int64_t kept_size = 1;
        std::int64_t profiled_size = 1;
        for (std::size_t a = layout.axes.size(); a-- > 0;)
        {
            AxisRecord const& axis = layout.axes[a];
            auto const n = static_cast<std::int64_t>(axis.values.size());
            bool const kept = std::find(keep.begin(), keep.end(), axis.name) != keep.end();
            std::int64_t& size = kept ? kept_size : profiled_size;
            axes_.insert(axes_.begin(), {n, kept ? size : 0, kept ? 0 : size});
            size *= n;
            if (!kept)
                record_.profiled_axes.insert(record_.profiled_axes.begin(), axis.name);
        }
        lowest_.resize(static_cast<std::size_t>(kept_size));
        nodes_.assign(axes_.size(), 0);
    }

    /// The next values of the surface.
    void take(std::vector<double> const& chi2)
    {
        Axis const& row = axes_.back();
        for (std::size_t i = 0; i < chi2.size();)
        {
            std::int64_t kept = 0;
            std::int64_t profiled = 0;
            for (std::size_t a = 0; a < axes_.size(); ++a)
            {
                kept += nodes_[a] * axes_[a].kept_stride;
                profiled += nodes_[a] * axes_[a].profiled_stride;
            }
            std::int64_t const n = std::min(row.n - nodes_.back(), static_cast<std::int64_t>(chi2.size() - i));
            for (std::int64_t j = 0; j < n; ++j, ++i)
            {
                IndexedValue& value = lowest_[static_cast<std::size_t>(kept + j * row.kept_stride)];
                value = LowerValue{}(value, indexed_value(chi2[i], profiled + j * row.profiled_stride));
            }
            nodes_.back() += n;
            for (std::size_t a = axes_.size(); a-- > 1 && nodes_[a] == axes_[a].n;)
            {
                nodes_[a] = 0;
                ++nodes_[a - 1];
            }
        }
    }

    ProfileRecord finish()
    {
        record_.chi2.reserve(lowest_.size());
        for (IndexedValue const& value : lowest_)
            record_.chi2.push_back(value.index < 0 ? NAN : value.value);
        for (Axis const& axis : axes_)
        {
            if (axis.profiled_stride == 0)
                continue;
            auto& index = record_.index.emplace_back();
            index.reserve(lowest_.size());
            for (IndexedValue const& value : lowest_)
                index.push_back(value.index < 0 ? -1 : value.index / axis.profiled_stride % axis.n);
        }
        return std::move(record_);
    }

private:
    struct Axis
    {
        std::int64_t n;
        std::int64_t kept_stride;     ///< in the result, 0 if the axis is not kept
        std::int64_t profiled_stride; ///< among the points minimised over, 0 if the axis is kept
    };

    ProfileRecord record_;
    std::vector<Axis> axes_;
    std::vector<std::int64_t> nodes_;  ///< of the next value
    std::vector<IndexedValue> lowest_; ///< with the index among the points minimised over
};

} // namespace

std::vector<std::string> kept_axes(SurfaceLayout const& layout, std::vector<std::string> const& names)
{
    std::vector<std::string> all;
    for (AxisRecord const& axis : layout.axes)
        all.push_back(axis.name);
    if (names.empty())
        throw InputError(fmt::format("--keep: name an axis to keep; the surface has {}", join(all)));
    for (std::string const& name : names)
    {
        if (std::find(all.begin(), all.end(), name) == all.end())
            throw InputError(fmt::format("--keep {}: no axis of this surface{}", name, suggestion(name, all)));
        if (std::count(names.begin(), names.end(), name) > 1)
            throw InputError(fmt::format("--keep {}: is given twice", name));
    }
    std::vector<std::string> kept;
    for (std::string const& name : all)
        if (std::find(names.begin(), names.end(), name) != names.end())
            kept.push_back(name);
    return kept;
}

void require_whole_surface(SurfaceReader const& surface, std::string const& path)
{
    IndexRange const range = surface.layout().range;
    std::int64_t const size = surface.layout().size();
    if (range.begin != 0 || range.end != size)
        throw InputError(
            fmt::format("{}: holds points [{}, {}) of {} only; merge all shards first", path, range.begin, range.end, size));
    if (!std::isfinite(surface.best_fit().chi2))
        throw InputError(fmt::format("{}: every point failed, there is no chi^2 in it; nuscan info shows why", path));
}

double reference_chi2(SurfaceReader const& surface)
{
    return std::fmin(surface.best_fit().chi2, surface.meta().chi2_zero);
}

std::vector<ProfileRecord> profile_surface(SurfaceReader const& surface, std::vector<std::vector<std::string>> const& keep)
{
    std::vector<Profiler> profilers;
    for (auto const& axes : keep)
        profilers.emplace_back(surface.layout(), axes);
    IndexRange const range = surface.layout().range;
    for (std::int64_t begin = range.begin; begin < range.end; begin += block_size)
    {
        auto const block = surface.chi2({begin, std::min(begin + block_size, range.end)});
        for (Profiler& profiler : profilers)
            profiler.take(block);
    }
    std::vector<ProfileRecord> records;
    for (Profiler& profiler : profilers)
    {
        records.push_back(profiler.finish());
        records.back().chi2_min = reference_chi2(surface);
        records.back().chi2_zero = surface.meta().chi2_zero;
    }
    return records;
}

} // namespace nuscan
