/// \file
/// Small valid surface files, and everything that reads one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nuscan::fuzz
{

/// Reads a surface as info, validate, profile, limits, export and merge do. Ends the program if anything but an InputError comes of it.
void read_surface(std::filesystem::path const& path);

/// What the surfaces below consist of.
enum class SurfaceKind
{
    whole,   ///< pulls, rates, profiles, limits and contours
    shard,   ///< a part of the grid
    virtual_ ///< of two shards, which are at the places given by virtual_parts()
};

/// The bytes of a surface file of a few points.
std::string const& surface_bytes(SurfaceKind kind);

/// Dimension of the grids of surface_bytes().
inline constexpr int surface_rank = 2;

} // namespace nuscan::fuzz
