#include "host/backends/reductions.hpp"

#include <omp.h>

#include <vector>

namespace nuscan
{

namespace
{

/// Values that one thread takes at a time.
constexpr std::int64_t part_size = 1 << 16;

class HostReductions : public Reductions
{
public:
    explicit HostReductions(int threads) : threads_(threads > 0 ? threads : omp_get_max_threads()) {}

    IndexedValue best_fit(double const* chi2, std::int64_t n) override
    {
        IndexedValue best;
#pragma omp parallel num_threads(threads_)
        {
            IndexedValue own;
#pragma omp for schedule(static) nowait
            for (std::int64_t i = 0; i < n; ++i)
                own = LowerValue{}(own, indexed_value(chi2[i], i));
#pragma omp critical
            best = LowerValue{}(best, own);
        }
        return best;
    }

    void profile(double const* chi2, AxisSplit const& split, double* minimum, std::int64_t* where) override
    {
        // Row by row in the order of memory: the minima of a stretch of inner nodes stay in the cache.
        std::int64_t const stretches = (split.inner + part_size - 1) / part_size;
#pragma omp parallel num_threads(threads_)
        {
            std::vector<IndexedValue> lowest;
#pragma omp for schedule(dynamic, 1) collapse(2)
            for (std::int64_t o = 0; o < split.outer; ++o)
                for (std::int64_t s = 0; s < stretches; ++s)
                {
                    std::int64_t const begin = s * part_size;
                    std::int64_t const end = begin + part_size < split.inner ? begin + part_size : split.inner;
                    lowest.assign(static_cast<std::size_t>(end - begin), IndexedValue{});
                    for (std::int64_t k = 0; k < split.n; ++k)
                    {
                        double const* const row = chi2 + (o * split.n + k) * split.inner;
                        for (std::int64_t i = begin; i < end; ++i)
                        {
                            auto& value = lowest[static_cast<std::size_t>(i - begin)];
                            value = LowerValue{}(value, indexed_value(row[i], k));
                        }
                    }
                    for (std::int64_t i = begin; i < end; ++i)
                    {
                        auto const& value = lowest[static_cast<std::size_t>(i - begin)];
                        minimum[o * split.inner + i] = value.index < 0 ? NAN : value.value;
                        if (where != nullptr)
                            where[o * split.inner + i] = value.index;
                    }
                }
        }
    }

    void delta_chi2(double const* chi2, std::int64_t n, double chi2_min, double* delta) override
    {
#pragma omp parallel for schedule(static) num_threads(threads_)
        for (std::int64_t i = 0; i < n; ++i)
            delta[i] = chi2[i] - chi2_min;
    }

    std::int64_t allowed(double const* chi2, std::int64_t n, double chi2_min, double threshold, std::uint8_t* mask) override
    {
        std::int64_t count = 0;
#pragma omp parallel for schedule(static) num_threads(threads_) reduction(+ : count)
        for (std::int64_t i = 0; i < n; ++i)
        {
            mask[i] = chi2[i] - chi2_min <= threshold ? 1 : 0;
            count += mask[i];
        }
        return count;
    }

private:
    int threads_;
};

} // namespace

std::unique_ptr<Reductions> make_host_reductions(int threads)
{
    return std::make_unique<HostReductions>(threads);
}

} // namespace nuscan
