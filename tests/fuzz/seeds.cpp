// Writes the first files of the corpora of binary formats: fuzz_seeds CORPUS-FOLDER. To be run again when a format changes.
#include <fstream>

#include "host/io/journal.hpp"
#include "host/scan/configuration.hpp"
#include "host/scan/identity.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/surfaces.hpp"
#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;

namespace nuscan::fuzz
{

namespace
{

void write(fs::path const& path, std::string_view bytes)
{
    fs::create_directories(path.parent_path());
    if (!(std::ofstream{path, std::ios::binary} << bytes))
        report(fmt::format("cannot write {}", path.string()));
}

ScanConfiguration small_scan()
{
    InputFile const grid{"[scan]\nexperiments = [\"toy\"]\n[axes]\nmu_e = { min = 0.0, max = 1e-11, n = 6 }\n"
                         "[fixed]\nmu_mu = 0.0\n[inputs.constants]\ns_W2 = 0.23\n"};
    return read_configuration(grid.path());
}

std::string description()
{
    JournalDescription all;
    all.identity.configuration = canonical_form(small_scan());
    all.identity.data_sha256 = {{"solar/pp.txt", std::string(64, 'a')}};
    all.identity.backend = "cpu";
    all.identity.route = "factored";
    all.identity.range = {0, 6};
    all.title = "toy";
    all.command_line = "nuscan scan grid.toml -o out.h5";
    all.folder = "/tmp";
    all.start_utc = "2026-01-01T00:00:00Z";
    all.instruction_set = "avx2";
    return description_text(all);
}

void write_journal(fs::path const& path, std::size_t n_pulls, std::size_t n_rates, std::int64_t chunks)
{
    fs::create_directories(path.parent_path());
    fs::remove(path);
    Journal journal{path, {description(), n_pulls, n_rates, {0, 6}}, true};
    for (std::int64_t i = 0; i < chunks; ++i)
    {
        Chunk chunk;
        chunk.begin = journal.next();
        chunk.resize(2, n_pulls, n_rates);
        journal.append(chunk);
    }
}

} // namespace

} // namespace nuscan::fuzz

int main(int count, char** arguments)
{
    using namespace nuscan::fuzz;
    if (count != 2)
    {
        fmt::print(stderr, "usage: fuzz_seeds CORPUS-FOLDER\n");
        return 2;
    }
    fs::path const folder = arguments[1];
    write(folder / "surface/whole", surface_bytes(SurfaceKind::whole));
    write(folder / "surface/shard", surface_bytes(SurfaceKind::shard));
    write(folder / "surface/virtual", surface_bytes(SurfaceKind::virtual_));
    // Edits: surface, object, kind of edit, what it needs.
    for (char kind = 0; kind < 9; ++kind)
        for (char surface = 0; surface < 3; ++surface)
            write(folder / "surface_edit" / fmt::format("edit-{}-{}", int{surface}, int{kind}),
                  std::string{surface, static_cast<char>(3 + 5 * kind), kind, 3, 1, 7, 2, 3, 1, 1});
    write_journal(folder / "journal/empty", 0, 0, 0);
    write_journal(folder / "journal/part", 0, 0, 2);
    write_journal(folder / "journal/pulls-and-rates", 2, 3, 3);
    write(folder / "canonical/configuration", canonical_form(small_scan()));
    write(folder / "canonical/description", description());
    return 0;
}
