// Grid files: everything that reads one, and the canonical form that goes into surfaces and journals.
#include "host/scan/configuration.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    fuzz::InputFile const file{fuzz::as_text(data, size)};
    fuzz::answers([&] {
        ScanConfiguration const configuration = read_configuration(file.path());
        fuzz::require(!configuration.axes.empty() && configuration.size() > 0, "an accepted grid has points");
        std::string const canonical = canonical_form(configuration);
        // An accepted grid can be continued: what is stored of it says the same when it is read back.
        bool const read_back = fuzz::answers(
            [&] { fuzz::require(canonical_form(parse_canonical(canonical)) == canonical, "the canonical form is stable"); });
        fuzz::require(read_back, "the canonical form of an accepted grid is readable");
        ScanConfiguration coarse = configuration;
        limit_nodes(coarse, 3);
        coarse.size();
    });
    return 0;
}
