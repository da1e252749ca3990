# shellcheck shell=bash
# Set-up of tools/quickstart and tools/test; sourced, not run. Expects nuscan_root, the top of the tree; sets nuscan_python.
: "${nuscan_root:?must be set before this file is sourced}"

# What a build needs: `package` or `package:command`. A command already on PATH will do; libraries are looked up with dpkg-query.
nuscan_build_packages=(
    g++:g++
    cmake:cmake
    ninja-build:ninja
    libhdf5-dev
    libfmt-dev
    libspdlog-dev
    libcli11-dev
    libtomlplusplus-dev
    nlohmann-json3-dev
    libboost-dev
    libssl-dev
    libyaml-cpp-dev
    libgtest-dev
)
# Of these a working interpreter, whichever it is, will do.
nuscan_python_packages=(python3 python3-numpy python3-h5py python3-matplotlib)
nuscan_test_packages=(clang-format:clang-format)
# For fuzzing and the thread sanitizer: Clang with the run-time libraries of its sanitizers and of OpenMP.
nuscan_clang_packages=(clang-14 libclang-rt-14-dev libomp-14-dev)

# shellcheck disable=SC2034  # for whoever sources this
nuscan_mpi_packages=(libopenmpi-dev openmpi-bin:mpirun)

nuscan_cmake_minimum=3.25
nuscan_gxx_minimum=12

say()
{
    printf '== %s\n' "$*"
}

die()
{
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# at_least HAVE WANT: compares version numbers.
at_least()
{
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# The first Python with everything that the scripts import: NUSCAN_PYTHON, python3 on PATH, the system's.
# shellcheck disable=SC2034  # nuscan_python is for whoever sources this
find_python()
{
    local candidate
    nuscan_python=""
    if [ -n "${NUSCAN_PYTHON:-}" ]; then
        python_works "$NUSCAN_PYTHON" || die "NUSCAN_PYTHON=$NUSCAN_PYTHON is not Python 3.11 or later with numpy, h5py and matplotlib"
        nuscan_python=$NUSCAN_PYTHON
        return 0
    fi
    for candidate in python3 /usr/bin/python3; do
        if python_works "$candidate"; then
            nuscan_python=$candidate
            return 0
        fi
    done
    return 1
}

python_works()
{
    # Without files of the working folder in the way of modules.
    PYTHONSAFEPATH=1 "$1" -c 'import tomllib, numpy, h5py, matplotlib' >/dev/null 2>&1
}

# run_python_package PACKAGE ARGUMENT...: replaces the shell by a package of tools/. Installs nothing.
run_python_package()
{
    find_python || die "no Python 3.11 or later with numpy, h5py and matplotlib; install python3-numpy, python3-h5py and" \
        "python3-matplotlib, or name an interpreter in NUSCAN_PYTHON"
    export PYTHONPATH="$nuscan_root/tools${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
    exec "$nuscan_python" -m "$@"
}

# missing_packages ENTRY...: prints the packages that are not there, one a line.
missing_packages()
{
    local entry package
    for entry in "$@"; do
        package=${entry%%:*}
        if [ "$entry" != "$package" ] && command -v "${entry#*:}" >/dev/null 2>&1; then
            continue
        fi
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
            printf '%s\n' "$package"
        fi
    done
}

# install_packages PACKAGE...: as root or with sudo that asks nothing; otherwise says what to do and ends.
install_packages()
{
    local -a as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true >/dev/null 2>&1; then
            {
                printf 'error: packages are missing and only root may install them. Run, as root or with sudo:\n\n'
                printf '    apt-get update && apt-get install -y --no-install-recommends %s\n\n' "$*"
                printf 'and start again.\n'
            } >&2
            exit 1
        fi
        as_root=(sudo -n)
    fi
    say "installing $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
        die "apt-get update failed; the packages wanted are: $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install: $*"
}

# need_packages ENTRY...: what not every build needs.
need_packages()
{
    local -a missing=()
    command -v dpkg-query >/dev/null 2>&1 || return 0
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
}

# set_up [build|test|fuzz]: packages, versions, Python.
set_up()
{
    local purpose=$1 version
    local -a wanted=("${nuscan_build_packages[@]}") missing=()
    [ "$purpose" = test ] && wanted+=("${nuscan_test_packages[@]}")
    [ "$purpose" = fuzz ] && wanted+=("${nuscan_clang_packages[@]}")

    if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        mapfile -t missing < <(missing_packages "${wanted[@]}")
        find_python || missing+=("${nuscan_python_packages[@]}")
        [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
    else
        {
            printf 'This is no Debian system: nothing is installed. Needed, by the names of Debian packages:\n   '
            printf ' %s' "${wanted[@]%%:*}" "${nuscan_python_packages[@]}"
            printf '\nGoing on with what is there.\n'
        } >&2
    fi
    find_python || die "no Python 3.11 or later with numpy, h5py and matplotlib; name one in NUSCAN_PYTHON"

    command -v cmake >/dev/null 2>&1 || die "cmake is not on PATH"
    version=$(cmake --version | sed -n 's/^cmake version //p')
    at_least "$version" "$nuscan_cmake_minimum" || die "CMake $nuscan_cmake_minimum or later is needed, this is $version"
    if [ -z "${CXX:-}" ] && command -v g++ >/dev/null 2>&1; then
        version=$(g++ -dumpfullversion)
        at_least "$version" "$nuscan_gxx_minimum" ||
            die "g++ $nuscan_gxx_minimum or later is needed, this is $version; CXX=COMPILER chooses another"
    fi
}

# configure_preset PRESET [OPTION...]: from scratch where the build folder was made for another place.
configure_preset()
{
    local preset=$1 cache home
    shift
    local -a options=(--preset "$preset" "$@")
    cache=$nuscan_root/build/$preset/CMakeCache.txt
    if [ -f "$cache" ]; then
        home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$cache")
        [ "$home" = "$(cd "$nuscan_root" && pwd -P)" ] || [ "$home" = "$nuscan_root" ] || options+=(--fresh)
    fi
    (cd "$nuscan_root" && cmake "${options[@]}")
}

# build_preset PRESET JOBS [TARGET...]
build_preset()
{
    local preset=$1 jobs=$2 target
    local -a options=(--parallel "$jobs")
    shift 2
    for target in "$@"; do
        options+=(--target "$target")
    done
    cmake --build "$nuscan_root/build/$preset" "${options[@]}"
}

# configure [OPTION...]: the release preset.
configure()
{
    configure_preset release "$@"
}

# build JOBS [TARGET...]: the release preset.
build()
{
    build_preset release "$@"
}

# is_count TEXT: a positive whole number.
is_count()
{
    [[ $1 =~ ^[1-9][0-9]*$ ]]
}
