// Journals: looked into, continued, mended, cut.
#include <algorithm>

#include "host/io/journal.hpp"
#include "host/scan/configuration.hpp"
#include "host/scan/identity.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using namespace nuscan;
    fuzz::InputFile const file{fuzz::as_text(data, size)};
    std::optional<JournalContents> found;
    fuzz::answers([&] { found = Journal::inspect(file.path()); });
    if (!found)
        return 0;
    JournalHead const& head = found->head;
    fuzz::require(found->next >= head.range.begin && found->next <= head.range.end, "a journal ends inside its range");
    fuzz::require(found->whole_bytes + found->useless_bytes == size, "every byte is of use or is not");
    fuzz::answers([&] {
        JournalDescription const description = parse_description(head.description);
        parse_canonical(description.identity.configuration).size();
    });

    // What was found can be continued, and nothing is lost.
    constexpr std::size_t some = 100;
    {
        Journal journal{file.path(), head, false};
        fuzz::require(journal.next() == found->next, "a scan continues where its journal ends");
        std::int64_t next = head.range.begin;
        for (JournalRecord const& record : journal.contents().records)
        {
            fuzz::require(record.range.begin == next && record.range.end > next, "records follow each other");
            next = record.range.end;
        }
        fuzz::require(next == found->next, "what was found is there");
        if (found->next < head.range.end && head.n_pulls < some && head.n_rates < some)
        {
            Chunk chunk;
            chunk.begin = journal.next();
            chunk.resize(1, head.n_pulls, head.n_rates);
            journal.append(chunk);
        }
    }
    auto const again = Journal::inspect(file.path());
    fuzz::require(again && again->next >= found->next && again->useless_bytes == 0, "a continued journal is whole");
    if (!again->records.empty())
    {
        Journal journal{file.path(), head, false};
        // Damaged ones are replaced before anything is dropped.
        for (std::size_t i = 0; i < again->records.size(); ++i)
            if (JournalRecord const record = again->records[i]; !record.known)
            {
                if (record.range.size() > 10000 || head.n_pulls >= some || head.n_rates >= some)
                    return 0;
                Chunk chunk;
                chunk.begin = record.range.begin;
                chunk.resize(record.range.size(), head.n_pulls, head.n_rates);
                journal.replace(i, chunk, "damaged");
            }
        auto const mended = Journal::inspect(file.path());
        fuzz::require(
            mended && mended->records.size() == again->records.size() && mended->next == again->next
                && std::all_of(mended->records.begin(), mended->records.end(), [](auto const& record) { return record.known; }),
            "what was replaced is whole");
        journal.drop_from(again->records.size() / 2);
        auto const left = Journal::inspect(file.path());
        fuzz::require(left && left->records.size() == again->records.size() / 2 && left->next == journal.next(),
                      "what was dropped is gone");
    }
    return 0;
}
