/// \file
/// Checks on messages.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "host/support/error.hpp"

namespace nuscan::test
{

/// Expects \p action to throw an Error with all \p parts in its message.
template<class Error, class Action>
void expect_error(Action&& action, std::initializer_list<std::string_view> parts)
{
    try
    {
        action();
        ADD_FAILURE() << "no error";
    }
    catch (Error const& e)
    {
        for (std::string_view const part : parts)
            EXPECT_NE(std::string_view{e.what()}.find(part), std::string_view::npos)
                << "message: " << e.what() << "\nwithout: " << part;
    }
}

template<class Action>
void expect_input_error(Action&& action, std::initializer_list<std::string_view> parts)
{
    expect_error<InputError>(action, parts);
}

} // namespace nuscan::test
