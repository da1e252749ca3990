// Surface files, byte by byte.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/surfaces.hpp"

/// HDF5 itself loses memory on damaged metadata.
extern "C" char const* __lsan_default_suppressions();
extern "C" char const* __lsan_default_suppressions()
{
    return "leak:libhdf5";
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    // Another file every time: HDF5 may still have the last one open.
    fuzz::InputFile const file{fuzz::as_text(data, size)};
    fuzz::read_surface(file.path());
    return 0;
}
