/// \file
/// Exceptions; only main() turns them into messages and exit codes.
#pragma once

#include <stdexcept>
#include <string>

namespace nuscan
{

/// A mistake in what the user gave: the message says where (file, line, key), what is wrong and what would be right. Exit 2.
class InputError : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// The work itself failed (disk full, self-check, numerical failure). Exit 1.
class RunError : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

/// A feature that this binary was built without. Exit 1.
class NotCompiled : public RunError
{
public:
    using RunError::RunError;
};

} // namespace nuscan
