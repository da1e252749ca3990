// The tests of the formulas once more, compiled by nvcc's front end and run on the host. In one file: most of the time goes into what they
// include.
#include "tests/physics/electroweak_test.cpp"
#include "tests/physics/interactions_test.cpp"
#include "tests/physics/recoil_spectrum_test.cpp"
#include "tests/physics/survival_test.cpp"
#include "tests/physics/transition_moments_test.cpp"
