/// \file
/// The interface that every backend implements.
#pragma once

#include <cstdint>
#include <string>

namespace nuscan
{

/// How a rate is computed.
enum class Route
{
    automatic, ///< factored
    direct,    ///< spectrum at every node, folded
    factored   ///< templates times monomials; falls back to direct where amplitudes cancel
};

/// What became of a point; the values are those of /grid/status in the output file.
enum class PointStatus : std::uint8_t
{
    ok = 0,            ///< chi^2 found by the route asked for
    ok_direct = 1,     ///< amplitudes cancel: found by the direct route instead of the factored one
    not_converged = 2, ///< the minimisation over the pulls did not converge; chi^2 is NaN
    not_finite = 3     ///< a rate or chi^2 is not a finite number; chi^2 is NaN
};

/// Half-open range of point indices.
struct IndexRange
{
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t size() const { return end - begin; }
};

/// Where a backend writes: arrays over the points of the range, in order. Only chi2 and status are obligatory.
///
/// Of a failed point (status not_converged or not_finite) chi^2 and all pulls are NaN: there is no minimum that they could belong to. Its
/// rates do not depend on the minimisation and are what was computed. If none overflowed they are all finite, and right. If any did, a
/// finite one is right; which bins are infinite or NaN with it is the backend's own, as it may add up zeros times infinity.
struct PointOutputs
{
    double* chi2 = nullptr;
    std::uint8_t* status = nullptr;
    double* pulls = nullptr; ///< n_pulls values per point: the flux pull beta, then each experiment's own pulls in order
    double* rates = nullptr; ///< signal before pulls in every bin of every experiment, in each one's rate unit, per point

    /// Where point number \p point and those behind it go, for \p n_pulls pulls and \p n_bins bins per point.
    PointOutputs from(std::int64_t point, std::int64_t n_pulls, std::int64_t n_bins) const
    {
        return {chi2 + point, status + point, pulls == nullptr ? nullptr : pulls + point * n_pulls,
                rates == nullptr ? nullptr : rates + point * n_bins};
    }
};

/// Evaluates points of one prepared scan problem. Results depend on the point alone: never on the range it was asked in, on the
/// number of threads or on the points around it.
class Backend
{
public:
    virtual ~Backend() = default;

    /// Short name: reference, cpu, cuda.
    virtual std::string name() const = 0;

    /// Fills \p outputs for the points of \p range. Throws RunError if the work cannot be done; a point that fails only gets its
    /// status. Not to be called from several threads at once.
    virtual void evaluate(IndexRange range, PointOutputs const& outputs) = 0;
};

} // namespace nuscan
