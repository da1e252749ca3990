// Every host-device function of include/ in a kernel: index, guard, call. Compiled, never launched; a formula that uses a host-only
// function stops the build here.
#include "nuscan/detector/response.hpp"
#include "nuscan/physics/kinematics.hpp"
#include "nuscan/physics/transition_moments.hpp"
#include "nuscan/scan/problem_view.hpp"

#include <type_traits>

namespace nuscan
{

static_assert(std::is_trivially_copyable_v<ProblemView>, "kernels take the problem by value");
static_assert(std::is_trivially_copyable_v<ModelPoint>);
static_assert(std::is_trivially_copyable_v<FitResult>);

__device__ inline long global_index()
{
    return static_cast<long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// Direct route: rates, then the profiled chi^2.
__global__ void direct_points(ProblemView problem, long n, double* rates, double* chi2, std::uint8_t* status)
{
    long const index = global_index();
    if (index >= n)
        return;
    std::int64_t node[max_axes];
    problem.grid.nodes(index, node);
    double* const mine = rates + index * problem.layout.n_slots;
    point_rates_direct(problem, node, mine);
    FitResult const result = profile_chi2(problem.fit, mine);
    chi2[index] = result.chi2;
    status[index] = static_cast<std::uint8_t>(result.status);
}

/// Templates of one mass combination per thread.
__global__ void fold_combinations(ProblemView problem, long n, double* templates)
{
    long const combination = global_index();
    if (combination < n)
        fold_combination(problem, combination, templates + combination * problem.layout.size());
}

/// Cross section of one interaction at each recoil energy.
template<class Interaction>
__global__ void interaction_at(long n, double const* recoil, double mass, Constants constants, double* out)
{
    long const index = global_index();
    if (index >= n)
        return;
    if constexpr (Interaction::channel == Channel::incoherent)
        out[index] = Interaction::cross_section(recoil[index], mass, constants)(recoil[index]);
    else
        out[index] = Interaction::amplitude(recoil[index], mass, constants);
}

template<class... Ts>
void instantiate(InteractionList<Ts...>)
{
    (interaction_at<Ts><<<1, 32>>>(0, nullptr, 1.0, Constants{}, nullptr), ...);
}

void instantiate_interactions()
{
    instantiate(Interactions{});
}

/// Electroweak couplings, kinematics, oscillation, resolution and transition moments.
__global__ void formulas(long n, double const* energy, OscillationParameters osc, Constants constants, TransitionMoments moments,
                         double* out)
{
    long const index = global_index();
    if (index >= n)
        return;
    double const e = energy[index];
    double const p_e1 = solar_p_e1(e, 100.0, osc);
    double const p_ee = solar_p_ee(p_e1, osc);
    auto const coupling = sm_coupling(0, constants.sin2_theta_w, true);
    double const probability[n_flavours] = {p_ee, solar_p_emu(p_ee, osc), solar_p_etau(p_ee, osc)};
    out[index] = electroweak_form(coupling, coupling, 0.01 * e, constants)(e) + minimum_neutrino_energy(e, constants.electron_mass)
                 + maximum_recoil_energy(e, constants.electron_mass) + gaussian_kernel(e, 1.0)
                 + effective_moment_squared(0, 1.0, e, moments, mixing_matrix(osc), osc, constants)
                 + averaged_moment_squared(probability, moments) + solar_moment_squared(moments, p_e1, osc);
}

} // namespace nuscan
