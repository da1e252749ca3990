// The texts that surfaces and journals keep of a scan: canonical configurations and descriptions of journals, both JSON.
#include "host/scan/configuration.hpp"
#include "host/scan/identity.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    std::string const text{fuzz::as_text(data, size)};
    fuzz::answers([&] {
        ScanConfiguration const configuration = parse_canonical(text);
        std::string const canonical = canonical_form(configuration);
        fuzz::require(canonical_form(parse_canonical(canonical)) == canonical, "the canonical form is stable");
        fuzz::require(configuration_differences(canonical, canonical, {}).empty(), "a configuration is the same as itself");
        configuration.size();
    });
    fuzz::answers([&] {
        JournalDescription const description = parse_description(text);
        fuzz::require(identity_differences(description.identity, description.identity, {}).empty(), "a scan is the same as itself");
        JournalDescription other;
        other.identity.configuration = "{}";
        differences_text(identity_differences(description.identity, other.identity, {}));
        parse_description(description_text(description));
    });
    return 0;
}
