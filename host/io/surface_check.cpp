#include "host/io/surface_check.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "host/support/sha256.hpp"
#include "host/support/text.hpp"

namespace nuscan
{

namespace
{

/// Points read at a time.
constexpr std::int64_t block_size = 1 << 20;

/// Reads \p read in blocks of as many points as hold \p per_point values each in bounded memory.
template<class Read>
void read_all(IndexRange range, std::size_t per_point, Read const& read)
{
    auto const step = std::max<std::int64_t>(1, block_size / static_cast<std::int64_t>(per_point));
    for (std::int64_t begin = range.begin; begin < range.end; begin += step)
        read(IndexRange{begin, std::min(begin + step, range.end)});
}

} // namespace

std::vector<std::string> check_contents(SurfaceReader const& file)
{
    std::vector<std::string> problems;
    auto const& layout = file.layout();
    auto const& meta = file.meta();
    double lowest = NAN;
    std::int64_t lowest_index = -1;
    std::int64_t missing = 0;
    std::int64_t inconsistent = 0;
    std::int64_t count[4] = {};
    for (std::int64_t begin = layout.range.begin; begin < layout.range.end; begin += block_size)
    {
        IndexRange const block{begin, std::min(begin + block_size, layout.range.end)};
        auto const chi2 = file.chi2(block);
        auto const status = file.status(block);
        for (std::size_t i = 0; i < chi2.size(); ++i)
        {
            if (status[i] > 3)
            {
                ++missing;
                continue;
            }
            ++count[status[i]];
            bool const ok = status[i] <= static_cast<std::uint8_t>(PointStatus::ok_direct);
            inconsistent += ok != std::isfinite(chi2[i]);
            if (std::isfinite(chi2[i]) && (lowest_index < 0 || chi2[i] < lowest))
            {
                lowest = chi2[i];
                lowest_index = begin + static_cast<std::int64_t>(i);
            }
        }
    }
    // For their checksums alone.
    for (std::string const& pull : layout.pulls)
        read_all(layout.range, 1, [&](IndexRange block) { file.pull(pull, block); });
    for (RateRecord const& rate : layout.rates)
        read_all(layout.range, rate.edges.size() - 1, [&](IndexRange block) { file.rates(rate.experiment, block); });
    if (missing > 0)
        problems.push_back(fmt::format("{} never computed", counted(missing, "point")));
    if (inconsistent > 0)
        problems.push_back(fmt::format("{} with a status that contradicts chi2", counted(inconsistent, "point")));
    if (lowest_index != file.best_fit().index || (lowest_index >= 0 && lowest != file.best_fit().chi2))
        problems.push_back(fmt::format("the best fit is recorded at point {} with chi2 = {:.9g}, but lies at {} with {:.9g}",
                                       file.best_fit().index, file.best_fit().chi2, lowest_index, lowest));
    if (count[2] != meta.not_converged || count[3] != meta.not_finite || count[1] != meta.direct_fallback)
        problems.push_back("the counts of failed points differ from the record");
    if (sha256(meta.configuration_canonical) != meta.configuration_sha256)
        problems.push_back("the configuration does not have the recorded SHA-256");
    if (meta.failed || !meta.self_check.passed)
        problems.push_back(fmt::format("the scan failed its self-check (worst deviation {:.1e}, bound {:.0e})",
                                       meta.self_check.worst, meta.self_check.tolerance));
    return problems;
}

} // namespace nuscan
