// The physics inputs beside experiments: solar model, spectra, oscillation parameters, shells, bound-electron factors.
#include "host/inputs/inputs.hpp"
#include "tests/fuzz/bundle.hpp"

namespace
{

constexpr char const solar_model[] = R"(title = "sun"
reference = "none"
production = "production.txt"
[[source]]
name = "pp"
flux = 5.98e10
flux_uncertainty = 0.006
zone = "pp"
spectrum = "spectrum.txt"
[[source]]
name = "7be"
flux = 4.93e9
flux_uncertainty = 0.06
zone = "be7"
lines = [{ energy_keV = 861.8, fraction = 0.9 }, { energy_keV = 384.3, fraction = 0.1 }]
)";
constexpr char const production[] = R"(# columns: radius [R_sun], log10_electron_density [log10(N_A/cm^3)], pp [1], be7 [1]
0.1 1.9 0.5 0.9
0.2 1.6 0.4 0.1
0.3 1.3 0.1 0
)";
constexpr char const spectrum[] = R"(# columns: energy [MeV], spectrum [1/MeV]
0.1 2.5
0.3 5
0.42 0
)";
constexpr char const oscillation[] = R"(title = "oscillations"
reference = "none"
sin2_theta12 = 0.318
sin2_theta13 = 0.022
sin2_theta23 = 0.574
dm21_eV2 = 7.5e-5
dm31_eV2 = 2.55e-3
delta_cp_over_pi = 1.08
sin2_theta12_error = 0.016
)";
constexpr char const shells[] = R"(# columns: binding_energy [eV], electrons [1]
12.1 8
67.5 18
34561 2
)";
constexpr char const factors[] = R"(# columns: energy [keV], rrpa [1]
0.1 0.5
1 0.8
30 1
)";

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    static fuzz::BundleFolder folder{{{"solar/sun.toml", solar_model},
                                      {"solar/production.txt", production},
                                      {"solar/spectrum.txt", spectrum},
                                      {"solar/oscillation_fuzz.toml", oscillation},
                                      {"xenon/shells_fuzz.txt", shells},
                                      {"xenon/rrpa_e.txt", factors},
                                      {"xenon/rrpa_mutau.txt", factors}}};
    folder.lay_out(fuzz::split_bundle(fuzz::as_text(data, size), ""));
    fuzz::answers([&] {
        DataFolder data_folder{folder.path()};
        InputChoice choice;
        choice.solar = "sun";
        choice.oscillation = "fuzz";
        choice.shells = "fuzz";
        choice.electrons = "rrpa";
        Inputs const inputs = load_inputs(data_folder, choice, {});
        fuzz::require(!inputs.solar.sources.empty() && inputs.rrpa.size() == 3, "nothing that is needed is missing");
        for (SolarSource const& source : inputs.solar.sources)
        {
            fuzz::require(source.zone_weight.size() == inputs.solar.electron_density.size(), "every zone has a weight");
            fuzz::require(source.energy.size() == source.density.size(), "spectra are whole");
            fuzz::require(source.energy.empty() != source.lines.empty(), "a source is a spectrum or lines");
        }
        for (Curve const& factor : inputs.rrpa)
            for (double const energy : {0.0, 0.5, 5.0, 1e3})
                factor(energy);
    });
    return 0;
}
