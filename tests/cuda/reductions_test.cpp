// Reductions by CUB and Thrust in the emulator.
#include "reductions_conformance.hpp"
