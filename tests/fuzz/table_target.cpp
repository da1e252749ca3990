// Data tables.
#include <cmath>

#include "host/inputs/table.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    fuzz::answers([&] {
        Table const table = Table::parse(fuzz::as_text(data, size), "table.txt");
        fuzz::require(table.rows() > 0 && !table.names().empty(), "an accepted table holds something");
        for (std::string const& name : table.names())
        {
            auto const& column = table.column(name, table.unit(name));
            fuzz::require(column.size() == table.rows(), "columns are as long as the table");
            for (double const value : column)
                fuzz::require(std::isfinite(value), "values are finite");
            fuzz::answers([&] { table.require_ascending(name); });
            fuzz::answers([&] { table.require_range(name, 0.0, 1.0, "a fraction"); });
        }
        for (std::size_t row = 0; row < table.rows(); ++row)
            fuzz::require(table.line(row) > 0, "rows know their line");
        fuzz::answers([&] { table.column("energy"); });
    });
    return 0;
}
