# Vector instructions: one file per instruction set, chosen at run time, so that one program is fast on every processor.
# Defines nuscan_lanes, the object files for instruction sets beyond the baseline of the architecture, where there are any.

set(nuscan_lane_folder ${PROJECT_SOURCE_DIR}/host/backends/lanes)
set(nuscan_ceiling_folder ${PROJECT_SOURCE_DIR}/host/bench/lanes)
# The vector type is made of small functions that must vanish: a debug build of them would run for minutes, and could leave copies of
# shared inline functions for one instruction set only.
set_property(SOURCE ${nuscan_lane_folder}/lanes_baseline.cpp ${nuscan_ceiling_folder}/ceilings_baseline.cpp APPEND PROPERTY COMPILE_OPTIONS -O3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    add_library(nuscan_lanes OBJECT
        ${nuscan_lane_folder}/lanes_avx2.cpp
        ${nuscan_lane_folder}/lanes_avx512.cpp
        ${nuscan_ceiling_folder}/ceilings_avx2.cpp
        ${nuscan_ceiling_folder}/ceilings_avx512.cpp)
    target_link_libraries(nuscan_lanes PRIVATE nuscan_physics nuscan_warnings)
    target_include_directories(nuscan_lanes PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(nuscan_lanes PUBLIC NUSCAN_X86_LANES)
    # Folding is a multiply-add per bin: unrolled the loop around it costs less (direct route 15 to 25% faster).
    target_compile_options(nuscan_lanes PRIVATE -O3 -funroll-loops)
    set_source_files_properties(${nuscan_lane_folder}/lanes_avx2.cpp ${nuscan_ceiling_folder}/ceilings_avx2.cpp
        PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
    # GCC 12 warns of its own _mm512_undefined_pd.
    set_source_files_properties(${nuscan_lane_folder}/lanes_avx512.cpp ${nuscan_ceiling_folder}/ceilings_avx512.cpp
        PROPERTIES COMPILE_OPTIONS "-mavx512f;-mavx512dq;-mavx512vl;-mfma;-mprefer-vector-width=512;-Wno-uninitialized")
endif()
