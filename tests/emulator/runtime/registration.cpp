// What nvcc's code calls before main(): here are my modules, kernels and variables.

#include "runtime/state.hpp"

#include <cstdio>

using namespace emulator;

// The names are nvcc's.
extern "C"
{
    void** __cudaRegisterFatBinary(void* wrapper);
    void __cudaRegisterFatBinaryEnd(void** handle);
    void __cudaUnregisterFatBinary(void** handle);
    void __cudaRegisterFunction(void** handle, char const* host, char*, char const* name, int, uint3*, uint3*, dim3*, dim3*, int*);
    void __cudaRegisterVar(void** handle, char* host, char*, char const* name, int, std::size_t, int, int);
    void __cudaRegisterManagedVar(void** handle, void** host, char*, char const* name, int, std::size_t, int, int);
    char __cudaInitModule(void** handle);

    void** __cudaRegisterFatBinary(void* wrapper)
    {
        State& s = state();
        std::lock_guard const lock(s.mutex);
        return reinterpret_cast<void**>(&s.modules.emplace_back(wrapper));
    }

    void __cudaRegisterFatBinaryEnd(void**) {}

    void __cudaUnregisterFatBinary(void**) {}

    void __cudaRegisterFunction(void** handle, char const* host, char*, char const* name, int, uint3*, uint3*, dim3*, dim3*, int*)
    {
        State& s = state();
        std::lock_guard const lock(s.mutex);
        s.functions[host] = {reinterpret_cast<ModuleText*>(handle), name, {}};
    }

    void __cudaRegisterVar(void** handle, char* host, char*, char const* name, int, std::size_t, int, int)
    {
        State& s = state();
        std::lock_guard const lock(s.mutex);
        s.variables[host] = {reinterpret_cast<ModuleText*>(handle), name};
    }

    void __cudaRegisterManagedVar(void**, void**, char*, char const* name, int, std::size_t, int, int)
    {
        std::fprintf(stderr, "emulator: __managed__ variable %s is not supported\n", name);
    }

    char __cudaInitModule(void**)
    {
        return 1;
    }

} // extern "C"
