// Our unsmeared Standard-Model spectrum against spectra that others published for the same target.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "host/prepare/solar_moments.hpp"
#include "host/support/toml_reader.hpp"
#include "tests/support/real_inputs.hpp"
#include "tests/support/tolerance.hpp"

namespace nuscan
{
namespace
{

/// dR/dT of the SM [1/(t yr keV)] with the inputs of a choice.
class Spectrum
{
public:
    explicit Spectrum(InputChoice const& choice)
        : data_(shipped_data())
        , inputs_(load_inputs(data_, choice, {}))
        , moments_(inputs_, 1)
    {
    }

    double operator()(double recoil) const
    {
        double moments[n_moments];
        moments_(recoil, moments);
        double const electrons = inputs_.constants.atom_seconds_per_tonne_year() * effective_charge(inputs_.shells, recoil);
        double rate = 0.0;
        for (int f = 0; f < n_flavours; ++f)
        {
            auto const g = sm_coupling(f, inputs_.constants.sin2_theta_w);
            double const factor = inputs_.rrpa.empty() ? 1.0 : inputs_.rrpa[static_cast<std::size_t>(f)](recoil);
            rate += electrons / factor * electroweak_form(g, g, recoil, inputs_.constants).dot(moments + f * n_energy_powers);
        }
        return rate;
    }

private:
    DataFolder data_;
    Inputs inputs_;
    SolarMoments moments_;
};

/// Energies this close to a shell's binding energy [keV] are left out: others smear or sample the step.
constexpr double near_step = 0.3;

bool is_near_step(double energy)
{
    auto const& binding = prepared({"xenonnt_sr0"})->inputs().shells.binding_energy;
    return std::any_of(binding.begin(), binding.end(), [&](double b) { return std::fabs(b - energy) < near_step; });
}

TEST(ForeignRates, XenonntSolarComponent)
{
    // Digitised from the collaboration's figure: 1% is its stated agreement, half a percent its reading error.
    double const digitised = 0.015;
    Spectrum const spectrum({});
    DataFolder data = shipped_data();
    Table const table = data.table("published/er_rates/xenonnt_solar.txt");
    int compared = 0;
    double mean = 0.0;
    for (std::size_t i = 0; i < table.rows(); ++i)
    {
        double const energy = table.column("energy")[i];
        if (energy < 2.0 || energy > 30.0 || is_near_step(energy))
            continue;
        double const ratio = spectrum(energy) / table.column("rate")[i];
        EXPECT_NEAR(ratio, 1.0, digitised) << energy << " keV";
        mean += ratio;
        ++compared;
    }
    ASSERT_GT(compared, 10);
    EXPECT_NEAR(mean / compared, 1.0, 0.01);
}

TEST(ForeignRates, LzSpectrumNeedsBoundElectrons)
{
    // LZ's own code with RRPA factors: ours with the same factors agrees to 1.5%; without them it is 13 to 28% too high. The
    // table leaves out pep, hep, 8B: 0.3%.
    double const stated = 0.02;
    InputChoice choice;
    choice.electrons = "rrpa";
    Spectrum const bound(choice);
    Spectrum const step({});
    DataFolder data = shipped_data();
    Table const table = data.table("published/er_rates/lz_dmcalc.txt");
    int compared = 0;
    for (std::size_t i = 0; i < table.rows(); ++i)
    {
        double const energy = table.column("energy")[i];
        if (energy < 2.0 || energy > 29.0 || is_near_step(energy))
            continue;
        EXPECT_NEAR(bound(energy) / table.column("rate")[i], 1.0, stated) << energy << " keV";
        EXPECT_GT(step(energy) / table.column("rate")[i], 1.10) << energy << " keV";
        ++compared;
    }
    EXPECT_GT(compared, 100);
}

TEST(ForeignRates, StepFunctionTable)
{
    // Computed by others with sin^2 theta_W = 0.2387, four printed digits.
    InputChoice choice;
    choice.constants["s_W2"] = 0.2387;
    Spectrum const step(choice);
    choice.electrons = "rrpa";
    Spectrum const bound(choice);
    DataFolder data = shipped_data();
    auto const file = TomlReader::parse(data.read("published/er_rates/step_function_rate.toml"), "step_function_rate.toml");
    for (auto const& point : file.tables("point"))
    {
        double const energy = point.number("energy_keV");
        EXPECT_NEAR(step(energy), point.number("step"), 1e-3) << energy; // printed digits
        if (point.has("step_rrpa"))
        {
            EXPECT_NEAR(bound(energy), point.number("step_rrpa"), 1e-3) << energy;
        }
    }
}

TEST(ForeignRates, OwnCountsAgainstTheCollaborations)
{
    auto const total = [](std::string const& experiment, InputChoice const& choice) {
        DataFolder data = shipped_data();
        Prepared const inputs(load_inputs(data, choice, {experiment}));
        auto const& signal = inputs.experiments().front().sm_signal();
        return std::accumulate(signal.begin(), signal.end(), 0.0);
    };
    InputChoice bound;
    bound.electrons = "rrpa";
    double const xenonnt = total("xenonnt_sr0", {}) * 1.16;
    EXPECT_NEAR(xenonnt, 79.9, 0.05);
    EXPECT_NEAR(xenonnt / 78.6, 1.0, 0.02); // the collaboration's own, digitised
    EXPECT_NEAR(total("lz_ws2022", {}), 32.81, 0.005);
    EXPECT_NEAR(total("lz_ws2022", bound), 27.1, 1.6); // LZ: 27.1 +- 1.6
}

} // namespace
} // namespace nuscan
