/// \file
/// A prepared problem in the memory of one device.
#pragma once

#include <vector>

#include "kernels/device_memory.hpp"
#include "nuscan/scan/problem_view.hpp"

namespace nuscan::cuda
{

/// Owns device copies of all that a view points to.
class DeviceProblem
{
public:
    /// Copies to the current device.
    explicit DeviceProblem(ProblemView const& host);

    /// The problem with pointers of the device; for kernels, which take it by value.
    ProblemView const& view() const { return view_; }
    std::size_t bytes() const;

private:
    template<class T>
    void move(T const*& pointer, std::size_t size);
    void move(QuadraticView& form);

    ProblemView view_;
    std::vector<DeviceArray<double>> doubles_;
    std::vector<DeviceArray<int>> ints_;
};

} // namespace nuscan::cuda
