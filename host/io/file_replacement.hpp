/// \file
/// Changing a finished file so that it is whole at every moment.
#pragma once

#include <filesystem>

namespace nuscan
{

/// A copy of a file to be changed in its stead: \p path itself stays as it is until commit(), which puts the changed copy in its place
/// in one step. Without commit() the copy is removed.
class FileReplacement
{
public:
    /// Copies the file to a sibling. Throws InputError if the folder takes no files, RunError if the disk is full or another nuscan
    /// is changing the same file.
    explicit FileReplacement(std::filesystem::path const& path);
    ~FileReplacement();
    FileReplacement(FileReplacement const&) = delete;
    FileReplacement& operator=(FileReplacement const&) = delete;

    std::filesystem::path const& copy() const { return copy_; }

    /// Renames the copy, which must be on the disk by now. Throws RunError.
    void commit();

private:
    std::filesystem::path path_; ///< without symbolic links
    std::filesystem::path copy_;
    int lock_ = -1;
    bool committed_ = false;
};

/// Renames a file, replacing what has that name, and waits until the new name is on the disk. Throws RunError.
void rename_durably(std::filesystem::path const& from, std::filesystem::path const& to);

/// Waits until the names in the folder of \p path are on the disk; where folders cannot be synchronised the system does it in its own time.
void sync_folder_of(std::filesystem::path const& path);

/// Waits until what was written to a file, and its name, are on the disk, as far as the system can do that.
void sync_file(std::filesystem::path const& path);

/// The file that is written where \p path is named: \p path itself, there or not, or what the symbolic links of that name lead to. Throws
/// InputError if they lead in circles.
std::filesystem::path link_target(std::filesystem::path const& path);

} // namespace nuscan
