# Version header with the commit, renewed at every build; 'unknown' in a tree without .git.

set(nuscan_version_dir ${PROJECT_BINARY_DIR}/generated)
add_custom_target(nuscan_version_header
    COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUTPUT=${nuscan_version_dir}/nuscan_version.hpp
            -DVERSION=${PROJECT_VERSION} "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
            "-DCUDA=${CMAKE_CUDA_COMPILER_VERSION}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
            -P ${PROJECT_SOURCE_DIR}/tools/cmake/write_version.cmake
    BYPRODUCTS ${nuscan_version_dir}/nuscan_version.hpp
    COMMENT "Recording the version")
add_library(nuscan_version INTERFACE)
target_include_directories(nuscan_version INTERFACE ${nuscan_version_dir})
add_dependencies(nuscan_version nuscan_version_header)
