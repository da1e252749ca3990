/// \file
/// The list of interactions: a new one is a header in interactions/ and one entry in `Interactions`.
#pragma once

#include <type_traits>

#include "nuscan/physics/interactions/axial_vector.hpp"
#include "nuscan/physics/interactions/charge_radius.hpp"
#include "nuscan/physics/interactions/magnetic_moment.hpp"
#include "nuscan/physics/interactions/millicharge.hpp"
#include "nuscan/physics/interactions/pseudoscalar.hpp"
#include "nuscan/physics/interactions/scalar.hpp"
#include "nuscan/physics/interactions/tensor.hpp"
#include "nuscan/physics/interactions/vector.hpp"

namespace nuscan
{

template<class... Ts>
struct InteractionList
{
    static constexpr int size = static_cast<int>(sizeof...(Ts));
};

/// Every interaction beyond the SM. The order fixes indices inside one build only; files and options use names.
using Interactions = InteractionList<MagneticMoment, Millicharge, ChargeRadius, ScalarMediator, PseudoscalarMediator,
                                     VectorMediator, AxialVectorMediator, TensorMediator>;

inline constexpr int n_interactions = Interactions::size;

namespace detail
{
template<int Index, class Function>
NUSCAN_HD inline void visit_interactions(InteractionList<>, Function&)
{
}

template<int Index, class Function, class First, class... Rest>
NUSCAN_HD inline void visit_interactions(InteractionList<First, Rest...>, Function& function)
{
    function.template operator()<First, Index>();
    visit_interactions<Index + 1>(InteractionList<Rest...>{}, function);
}
} // namespace detail

/// Calls `function.template operator()<Interaction, index>()` for every interaction in order (unrolled at compile time).
template<class Function>
NUSCAN_HD inline void for_each_interaction(Function& function)
{
    detail::visit_interactions<0>(Interactions{}, function);
}

} // namespace nuscan
