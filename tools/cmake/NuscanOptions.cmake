# Options, warnings and defaults of every target.

option(NUSCAN_BUILD_TESTS "Build the tests" ON)
option(NUSCAN_WERROR "Treat warnings as errors" ON)
option(NUSCAN_USE_CUDA "Compile device code where a CUDA compiler is found" ON)
option(NUSCAN_USE_MPI "Build nuscan-mpi, which scans with all ranks of an MPI program" OFF)
set(NUSCAN_SANITIZE "" CACHE STRING "Sanitizers of the build: empty, 'address,undefined' or 'thread'")
option(NUSCAN_COVERAGE "Instrument for coverage" OFF)
option(NUSCAN_FUZZ "Build the fuzz targets with libFuzzer (Clang)" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Contraction of a*b+c is left to no compiler: results are the same on every CPU of one architecture.
set(nuscan_fp_options -ffp-contract=off -fno-math-errno)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${nuscan_fp_options}>")

add_library(nuscan_warnings INTERFACE)
set(nuscan_warning_options -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow)
if(NUSCAN_WERROR)
    list(APPEND nuscan_warning_options -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 sees overflows in fmt 9's compile-time format parser that are not there.
    list(APPEND nuscan_warning_options -Wno-stringop-overflow)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NUSCAN_SANITIZE)
    # With AddressSanitizer GCC takes what std::regex and std::optional guard for uninitialized; the sanitizers and other builds find what is.
    list(APPEND nuscan_warning_options -Wno-maybe-uninitialized)
endif()
target_compile_options(nuscan_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${nuscan_warning_options}>")

if(NUSCAN_SANITIZE)
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${NUSCAN_SANITIZE}>"
                        "$<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>"
                        "$<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all>")
    add_link_options(-fsanitize=${NUSCAN_SANITIZE})
endif()
if(NUSCAN_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "Fuzzing needs Clang and its libFuzzer, not ${CMAKE_CXX_COMPILER_ID}. On Debian 12: apt-get install clang-14 "
                            "libclang-rt-14-dev libomp-14-dev; then CC=clang-14 CXX=clang++-14 cmake --fresh --preset fuzz")
    endif()
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>")
endif()
if(NUSCAN_COVERAGE)
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:--coverage>")
    add_link_options(--coverage)
endif()
