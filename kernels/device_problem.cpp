#include "kernels/device_problem.hpp"

#include <type_traits>

namespace nuscan::cuda
{

DeviceProblem::DeviceProblem(ProblemView const& host) : view_(host)
{
    auto const size = [](auto n) { return static_cast<std::size_t>(n); };
    for (int a = 0; a < view_.grid.n_axes; ++a)
        move(view_.grid.values[a], size(view_.grid.shape[a]));
    for (int e = 0; e < view_.n_experiments; ++e)
    {
        ResponseView& response = view_.response[e];
        auto const nodes = size(response.n_nodes);
        move(response.recoil, nodes);
        move(response.moments, nodes * n_moments);
        move(response.fold, nodes * size(response.stride));
        move(response.first_bin, nodes);
        move(response.last_bin, nodes);
    }
    FitView& fit = view_.fit;
    auto const slots = size(fit.n_slots);
    auto const pulls = size(fit.n_pulls);
    move(fit.used, slots);
    move(fit.pull_sigma, pulls);
    auto const counted = size(fit.counted.n);
    move(fit.counted.slot, counted);
    move(fit.counted.data, counted);
    move(fit.counted.inverse, counted);
    move(fit.counted.base, counted);
    move(fit.counted.templates, counted * pulls);
    move(fit.empty, slots);
    move(fit.empty_templates, pulls);
    auto const gaussian = size(fit.n_gaussian);
    move(fit.gaussian_slot, gaussian);
    move(fit.gaussian_data, gaussian);
    move(fit.gaussian_weight, gaussian);
    move(fit.gaussian_base, gaussian);
    move(fit.gaussian_templates, gaussian * pulls);
    move(fit.gaussian);
    move(fit.start);
}

template<class T>
void DeviceProblem::move(T const*& pointer, std::size_t size)
{
    DeviceArray<T> copy(pointer, size);
    pointer = copy.data();
    if constexpr (std::is_same_v<T, int>)
        ints_.push_back(std::move(copy));
    else
        doubles_.push_back(std::move(copy));
}

void DeviceProblem::move(QuadraticView& form)
{
    auto const slots = static_cast<std::size_t>(view_.fit.n_slots);
    auto const pulls = static_cast<std::size_t>(view_.fit.n_pulls);
    move(form.weight, slots);
    move(form.residual, slots);
    move(form.weighted, pulls * slots);
    move(form.gradient, pulls);
    move(form.hessian, pulls * pulls);
}

std::size_t DeviceProblem::bytes() const
{
    std::size_t total = 0;
    for (auto const& array : doubles_)
        total += array.size() * sizeof(double);
    for (auto const& array : ints_)
        total += array.size() * sizeof(int);
    return total;
}

} // namespace nuscan::cuda
